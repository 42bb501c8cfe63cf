//! The tables and numbers of the format document, against the code and the golden files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::images::*;
use memsnap::Error;
use memsnap::ops::{Quiet, snap};
use memsnap::pack::{BLOCK_ENTRIES, FileKind, Grade, PackReader, Section};
use memsnap::page::{Digest, MAX_LEN, PAGE64};
use memsnap::store::Intent;

/// A row of a table of the format document.
#[derive(Clone, Debug)]
struct Row {
    offset: Option<u64>,
    size: Option<u64>,
    field: String,
}

/// The tables of the format document, by the heading that they stand under and their number there.
fn tables() -> BTreeMap<(String, usize), Vec<Row>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/memsnap-store.5");
    let (mut heading, mut out) = (String::new(), BTreeMap::new());
    let mut rows: Option<(usize, Vec<Row>)> = None;
    for line in fs::read_to_string(page).unwrap().lines() {
        if let Some(title) = line.strip_prefix(".SH ").or(line.strip_prefix(".SS ")) {
            heading = title.into();
        } else if line.starts_with("offset  size ") {
            rows = Some((line.find("meaning").unwrap(), Vec::new()));
        } else if line == ".EE" {
            if let Some((_, rows)) = rows.take() {
                let n = out.keys().filter(|(h, _)| *h == heading).count();
                out.insert((heading.clone(), n), rows);
            }
        } else if let Some((meaning, rows)) = &mut rows
            && !line.starts_with(' ')
        {
            let head = line.get(..*meaning).unwrap_or(line);
            let mut words = head.split_whitespace();
            let (offset, size) = (words.next().unwrap(), words.next().unwrap());
            let field = words.collect::<Vec<_>>().join(" ");
            rows.push(Row { offset: offset.parse().ok(), size: size.parse().ok(), field });
        }
    }
    out
}

/// Reads fields of a file where the format document says they are.
struct Fields<'a> {
    rows: &'a [Row],
    bytes: Vec<u8>,
}

impl Fields<'_> {
    fn bytes(&self, field: &str) -> &[u8] {
        let row = self.rows.iter().find(|r| r.field == field).unwrap_or_else(|| panic!("no row {field}"));
        let at = row.offset.unwrap() as usize;
        &self.bytes[at..at + row.size.unwrap() as usize]
    }

    fn number(&self, field: &str) -> u64 {
        self.bytes(field).iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
    }

    fn digest(&self, field: &str) -> Digest {
        Digest::from_slice(self.bytes(field))
    }

    /// Bytes before the first row whose place is not fixed.
    fn fixed(rows: &[Row]) -> u64 {
        rows.iter().map_while(|r| Some(r.offset? + r.size?)).last().unwrap()
    }
}

fn table(tables: &BTreeMap<(String, usize), Vec<Row>>, heading: &str, n: usize) -> Vec<Row> {
    tables.get(&(heading.into(), n)).unwrap_or_else(|| panic!("no table {n} under {heading}")).clone()
}

#[test]
fn tables_of_the_document_add_up() {
    let tables = tables();
    assert!(tables.len() >= 20, "{} tables", tables.len());
    for ((heading, n), rows) in &tables {
        let mut next = Some(0);
        for row in rows {
            if let Some(offset) = row.offset {
                assert_eq!(Some(offset), next, "{heading} {n}: {}", row.field);
            }
            next = row.offset.and_then(|o| Some(o + row.size?));
        }
    }
    let sizes = [
        ("Head", 0, FileKind::Pack.head(0).len()),
        ("Section", 0, Section::BYTES),
        ("Runs", 0, 32),
        ("SNAPSHOT", 0, 320),
        ("MAP", 0, 56),
        ("Block", 0, 24),
        ("Block", 1, 12),
        ("Block", 2, 16),
        ("Directory", 0, 64),
        ("Tail", 0, 64),
        ("DELTA", 0, 104),
        ("DELTA", 1, 104),
        ("intent, undo", 0, 176),
        ("DIGESTS", 0, 120),
        ("DIGESTS", 1, 589_824),
        ("DIGESTS", 2, 544),
    ];
    for (heading, n, size) in sizes {
        assert_eq!(Fields::fixed(&table(&tables, heading, n)), size as u64, "{heading} {n}");
    }
}

