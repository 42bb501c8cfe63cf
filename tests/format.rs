//! Format 1: stores and a delta that were made once and stay readable for ever, and the format document against them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use memsnap::ops::{Quiet, snap};
use memsnap::pack::{BLOCK_ENTRIES, FileKind, Grade, Meta, PackReader, RunStream, Section, Source};
use memsnap::page::{Digest, GROUP_PAGES, ImageHasher, MAX_LEN, PAGE, PAGE64, group_digest, groups_of};
use memsnap::store::{Image, Room, Shelf, Store};

/// An image: what its pages hold that are not zeros, and its length.
#[derive(Clone, Debug, Default, PartialEq)]
struct Expected {
    len: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

/// Bytes that look like chance, from a seed.
fn noise(seed: u64, n: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..n).map(|_| next()).collect()
}

impl Expected {
    /// Sets a page; past the length it is cut to zeros.
    fn set(&mut self, page: u64, mut bytes: Vec<u8>) {
        let there = self.len.saturating_sub(page * PAGE64).min(PAGE64) as usize;
        bytes.resize(PAGE, 0);
        bytes[there..].fill(0);
        self.pages.remove(&page);
        if bytes.iter().any(|b| *b != 0) {
            self.pages.insert(page, bytes);
        }
    }

    fn resize(&mut self, len: u64) {
        self.len = len;
        let all = std::mem::take(&mut self.pages);
        all.into_iter().for_each(|(page, bytes)| self.set(page, bytes));
    }

    fn digest(&self) -> Digest {
        let mut hasher = ImageHasher::new(self.len);
        for group in 0..groups_of(self.len) {
            let mut bytes = vec![0; GROUP_PAGES as usize * PAGE];
            let (first, end) = (group * GROUP_PAGES, (group + 1) * GROUP_PAGES);
            for (page, content) in self.pages.range(first..end) {
                let at = (page - first) as usize * PAGE;
                bytes[at..at + PAGE].copy_from_slice(content);
            }
            hasher.push(group, &group_digest(bytes[..].try_into().unwrap()));
        }
        hasher.finish()
    }

    /// Writes it to `path`: what is not a page is a hole.
    fn write(&self, path: &Path) {
        let file = fs::File::options().write(true).create(true).truncate(false).open(path).unwrap();
        file.set_len(0).unwrap();
        file.set_len(self.len).unwrap();
        for (page, bytes) in &self.pages {
            let there = (self.len - page * PAGE64).min(PAGE64) as usize;
            file.write_all_at(&bytes[..there], page * PAGE64).unwrap();
        }
    }

    fn read(path: &Path) -> Expected {
        let bytes = fs::read(path).unwrap();
        let mut image = Expected { len: bytes.len() as u64, ..Expected::default() };
        bytes.chunks(PAGE).zip(0..).for_each(|(chunk, page)| image.set(page, chunk.to_vec()));
        image
    }
}

/// The images of store `none`: noise, a hole, a short last page; grown, page 9 being zeros held as data; cut within a
/// page.
fn images_none() -> Vec<Expected> {
    let mut image = Expected { len: 30_001, ..Expected::default() };
    for page in [0, 1, 7] {
        image.set(page, noise(page + 1, PAGE));
    }
    let first = image.clone();
    image.resize(60_000);
    image.set(1, noise(100, PAGE));
    image.set(12, noise(101, PAGE));
    let second = image.clone();
    image.resize(12_345 - 4096);
    vec![first, second, image]
}

/// The images of store `zstd`: 800 pages scattered over 40 MiB, then one page more changed in each, until differences
/// outgrow what a map is worth.
fn images_zstd() -> Vec<Expected> {
    let gaps = noise(7, 800);
    let mut image = Expected { len: 41_943_000, ..Expected::default() };
    let mut page = 0;
    for (gap, n) in gaps.iter().zip(0u64..) {
        page += 1 + u64::from(gap % 24);
        image.set(page, vec![(n % 251) as u8 + 1; PAGE]);
    }
    image.set(41_943_000 / PAGE64, b"the last page is short".to_vec());
    let mut all = vec![image.clone()];
    for n in 0..9 {
        image.set(n * 1000 + 3, format!("change {n} ").repeat(400).into_bytes());
        if n == 5 {
            image.set(*image.pages.keys().nth(10).unwrap(), vec![0; PAGE]);
        }
        all.push(image.clone());
    }
    all
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1")
}

