//! Lists of what changed in a file, as other programs write them: lines `offset,length`; the JSON of `memsnap diff
//! --json` and of `qemu-img map --output=json`; the XML of thin_delta(8). A list may be in any order, and its ranges may
//! overlap. What is not understood is refused: a range that is overlooked would be a change that is lost.

use std::ops::Range;

use serde::Deserialize;

/// Parses a list. An empty one says that nothing changed.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn parse(list: &[u8]) -> Result<Vec<Range<u64>>, String> {
    match list.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'[') => map(list),
        Some(b'{') => diff(list),
        Some(b'<') => thin_delta(text(list)?),
        _ => lines(text(list)?),
    }
}

fn text(list: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(list).map_err(|e| format!("it is no text, from byte {} on", e.valid_up_to()))
}

fn range(start: u64, len: u64) -> Result<Range<u64>, String> {
    let end = start.checked_add(len).ok_or_else(|| format!("{start},{len} ends past 2^64"))?;
    Ok(start..end)
}

/// `offset,length`, in bytes; empty lines are skipped.
fn lines(list: &str) -> Result<Vec<Range<u64>>, String> {
    let lines = list.lines().zip(1..).map(|(line, number)| (line.trim(), number));
    let parse = |(line, number): (&str, usize)| {
        let number_of = |word: &str| digits(word.trim());
        let found = line.split_once(',').and_then(|(start, len)| Some((number_of(start)?, number_of(len)?)));
        let (start, len) = found.ok_or_else(|| format!("line {number} is not `offset,length`"))?;
        range(start, len).map_err(|e| format!("line {number}: {e}"))
    };
    lines.filter(|(line, _)| !line.is_empty()).map(parse).collect()
}

/// A number in decimal digits, and nothing else.
fn digits(word: &str) -> Option<u64> {
    let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| word.parse().ok()).flatten()
}

/// `qemu-img map --output=json`: what is not in the image itself (depth 0) but in one below it did not change.
fn map(list: &[u8]) -> Result<Vec<Range<u64>>, String> {
    #[derive(Deserialize)]
    struct Entry {
        start: u64,
        length: u64,
        #[serde(default)]
        depth: u64,
    }
    let entries: Vec<Entry> = serde_json::from_slice(list).map_err(|e| e.to_string())?;
    entries.iter().filter(|entry| entry.depth == 0).map(|entry| range(entry.start, entry.length)).collect()
}

/// `memsnap diff --json`: ranges of pages, then the summary.
fn diff(list: &[u8]) -> Result<Vec<Range<u64>>, String> {
    #[derive(Deserialize)]
    struct Object {
        schema: String,
        start: Option<u64>,
        end: Option<u64>,
        ranges: Option<u64>,
        range: Option<serde::de::IgnoredAny>,
    }
    let mut found = Vec::new();
    let mut whole = false;
    for object in serde_json::Deserializer::from_slice(list).into_iter::<Object>() {
        let object = object.map_err(|e| e.to_string())?;
        match (&object.schema[..], object.start, object.end) {
            _ if whole => return Err("objects follow the summary".into()),
            ("memsnap.diff.range.1", Some(start), Some(end)) if start <= end => found.push(start..end),
            ("memsnap.diff.1", None, None) if object.range.is_some() => {
                return Err("a part of the file was compared only".into());
            }
            ("memsnap.diff.1", None, None) if object.ranges != Some(found.len() as u64) => {
                return Err("ranges are missing".into());
            }
            ("memsnap.diff.1", None, None) => whole = true,
            (schema, ..) => return Err(format!("an object of schema {schema:?} is no range of pages")),
        }
    }
    if whole { Ok(found) } else { Err("the summary at the end is missing".into()) }
}

/// Blocks of thin_delta(8), whose size is in sectors of 512 bytes.
fn thin_delta(list: &str) -> Result<Vec<Range<u64>>, String> {
    let mut found = Vec::new();
    let (mut block, mut open) = (None, Vec::new());
    let mut rest = list.trim_start();
    while !rest.is_empty() {
        let tag = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let (tag, after) = tag.ok_or_else(|| format!("no tag at {:?}", short(rest)))?;
        rest = after.trim_start();
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            if last != Some(name.trim()) {
                return Err(format!("<{tag}> ends nothing"));
            }
            continue;
        }
        if tag.starts_with('?') && found.is_empty() && block.is_none() {
            continue; // <?xml version="1.0"?>
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, values) = element(tag)?;
        let number = |wanted: &str| {
            let value = values.iter().find(|(name, _)| *name == wanted).and_then(|(_, value)| digits(value));
            value.ok_or_else(|| format!("<{name}> has no number {wanted}"))
        };
        match name {
            "superblock" => {
                block = Some(number("data_block_size")?.checked_mul(512).ok_or("its blocks are too large")?)
            }
            "diff" | "same" => {}
            "different" | "left_only" | "right_only" => {
                let size = block.ok_or("<superblock> is missing")?;
                let bytes = |blocks: u64| blocks.checked_mul(size).ok_or("a block is too far away");
                found.push(range(bytes(number("begin")?)?, bytes(number("length")?)?)?);
            }
            _ => return Err(format!("<{name}> is not known")),
        }
        if !is_empty {
            open.push(name);
        }
    }
    if open.is_empty() && block.is_some() { Ok(found) } else { Err("it is cut short".into()) }
}

/// The name of an element, and its attributes.
type Element<'a> = (&'a str, Vec<(&'a str, &'a str)>);

