//! What `diff` shows: bytes, rows and numbers that differ, compared with a simple implementation.

use super::case::{Case, PAGE, finish, noise, program};
use super::trace::needs_strace;
use super::view::reads;

/// Pairs of files: (name of the pair, one, other).
fn pairs() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let base = noise(1, 6 * PAGE);
    let mut few = base.clone();
    [5, 6, 7, 4095, 4096, 9000, 24_575].iter().for_each(|i| few[*i] ^= 0x55);
    let mut zeros = base[..9001].to_vec();
    zeros.extend([0; 20_000]);
    let mut far = base.clone();
    far.resize(300_000, 0);
    far[290_001] = 1;
    vec![
        ("few", base.clone(), few.clone()),
        ("cut", base.clone(), base[..9001].to_vec()),
        ("grown by zeros", base[..9001].to_vec(), zeros),
        ("cut and changed", few, base[..12_289].to_vec()),
        ("grown far", base[..10].to_vec(), far),
        ("from nothing", Vec::new(), base[..100].to_vec()),
        ("to nothing", base, Vec::new()),
    ]
}

fn each_pair(mut check: impl FnMut(&Case, &str, &[u8], &[u8])) {
    for (name, a, b) in pairs() {
        let case = Case::new();
        case.write("a", &a);
        case.ok("snap a --quiet");
        case.write("old", &a);
        case.write("a", &b);
        check(&case, name, &a, &b);
    }
}

/// The operands under which a pair is compared: two files, a snapshot with a file.
const WAYS: [&str; 2] = ["old a", "a"];

#[test]
fn ranges_of_bytes() {
    each_pair(|case, name, a, b| {
        let differ = |i: &usize| a.get(*i) != b.get(*i);
        let expected: Vec<u64> = (0..a.len().max(b.len())).filter(differ).map(|i| i as u64).collect();
        for way in WAYS {
            let lines = case.exits(&format!("diff --json --unit byte {way}"), 1).json();
            let (summary, ranges) = lines.split_last().unwrap();
            let of = |line: &serde_json::Value| line["start"].as_u64().unwrap()..line["end"].as_u64().unwrap();
            let found: Vec<u64> = ranges.iter().flat_map(of).collect();
            assert!(found == expected, "{name}, {way}");
            assert!(ranges.windows(2).all(|two| of(&two[0]).end < of(&two[1]).start), "{name}: as long as can be");
            assert_eq!(summary["changes"]["count"].as_u64(), Some(expected.len() as u64));
        }
    });
}

#[test]
fn rows_old_and_new() {
    each_pair(|case, name, a, b| {
        for (way, context) in [(WAYS[0], 0), (WAYS[1], 0), (WAYS[0], 3)] {
            let lines = case.exits(&format!("diff --json --hex -U {context} {way}"), 1).json();
            let mut seen = std::collections::BTreeMap::new();
            for line in &lines[..lines.len() - 1] {
                if line["schema"] == "memsnap.diff.zeros.1" {
                    let (start, end) = (line["start"].as_u64().unwrap(), line["end"].as_u64().unwrap());
                    let longer = if a.len() > b.len() { a } else { b };
                    assert!(start >= a.len().min(b.len()) as u64, "{name}");
                    assert!(longer[start as usize..end as usize].iter().all(|byte| *byte == 0), "{name}");
                    (start / 8..end.div_ceil(8)).for_each(|row| _ = seen.insert(row * 8, true));
                    continue;
                }
                let offset = line["offset"].as_u64().unwrap();
                let hex = |all: &[u8]| {
                    let at = offset as usize;
                    let row = &all[at.min(all.len())..(at + 8).min(all.len())];
                    row.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
                };
                assert_eq!(
                    (line["old"].as_str(), line["new"].as_str()),
                    (Some(&hex(a)[..]), Some(&hex(b)[..])),
                    "{name}"
                );
                assert_eq!(line["changed"].as_bool(), Some(hex(a) != hex(b)));
                assert!(seen.insert(offset, hex(a) != hex(b)).is_none(), "{name}: shown once");
            }
            let row = |all: &[u8], i: usize| all[i.min(all.len())..(i + 8).min(all.len())].to_vec();
            let rows: Vec<bool> = (0..a.len().max(b.len())).step_by(8).map(|i| row(a, i) != row(b, i)).collect();
            for (i, changed) in rows.iter().enumerate() {
                let near = (i.saturating_sub(context)..=(i + context).min(rows.len() - 1)).any(|j| rows[j]);
                let offset = i as u64 * 8;
                assert!(!changed || seen.contains_key(&offset), "{name}: row {offset:#x} is missing");
                assert!(near || !seen.contains_key(&offset), "{name}: row {offset:#x} is not wanted");
            }
        }
    });
}

