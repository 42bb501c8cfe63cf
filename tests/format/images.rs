//! What the golden stores hold, and how they are opened.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use memsnap::pack::{Meta, RunStream, Source};
use memsnap::page::{Digest, GROUP_PAGES, ImageHasher, PAGE, PAGE64, group_digest, groups_of};
use memsnap::store::{History, Store};

/// An image: what its pages hold that are not zeros, and its length.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Expected {
    pub(crate) len: u64,
    pub(crate) pages: BTreeMap<u64, Vec<u8>>,
}

/// Bytes that look like chance, from a seed.
pub(crate) fn noise(seed: u64, n: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..n).map(|_| next()).collect()
}

impl Expected {
    /// Sets a page; past the length it is cut to zeros.
    pub(crate) fn set(&mut self, page: u64, mut bytes: Vec<u8>) {
        let there = self.len.saturating_sub(page * PAGE64).min(PAGE64) as usize;
        bytes.resize(PAGE, 0);
        bytes[there..].fill(0);
        self.pages.remove(&page);
        if bytes.iter().any(|b| *b != 0) {
            self.pages.insert(page, bytes);
        }
    }

    pub(crate) fn resize(&mut self, len: u64) {
        self.len = len;
        let all = std::mem::take(&mut self.pages);
        all.into_iter().for_each(|(page, bytes)| self.set(page, bytes));
    }

    pub(crate) fn digest(&self) -> Digest {
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
    pub(crate) fn write(&self, path: &Path) {
        let file = fs::File::options().write(true).create(true).truncate(false).open(path).unwrap();
        file.set_len(0).unwrap();
        file.set_len(self.len).unwrap();
        for (page, bytes) in &self.pages {
            let there = (self.len - page * PAGE64).min(PAGE64) as usize;
            file.write_all_at(&bytes[..there], page * PAGE64).unwrap();
        }
    }

    pub(crate) fn read(path: &Path) -> Expected {
        let bytes = fs::read(path).unwrap();
        let mut image = Expected { len: bytes.len() as u64, ..Expected::default() };
        bytes.chunks(PAGE).zip(0..).for_each(|(chunk, page)| image.set(page, chunk.to_vec()));
        image
    }
}

/// The images of store `none`: noise, a hole, a short last page; grown, page 9 being zeros held as data; cut within a
/// page.
pub(crate) fn images_none() -> Vec<Expected> {
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
pub(crate) fn images_zstd() -> Vec<Expected> {
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

pub(crate) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1")
}

/// A copy of golden store `name`, with the modes that git does not keep, in a directory of its own.
pub(crate) fn copy(name: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    copy_dir(&golden().join(name), &directory.path().join(".memsnap"));
    directory
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
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

pub(crate) fn history(directory: &Path) -> History {
    let (histories, faults) = Store::open(&directory.join(".memsnap")).unwrap().histories().unwrap();
    assert!(faults.is_empty() && histories.len() == 1);
    histories.into_iter().next().unwrap()
}

pub(crate) fn memsnap(directory: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memsnap"));
    command.args(args).current_dir(directory).env_remove("MEMSNAP_STORE");
    command.output().unwrap()
}

pub(crate) fn must(directory: &Path, args: &[&str]) -> String {
    let out = memsnap(directory, args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Every page of a stored image.
pub(crate) fn stored(history: &History, number: usize) -> (Meta, Expected) {
    let image = history.image(history.snapshots().unwrap()[number]).unwrap();
    let mut found = Expected { len: image.len(), ..Expected::default() };
    let (mut runs, mut reader) = (image.runs(), history.packs().pages());
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

/// The files of a directory whose names end so.
pub(crate) fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<_> = all.filter(|p| p.to_str().unwrap().ends_with(suffix)).collect();
    found.sort();
    found
}