/// The name and the attributes of a tag: `different begin="1" length="2"`.
fn element(tag: &str) -> Result<Element<'_>, String> {
    let wrong = || format!("<{}> is not understood", short(tag));
    let (name, mut rest) = tag.trim_end().split_once(char::is_whitespace).unwrap_or((tag.trim_end(), ""));
    let mut values = Vec::new();
    loop {
        rest = rest.trim();
        if rest.is_empty() {
            return Ok((name, values));
        }
        let (key, after) = rest.split_once("=\"").ok_or_else(wrong)?;
        let (value, after) = after.split_once('"').ok_or_else(wrong)?;
        // Entities are not resolved.
        if key.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_') || value.contains(['&', '<']) {
            return Err(wrong());
        }
        values.push((key, value));
        rest = after;
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ok(list: &str) -> Vec<Range<u64>> {
        parse(list.as_bytes()).unwrap()
    }

    fn no(list: &str) -> String {
        parse(list.as_bytes()).unwrap_err()
    }

    #[test]
    fn lines_of_offset_and_length() {
        assert_eq!(ok(""), []);
        assert_eq!(ok("8192,4096\n\n 0 , 1 \r\n"), [8192..12288, 0..1]);
        assert_eq!(no("1,2\n3"), "line 2 is not `offset,length`");
        assert_eq!(no("+1,2"), "line 1 is not `offset,length`");
        assert_eq!(no("1,2,3"), "line 1 is not `offset,length`");
        assert_eq!(no("18446744073709551615,2"), "line 1: 18446744073709551615,2 ends past 2^64");
        assert!(no("18446744073709551616,2").contains("line 1"));
        assert_eq!(parse(b"1,2\n\xff").unwrap_err(), "it is no text, from byte 4 on");
    }

    #[test]
    fn a_map_of_qemu() {
        let list = r#"[{"start": 0, "length": 65536, "depth": 1, "present": true, "zero": false, "data": true},
            {"start": 65536, "length": 4096, "depth": 0, "present": true, "zero": true, "data": false},
            {"start": 70000, "length": 5, "data": true}]"#;
        assert_eq!(ok(list), [65536..69632, 70000..70005]);
        assert_eq!(ok("[]"), []);
        assert!(no(r#"[{"start": 1}]"#).contains("length"));
        assert!(no(r#"[{"start": -1, "length": 1}]"#).contains("invalid value"));
        assert!(no("[] x").contains("trailing"));
    }

    #[test]
    fn what_diff_prints() {
        let page = r#"{"schema":"memsnap.diff.range.1","first_page":1,"end_page":2,"start":4096,"end":8192}"#;
        let sum = |ranges: u64| format!(r#"{{"schema":"memsnap.diff.1","ranges":{ranges},"same":false}}"#);
        assert_eq!(ok(&format!("{page}\n{}\n", sum(1))), [4096..8192]);
        assert_eq!(ok(&sum(0)), []);
        assert_eq!(no(page), "the summary at the end is missing");
        assert_eq!(no(&sum(1)), "ranges are missing");
        assert_eq!(no(&format!("{}{page}", sum(0))), "objects follow the summary");
        let part = r#"{"schema":"memsnap.diff.1","ranges":0,"range":{"start":0,"end":1}}"#;
        assert_eq!(no(part), "a part of the file was compared only");
        assert!(no(r#"{"schema":"memsnap.diff.row.1","start":0}"#).contains("memsnap.diff.row.1"));
    }

    #[test]
    fn what_thin_delta_prints() {
        let list = r#"<superblock uuid="" time="1" transaction="2" data_block_size="128" nr_data_blocks="0">
  <diff left="1" right="2">
    <same begin="0" length="10"/>
    <different begin="10" length="2"/>
    <left_only begin="1" length="1" data_begin="7"/>
    <right_only begin="3" length="1"/>
  </diff>
</superblock>
"#;
        assert_eq!(ok(list), [655_360..786_432, 65536..131_072, 196_608..262_144]);
        assert_eq!(no(&list.replace("</superblock>", "")), "it is cut short");
        assert_eq!(no(&list.replace("<same", "<other")), "<other> is not known");
        assert!(no(&list.replace("\"10\" length=\"2\"", "\"1&#48;\" length=\"2\"")).contains("is not understood"));
        assert_eq!(no(r#"<different begin="1" length="1"/>"#), "<superblock> is missing");
        assert_eq!(no(&list.replace("</diff>", "</same>")), "</same> ends nothing");
        assert!(no(&list.replace("<diff ", "text<diff ")).starts_with("no tag at"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_understood(list in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(found) = parse(&list) {
                prop_assert!(found.iter().all(|range| range.start <= range.end));
            }
        }

        #[test]
        fn anything_like_a_list_too(list in "[<>/=\"{}\\[\\],:0-9 a-z_]{0,80}") {
            let _ = parse(list.as_bytes());
        }

        #[test]
        fn lines_come_back(ranges in prop::collection::vec((any::<u32>(), any::<u32>()), 0..20)) {
            let list: String = ranges.iter().map(|(start, len)| format!("{start},{len}\n")).collect();
            let wanted: Vec<_> = ranges.iter().map(|(start, len)| {
                u64::from(*start)..u64::from(*start) + u64::from(*len)
            }).collect();
            prop_assert_eq!(parse(list.as_bytes()).unwrap(), wanted);
        }
    }
}