#[test]
fn numbers_from_what_to_what() {
    each_pair(|case, name, a, b| {
        for way in WAYS {
            let out = case.exits(&format!("diff --as u32be {way}"), 1).out;
            let number = |all: &[u8], i: usize| {
                let bytes = all.get(i * 4..i * 4 + 4)?;
                Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
            };
            let mut lines = out.lines().peekable();
            for i in 0..a.len().max(b.len()) / 4 {
                let (x, y) = (number(a, i), number(b, i));
                if x == y {
                    continue;
                }
                let line = *lines.peek().unwrap_or_else(|| panic!("{name}: {i} is missing"));
                if let Some((start, end)) = line.split_once(": zeros").and_then(|(span, _)| span.split_once("..")) {
                    let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
                    assert!((start..end).contains(&i) && x.or(y) == Some(0), "{name}: {line}, {i}");
                    if i + 1 == end {
                        lines.next();
                    }
                    continue;
                }
                let text = |n: Option<u32>| n.map_or("-".to_string(), |n| n.to_string());
                assert_eq!(line, format!("{i}: {} -> {}", text(x), text(y)), "{name}");
                lines.next();
            }
            assert_eq!(lines.count(), 1, "{name}: only the summary is left");
        }
    });
}

#[test]
fn all_nan_may_count_as_the_same() {
    let case = Case::new();
    let bytes = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    let (quiet, loud, one) = (0x7fc0_0000, 0xffc0_0001, 0x3f80_0000);
    case.write("a", &bytes(&[quiet, one, quiet]));
    case.write("b", &bytes(&[loud, one, quiet]));
    case.exits("diff --as f32 a b", 1).shows("0: NaN (7fc00000) -> NaN (ffc00001)\n").shows("1 value (f32) differs");
    let json = case.exits("diff --json --as f32 a b", 1).json();
    assert_eq!((json[0]["old_bits"].as_str(), json[0]["new_bits"].as_str()), (Some("7fc00000"), Some("ffc00001")));
    assert!(case.exits("diff --as f32 --nan-equal a b", 0).out.is_empty());
    let json = case.exits("diff --json --as f32 --nan-equal a b", 0).json();
    assert_eq!(json[0]["same"].as_bool(), Some(true));
    case.write("b", &bytes(&[loud, one + 1, quiet]));
    case.exits("diff --as f32 --nan-equal a b", 1).shows("1: 1.0 -> 1.0000001");
    case.write("b", &[&bytes(&[loud, one, quiet])[..], &[1]].concat());
    case.exits("diff --as f32 --nan-equal a b", 1).says("less than one f32");
    case.exits("diff --nan-equal a b", 2);
}

#[test]
fn a_limit_is_honest() {
    let case = Case::new();
    let (a, mut b) = (noise(1, 40 * PAGE), noise(1, 40 * PAGE));
    (0..40).step_by(2).for_each(|page| b[page * PAGE] ^= 1);
    case.write("a", &a);
    case.write("b", &b);
    for (form, noun) in [("", "range"), ("--unit byte", "range"), ("--hex", "row"), ("--as u64", "value")] {
        for limit in [0, 1, 19, 20, 21] {
            let out = case.exits(&format!("diff {form} --limit {limit} a b"), 1).out;
            let more = 20u64.saturating_sub(limit);
            let heading = u64::from(form == "--hex" && limit > 0);
            let lines = out.lines().count() as u64;
            assert_eq!(lines, heading + limit.min(20) + u64::from(more > 0) + 1, "{form} {limit}: {out}");
            let s = if more == 1 { "" } else { "s" };
            assert_eq!(out.contains(&format!("and {more} more {noun}{s}")), more > 0, "{form} {limit}: {out}");
        }
    }
    for (form, bytes) in [("", None), ("--unit byte", Some(20)), ("--hex", Some(20)), ("--as u64", Some(20))] {
        let lines = case.exits(&format!("diff --json {form} --limit 3 a b"), 1).json();
        let summary = lines.last().unwrap();
        assert_eq!(summary["bytes_in_pages"].as_u64(), Some(20 * PAGE as u64), "{form}");
        assert_eq!(summary["bytes_changed"].as_u64(), bytes, "{form}: those that differ, or nothing");
        let shown = (summary["changes"]["shown"].as_u64(), summary["changes"]["more"].as_u64());
        assert!(bytes.is_none() || shown == (Some(3), Some(17)), "{form}: {shown:?}");
    }
    let ran = case.exits("diff --pages --limit 3 a b", 1).says("and 17 more pages");
    assert_eq!(ran.out, "0\n2\n4\n");
}