/// A copy of golden store `name`, with the modes that git does not keep, in a folder of its own.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_dir(&golden().join(name), &folder.path().join(".memsnap"));
    folder
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &place);
        } else {
            fs::write(&place, fs::read(entry.path()).unwrap()).unwrap();
            fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

fn room(folder: &Path) -> Room {
    let (rooms, faults) = Store::open(&folder.join(".memsnap")).unwrap().rooms().unwrap();
    assert!(faults.is_empty() && rooms.len() == 1);
    rooms.into_iter().next().unwrap()
}

fn memsnap(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memsnap"));
    command.args(args).current_dir(folder).env_remove("MEMSNAP_STORE");
    command.output().unwrap()
}

fn must(folder: &Path, args: &[&str]) -> String {
    let out = memsnap(folder, args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Every page of a stored image.
fn stored(room: &Room, number: usize) -> (Meta, Expected) {
    let shelf = Shelf::new(room.dir());
    let image = Image::open(room, &shelf, room.snapshots().unwrap()[number]).unwrap();
    let mut found = Expected { len: image.len(), ..Expected::default() };
    let (mut runs, mut reader) = (image.runs(), shelf.pages());
    let mut next = 0;
    while let Some(run) = runs.next_run().unwrap() {
        assert_eq!(run.pages.start, next, "runs leave no gap");
        next = run.pages.end;
        for page in run.pages.start..run.pages.end {
            if let Source::Pack(pack, source) = run.source.advance(page - run.pages.start) {
                let mut bytes = [0; PAGE];
                reader.read(pack, source, &mut bytes).unwrap();
                found.pages.insert(page, bytes.to_vec());
            }
        }
    }
    assert_eq!(next, image.len().div_ceil(PAGE64));
    (image.meta().clone(), found)
}

#[test]
fn golden_images_are_what_they_were() {
    for (name, images) in [("none", images_none()), ("zstd", images_zstd())] {
        let folder = copy(name);
        let room = room(folder.path());
        assert_eq!(room.label(), "db.bin");
        assert_eq!(room.snapshots().unwrap().len(), images.len());
        for (number, expected) in images.iter().enumerate() {
            let (meta, found) = stored(&room, number);
            assert!(found == *expected, "{name} @{}: other pages", number + 1);
            assert_eq!(meta.image, expected.digest(), "{name} @{}", number + 1);
            assert_eq!((meta.host.as_str(), &meta.path[..]), ("golden", &b"/golden/db.bin"[..]));
        }
    }
}

#[test]
fn golden_stores_hold_what_they_are_to_show() {
    let folder = copy("zstd");
    let room = room(folder.path());
    let all = room.snapshots().unwrap();
    let (first, last) = (stored(&room, 0).0, stored(&room, all.len() - 1).0);
    assert_eq!(first.message, "the first");
    assert!(first.stored.map.is_zero() && !last.stored.map.is_zero(), "without a map, and with one");
    assert_eq!(room.tagged("first").unwrap(), Some(all[0].id));
    let undo = room.last_change().unwrap().unwrap();
    assert_eq!((undo.from, undo.to, undo.verb.as_str()), (all[9].id, all[2].id, "revert"));
    assert_eq!(undo.from_image, last.image);
}

#[test]
fn golden_stores_verify() {
    for name in ["none", "zstd"] {
        let folder = copy(name);
        must(folder.path(), &["verify", "--store", ".memsnap"]);
    }
}

#[test]
fn golden_undo_is_taken_back() {
    let folder = copy("zstd");
    let images = images_zstd();
    let file = folder.path().join("db.bin");
    images[2].write(&file);
    must(folder.path(), &["undo", "--yes", "db.bin"]);
    assert!(Expected::read(&file) == images[9]);
}

#[test]
fn golden_history_goes_on() {
    let folder = copy("none");
    let file = folder.path().join("db.bin");
    let mut image = images_none()[2].clone();
    image.set(0, noise(200, PAGE));
    image.write(&file);
    must(folder.path(), &["snap", "--require", "none", "db.bin"]);
    let (meta, found) = stored(&room(folder.path()), 3);
    assert!(found == image && meta.changed.pages == 1);
}

#[test]
fn golden_delta_applies_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let images = images_none();
    let (file, delta) = (folder.path().join("db.bin"), golden().join("change.delta"));
    images[0].write(&file);
    must(folder.path(), &["apply", "--yes", "db.bin", delta.to_str().unwrap()]);
    assert!(Expected::read(&file) == images[1]);
    must(folder.path(), &["delta", "invert", delta.to_str().unwrap(), "-o", "back.delta"]);
    must(folder.path(), &["apply", "--yes", "db.bin", "back.delta"]);
    assert!(Expected::read(&file) == images[0]);
}

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

fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<_> = all.filter(|p| p.to_str().unwrap().ends_with(suffix)).collect();
    found.sort();
    found
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
        ("TREE", 0, 120),
        ("TREE", 1, 589_824),
        ("TREE", 2, 544),
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

#[test]
fn snapshots_are_laid_out_as_the_document_says() {
    let (tables, folder) = (tables(), copy("zstd"));
    let (room, rows) = (room(folder.path()), table(&tables, "SNAPSHOT", 0));
    for (number, name) in room.snapshots().unwrap().iter().enumerate() {
        let bytes = fs::read(room.dir().join(name.file_name())).unwrap();
        assert_eq!(Digest::of(&bytes), name.id);
        let (meta, file) = (stored(&room, number).0, Fields { rows: &rows, bytes });
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
            ("mode", meta.mode.into()),
            ("uid", meta.uid.into()),
            ("gid", meta.gid.into()),
            ("grade", meta.grade as u64),
            ("kind", meta.kind as u64),
            ("path size", meta.path.len() as u64),
            ("message size", meta.message.len() as u64),
            ("reason size", meta.reason.len() as u64),
            ("host size", meta.host.len() as u64),
            ("version size", meta.version.len() as u64),
            ("attrs", meta.attrs.len() as u64),
            ("members", 0),
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
    let (tables, folder) = (tables(), copy("zstd"));
    let dir = room(folder.path()).dir().to_path_buf();
    for path in files(&dir, ".pack") {
        let bytes = fs::read(&path).unwrap();
        let id = Digest::from_hex(path.file_stem().unwrap().to_str().unwrap()).unwrap();
        let pack = PackReader::open(bytes.clone(), &id).unwrap();
        let tail = Fields { rows: &table(&tables, "Tail", 0), bytes: bytes[bytes.len() - 64..].to_vec() };
        assert_eq!((tail.number("blocks"), tail.number("pages")), (pack.blocks() as u64, pack.pages()));
        let at = tail.number("directory") as usize;
        assert_eq!(tail.digest("check"), Digest::of(&bytes[at..bytes.len() - 40]));
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
        assert_eq!((id, pack.blocks()), (hasher.finalize().into(), 1));
    }
    let [map] = &files(&dir, ".map")[..] else { panic!("one map") };
    let map = Fields { rows: &table(&tables, "MAP", 0), bytes: fs::read(map).unwrap() };
    assert_eq!(map.number("len"), 41_943_000);
    let undo = Fields { rows: &table(&tables, "intent, undo", 0), bytes: fs::read(dir.join("undo")).unwrap() };
    assert_eq!((undo.bytes("head"), undo.number("verb size")), (&FileKind::Intent.head(0)[..], 6));
    let folder = copy("none");
    let room = room(folder.path());
    // The cache is made anew when the target is looked at.
    images_none()[2].write(room.target());
    let options = snap::Options { require: Grade::Unproven, ..snap::Options::default() };
    assert!(!snap::snap(room.target(), &options, &Quiet).unwrap().new);
    let tree = Fields { rows: &table(&tables, "TREE", 0), bytes: fs::read(room.dir().join("tree")).unwrap() };
    let (last, image) = (*room.snapshots().unwrap().last().unwrap(), images_none()[2].clone());
    assert_eq!((tree.digest("snapshot"), tree.digest("image")), (last.id, image.digest()));
    assert_eq!((tree.number("len"), tree.digest("check")), (image.len, Digest::of(&tree.bytes[..88])));
}

/// Made once, in a folder /golden on a machine of that name. Format 1 never gets others.
#[test]
#[ignore = "makes what is committed in tests/data/format-1"]
fn make_golden() {
    let folder = Path::new("/golden");
    let file = folder.join("db.bin");
    assert!(folder.is_dir() && !golden().exists());
    fs::create_dir_all(golden()).unwrap();
    let keep = |name: &str| {
        copy_dir(&folder.join(".memsnap"), &golden().join(name));
        fs::remove_dir_all(folder.join(".memsnap")).unwrap();
    };
    for (image, n) in images_none().into_iter().zip(0..) {
        image.write(&file);
        if n == 1 {
            fs::File::options().write(true).open(&file).unwrap().write_all_at(&[0; PAGE], 9 * PAGE64).unwrap();
        }
        must(folder, &["snap", "--compress", "none", "db.bin"]);
    }
    let delta = golden().join("change.delta");
    must(folder, &["delta", "make", "--reversible", "db.bin@1", "db.bin@2", "-o", delta.to_str().unwrap()]);
    keep("none");
    for (image, n) in images_zstd().into_iter().zip(0..) {
        image.write(&file);
        let first = ["snap", "-m", "the first", "--tag", "first", "db.bin"];
        must(folder, if n == 0 { &first } else { &["snap", "db.bin"] });
    }
    must(folder, &["revert", "--yes", "db.bin@3"]);
    keep("zstd");
    for store in ["none", "zstd"].map(|name| golden().join(name)) {
        fs::remove_file(store.join(".gitignore")).unwrap(); // it would hide the store from git
    }
    for room in files(&golden().join("zstd"), "") {
        let _ = fs::remove_file(room.join("tree"));
    }
}
