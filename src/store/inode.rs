//! The file `inode` of a history: which file its last snapshot was taken of. Only a hint, by which a file that was
//! renamed is recognized; it may be missing or wrong, and is not brought to the disk.

use std::ffi::OsStr;
use std::io::Write;

use super::history::History;
use super::write_lock::WriteLock;
use crate::error::{At, Result};
use crate::page::Digest;
use crate::sys::create;
use crate::sys::open::FileId;

const NAME: &str = "inode";
const MOST: usize = 256;
const CHECK_DIGITS: usize = 16;

impl FileId {
    fn line(&self) -> String {
        let born = self.born_ns.map_or("-".into(), |ns| ns.to_string());
        let words = format!("{} {} {born}", self.dev, self.ino);
        let check = Digest::of(format!("memsnap inode 1\n{words}").as_bytes()).to_string();
        format!("{words} {}\n", &check[..CHECK_DIGITS])
    }

    fn parse(line: &str) -> Option<FileId> {
        let mut words = line.split(' ');
        let (dev, ino) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let id = FileId { dev, ino, born_ns: words.next()?.parse().ok() };
        (id.line() == line).then_some(id)
    }
}

impl History {
    /// The file of the last snapshot, as far as it is known.
    #[doc(hidden)]
    pub fn known_file(&self) -> Option<FileId> {
        let bytes = create::read_small(&self.dir().join(NAME), MOST).ok()?;
        FileId::parse(std::str::from_utf8(&bytes).ok()?)
    }

    /// Remembers the file that a snapshot is taken of; where that fails, a rename is not recognized, no more.
    pub(crate) fn remember_file(&self, _writing: &WriteLock, id: FileId) {
        if self.known_file() != Some(id) {
            let _ = self.put_file(&id);
        }
    }

    fn put_file(&self, id: &FileId) -> Result<()> {
        let pending = self.pending()?;
        pending.file().write_all(id.line().as_bytes()).at("writing", &self.dir().join(NAME))?;
        pending.replace_unsynced(OsStr::new(NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_are_believed() {
        for born_ns in [None, Some(-5), Some(i128::MAX)] {
            let id = FileId { dev: 7, ino: u64::MAX, born_ns };
            let line = id.line();
            assert_eq!(FileId::parse(&line), Some(id));
            assert_eq!(FileId::parse(line.trim_end()), None);
            assert_eq!(FileId::parse(&line.replacen('7', "8", 1)), None);
        }
        assert_eq!(FileId::parse(""), None);
    }
}