#[test]
fn numbers_of_the_document_are_those_of_the_code() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/memsnap-store.5");
    let page = fs::read_to_string(page).unwrap();
    for text in [
        format!("length of an image          {MAX_LEN} bytes"),
        format!("pages of a block of index   {BLOCK_ENTRIES}"),
        format!("at or past {} (2^51", MAX_LEN / PAGE64),
    ] {
        assert!(page.contains(&text), "{text}");
    }
    assert_eq!(MAX_LEN, (1 << 63) - 65536);
}

fn grade(grade: Grade) -> u64 {
    match grade {
        Grade::Unproven => 0,
        Grade::Claimed => 1,
        Grade::Proven => 2,
        Grade::Observed => 3,
    }
}

#[test]
fn snapshots_are_laid_out_as_the_document_says() {
    let (tables, directory) = (tables(), copy("zstd"));
    let (history, rows) = (history(directory.path()), table(&tables, "SNAPSHOT", 0));
    for (number, name) in history.snapshots().unwrap().iter().enumerate() {
        let bytes = fs::read(history.dir().join(name.file_name())).unwrap();
        assert_eq!(Digest::of(&bytes), name.id);
        let (meta, file) = (stored(&history, number).0, Fields { rows: &rows, bytes });
        assert_eq!(file.bytes("head"), FileKind::Snapshot.head(0));
        let numbers = [
            ("len", meta.len),
            ("time_ns", meta.time_ns as u64),
            ("changed.pages", meta.changed.pages),
            ("changed.bytes", meta.changed.bytes),
            ("stored.pack_bytes", meta.stored.pack_bytes),
            ("stored.map_bytes", meta.stored.map_bytes),
            ("stored.debt", meta.stored.debt),
            ("mtime_ns", meta.mtime_ns as u64),
            ("atime_ns", meta.atime_ns as u64),
            ("mtime high", 0),
            ("atime high", 0),
            ("mode", meta.mode.into()),
            ("uid", meta.uid.into()),
            ("gid", meta.gid.into()),
            ("grade", grade(meta.grade)),
            ("kind", meta.kind as u64),
            ("path size", meta.path.len() as u64),
            ("message size", meta.message.len() as u64),
            ("reason size", meta.reason.len() as u64),
            ("host size", meta.host.len() as u64),
            ("version size", meta.version.len() as u64),
            ("attrs", meta.attrs.len() as u64),
            ("companions", 0),
        ];
        numbers.iter().for_each(|(field, value)| assert_eq!(file.number(field), *value, "{field}"));
        let digests = [
            ("image", meta.image),
            ("parent", meta.parent),
            ("stored.pack", meta.stored.pack),
            ("stored.map", meta.stored.map),
        ];
        digests.iter().for_each(|(field, value)| assert_eq!(file.digest(field), *value, "{field}"));
        assert_eq!(&file.bytes[320..320 + meta.path.len()], &meta.path[..]);
    }
}