/// One file ends early; the other has zeros, a change in the middle of a page, zeros, another change, and a hole.
#[test]
fn zeros_of_one_side_are_one_change() {
    let case = Case::new();
    case.write("a", &[7; 10 * PAGE]);
    case.write("b", &[7; 10 * PAGE]);
    case.set_len("b", 8 << 30);
    case.patch("b", (4 << 30) + 2048, b"one");
    case.patch("b", (4 << 30) + 3 * PAGE as u64, b"other");
    case.patch("b", (6 << 30) + 64, &[0; 64]);
    for (form, noun) in [("--hex", "row"), ("--as u64", "value")] {
        let out = case.exits(&format!("diff {form} a b"), 1).out;
        let lines: Vec<&str> = out.lines().filter(|line| !line.contains(" | ")).collect();
        assert_eq!(lines.len(), 6, "{out}");
        let out = case.exits(&format!("diff {form} --limit 2 a b"), 1).out;
        let shown = if form == "--hex" { "|[6f 6e 65" } else { ": - -> 6647407" };
        assert!(out.contains(shown) && out.contains(&format!("and 3 more {noun}s\n")), "{out}");
        let lines = case.exits(&format!("diff --json {form} --limit 2 a b"), 1).json();
        assert_eq!(lines.len(), 3);
        let summary = lines.last().unwrap();
        assert_eq!((summary["changes"]["shown"].as_u64(), summary["changes"]["more"].as_u64()), (Some(2), Some(3)));
        assert_eq!(summary["bytes_changed"].as_u64(), Some((8 << 30) - 10 * PAGE as u64), "{form}");
    }
    case.write("b", &[&[7; 10 * PAGE][..], &[0; 8]].concat());
    case.exits("diff --as u64 a b", 1).shows("5120: - -> 0\n");
    case.exits("diff --hex a b", 1).shows("[00 00 00 00 00 00 00 00]");
}

#[test]
fn long_names_are_told_apart() {
    let case = Case::new();
    let (a, b) = ("a-name-longer-than-its-column-is-wide.1", "a-name-longer-than-its-column-is-wide.2");
    case.write(a, b"a");
    case.write(b, b"b");
    let out = case.exits(&format!("diff --hex {a} {b}"), 1).out;
    let heading = out.lines().next().unwrap();
    assert!(heading.contains("is-wide.1 |") && heading.trim_end().ends_with("is-wide.2"), "{out}");
}

#[test]
fn a_map_shows_every_change() {
    let case = Case::new();
    case.write("a", b"");
    case.set_len("a", 1 << 30);
    case.write("b", b"");
    case.set_len("b", 1 << 30);
    case.patch("b", 3 << 28, b"x");
    let out = case.exits("diff --map a b", 1).out;
    let cells: String = out.lines().take(8).map(|line| &line[10..]).collect();
    assert_eq!(cells.matches('+').count(), 1);
    assert_eq!(cells.find('+'), Some(cells.len() / 4 * 3));
    assert!(out.lines().take(9).all(|line| line.len() <= 80), "{out}");
}

#[test]
fn two_sparse_files_of_64_gibibytes() {
    if !needs_strace() {
        return;
    }
    let case = Case::new();
    for name in ["a", "b"] {
        case.write(name, &noise(1, PAGE));
        case.set_len(name, 64 << 30);
        case.patch(name, 40 << 30, &noise(2, 3 * PAGE));
    }
    case.patch("b", (40 << 30) + 5000, b"other");
    for form in ["", "--hex", "--as f32", "--unit byte", "--map"] {
        let words = format!("diff --io pread {form} a b").replace("  ", " ");
        let (calls, bytes) = reads(&case, &words, 1);
        assert!(calls < 10_000 && bytes < 8 << 20, "{words}: {calls} calls, {bytes} bytes");
    }
}

#[test]
fn a_closed_pipe_does_not_change_the_verdict() {
    let case = Case::new();
    case.write("a", &noise(1, 100 * PAGE));
    case.write("b", &noise(2, 100 * PAGE));
    for form in ["--hex", "--as f32", "--unit byte", "--hex -U 3 --json"] {
        let line = format!("{{ \"$M\" diff {form} a b; echo $? >&3; }} 3>code | head -c 1000 >out; cat code");
        let ran = finish(case.command("sh").args(["-c", &line]).env("M", program())).exits(0);
        assert_eq!((ran.out.trim(), &ran.err[..]), ("1", ""), "{form}");
    }
}
