//! A saved directory, put back as often as it is needed: faster than preparing it again.
//!
//! A file that is still there stays the same inode, as records of changes name it.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use memsnap::sys::xattr;
use tempfile::TempDir;

use crate::case::{Case, no_forks};
use crate::util::{chmod, walk};

/// An empty directory in memory where there is one, for what asks nothing of a disk; gone with the first of the two.
pub(crate) fn in_memory() -> (TempDir, Case) {
    let memory = Path::new("/dev/shm");
    let excludes = |dir: &Path| {
        let kind = File::open(dir).and_then(|f| memsnap::sys::fs::kind(&f));
        kind.is_ok_and(|kind| kind.lease_blocks_opening())
    };
    let usual = std::env::temp_dir();
    let dir = tempfile::tempdir_in(if excludes(memory) { memory } else { &usual }).unwrap();
    let case = Case::at(&dir.path().canonicalize().unwrap());
    (dir, case)
}

/// What was in a directory.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    dirs: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Content>,
}

#[derive(Clone, PartialEq, Eq)]
struct Content {
    bytes: Vec<u8>,
    mode: u32,
    modified: SystemTime,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Kept {
    /// Reads all of the directory.
    pub(crate) fn of(case: &Case) -> Kept {
        let _alone = no_forks();
        let mut kept = Kept { dirs: Vec::new(), files: BTreeMap::new() };
        walk(case.dir(), &mut |path, meta| match meta.is_dir() {
            true => kept.dirs.push(path.into()),
            false => drop(kept.files.insert(path.into(), Content::of(path))),
        });
        kept
    }

    /// But for what a reading verb may leave for the next writer: the byte in `lock` by which it looks for garbage, and
    /// the time of a pack by which it proves that.
    pub(crate) fn but_for_hints(mut self) -> Kept {
        for (path, content) in &mut self.files {
            if path.ends_with("lock") {
                content.bytes.clear();
            }
            if path.ends_with("lock") || path.extension().is_some_and(|ending| ending == "pack") {
                content.modified = SystemTime::UNIX_EPOCH;
            }
        }
        self
    }

    /// Whether all files are what they were, and no other is there.
    pub(crate) fn is_kept(&self, case: &Case) -> bool {
        Kept::of(case).files == self.files
    }

    /// Makes the directory what it was.
    pub(crate) fn put_back(&self, case: &Case) {
        let mut gone = Vec::new();
        walk(case.dir(), &mut |path, meta| {
            if !self.dirs.iter().any(|dir| dir == path) && !self.files.contains_key(path) {
                gone.push((path.to_path_buf(), meta.is_dir()));
            }
        });
        for (path, is_dir) in gone.into_iter().rev() {
            if is_dir { fs::remove_dir(path) } else { fs::remove_file(path) }.unwrap();
        }
        for dir in &self.dirs {
            if !dir.exists() {
                fs::create_dir(dir).unwrap();
                chmod(dir, 0o700);
            }
        }
        // No process is started while they are open for writing.
        let _alone = no_forks();
        for (path, content) in &self.files {
            if !path.exists() || Content::of(path) != *content {
                content.put(path);
            }
        }
    }
}

impl Content {
    fn of(path: &Path) -> Content {
        let metadata = fs::metadata(path).unwrap();
        Content {
            bytes: fs::read(path).unwrap(),
            mode: metadata.permissions().mode() & 0o7777,
            modified: metadata.modified().unwrap(),
            attributes: xattr::list(&File::open(path).unwrap()).unwrap_or_default(),
        }
    }

    fn put(&self, path: &Path) {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path).unwrap();
        file.write_all(&self.bytes).unwrap();
        for (name, _) in xattr::list(&file).unwrap_or_default() {
            xattr::remove(&file, &name).unwrap();
        }
        for (name, value) in &self.attributes {
            xattr::set(&file, name, value).unwrap();
        }
        file.set_permissions(Permissions::from_mode(self.mode)).unwrap();
        file.set_times(FileTimes::new().set_modified(self.modified)).unwrap();
    }
}