#[test]
fn packs_maps_and_records_are_laid_out_as_the_document_says() {
    let (tables, directory) = (tables(), copy("zstd"));
    let dir = history(directory.path()).dir().to_path_buf();
    for path in files(&dir, ".pack") {
        let bytes = fs::read(&path).unwrap();
        let id = path.file_stem().unwrap().to_str().unwrap().parse::<Digest>().unwrap();
        let pack = PackReader::open(bytes.clone(), &id).unwrap();
        let tail = Fields { rows: &table(&tables, "Tail", 0), bytes: bytes[bytes.len() - 64..].to_vec() };
        assert_eq!((tail.number("blocks"), tail.number("pages")), (pack.blocks() as u64, pack.pages()));
        let at = tail.number("directory") as usize;
        assert_eq!(tail.digest("check"), Digest::of(&[&bytes[..16], &bytes[at..bytes.len() - 40]].concat()));
        let row = Fields { rows: &table(&tables, "Directory", 0), bytes: bytes[at..at + 64].to_vec() };
        assert_eq!((row.number("first"), row.number("last")), pack.block_span(0));
        let block = pack.block(0).unwrap();
        let at = row.number("offset") as usize;
        let head = Fields { rows: &table(&tables, "Block", 0), bytes: bytes[at..].to_vec() };
        assert_eq!(head.number("entries") as usize, block.entries().count());
        assert_eq!((head.number("frames") as usize, head.number("first frame")), (block.frames(), 16));
        let list: Vec<u8> =
            block.entries().flat_map(|(page, digest)| [&page.to_le_bytes()[..], &digest.0].concat()).collect();
        assert_eq!(row.digest("key"), Digest::of(&list));
        let mut hasher = blake3::Hasher::new_derive_key("memsnap pack 1");
        hasher.update(&pack.pages().to_le_bytes()).update(row.bytes("key"));
        assert_eq!((id, pack.blocks()), (Digest(hasher.finalize().into()), 1));
    }
    let [map] = &files(&dir, ".map")[..] else { panic!("one map") };
    let map = Fields { rows: &table(&tables, "MAP", 0), bytes: fs::read(map).unwrap() };
    assert_eq!(map.number("len"), 41_943_000);
    let undo = Fields { rows: &table(&tables, "intent, undo", 0), bytes: fs::read(dir.join("undo")).unwrap() };
    assert_eq!((undo.bytes("head"), undo.number("verb size")), (&FileKind::Intent.head(0)[..], 6));
    let directory = copy("none");
    let history = history(directory.path());
    // The cache is made again when the target is looked at.
    images_none()[2].write(history.target());
    let options = snap::Options::default();
    assert!(!snap::snap(history.target(), &options, &Quiet).unwrap().new);
    let cache = Fields { rows: &table(&tables, "DIGESTS", 0), bytes: fs::read(history.dir().join("digests")).unwrap() };
    let (last, image) = (*history.snapshots().unwrap().last().unwrap(), images_none()[2].clone());
    assert_eq!((cache.digest("snapshot"), cache.digest("image")), (last.id, image.digest()));
    assert_eq!((cache.number("len"), cache.digest("check")), (image.len, Digest::of(&cache.bytes[..88])));
}

/// The record of a change without undo: zeros in the place of what was not stored.
#[test]
fn intents_without_what_was_before() {
    let (tables, directory) = (tables(), copy("none"));
    let history = history(directory.path());
    let rows = table(&tables, "intent, undo", 0);
    let (name, meta) = (history.snapshots().unwrap()[0], stored(&history, 0).0);
    let intent = Intent {
        from: Digest::ZERO,
        from_image: Digest::ZERO,
        to: name.id,
        to_image: meta.image,
        file: (7, 8),
        time_ns: -9,
        verb: "revert".into(),
        set: None,
    };
    assert!(intent.is_final());
    let path = history.dir().join("intent");
    let writing = history.write_lock(Duration::ZERO).unwrap();
    history.begin_change(&writing, &intent).unwrap();
    let file = Fields { rows: &rows, bytes: fs::read(&path).unwrap() };
    assert_eq!(file.bytes("head"), FileKind::Intent.head(0));
    assert_eq!((file.digest("from"), file.digest("from_image")), (Digest::ZERO, Digest::ZERO));
    assert_eq!((file.digest("to"), file.digest("to_image")), (name.id, meta.image));
    assert_eq!((file.number("dev"), file.number("ino"), file.number("time_ns")), (7, 8, -9_i64 as u64));
    assert_eq!(file.bytes.len(), 176 + 6 + 32);
    assert_eq!(&file.bytes[176..182], b"revert");
    assert_eq!(history.intent().unwrap(), Some(intent));

    // Zeros in one of the two alone are damage, whatever the check says.
    for field in ["from", "from_image"] {
        let at = rows.iter().find(|row| row.field == field).unwrap().offset.unwrap() as usize;
        let mut bytes = file.bytes.clone();
        bytes[at..at + 32].fill(1);
        let end = bytes.len() - 32;
        let check = Digest::of(&bytes[..end]);
        bytes[end..].copy_from_slice(&check.0);
        fs::write(&path, bytes).unwrap();
        assert!(matches!(history.intent(), Err(Error::Damaged { .. })), "{field}");
    }
}
