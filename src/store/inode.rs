//! The file `inode` of a history identifies the file of its last snapshot, so that a renamed file is recognized. It is
//! a hint: it may be missing or wrong, and is not flushed to disk.

use std::ffi::OsStr;
use std::io::Write;

use super::history::History;
use super::write_lock::WriteLock;
use crate::page::Digest;
use crate::sys::create;
use crate::sys::open::FileId;

const NAME: &str = "inode";
const MOST: usize = 256;

impl FileId {
    fn line(&self) -> String {
        let born = self.born_ns.map_or("-".into(), |ns| ns.to_string());
        let words = format!("{} {} {born}", self.dev, self.ino);
        let check = Digest::of(format!("memsnap inode 1\n{words}").as_bytes()).to_string();
        format!("{words} {}\n", &check[..16])
    }

    fn parse(line: &str) -> Option<FileId> {
        let mut words = line.split(' ');
        let (dev, ino) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let id = FileId { dev, ino, born_ns: words.next()?.parse().ok() };
        (id.line() == line).then_some(id)
    }
}

impl History {
    /// Returns the file of the last snapshot, if it is known.
    #[doc(hidden)]
    pub fn known_file(&self) -> Option<FileId> {
        let bytes = create::read_small(&self.dir().join(NAME), MOST).ok()?;
        FileId::parse(std::str::from_utf8(&bytes).ok()?)
    }

    /// Records the file of a snapshot. If that fails, a rename will not be recognized.
    pub(crate) fn remember_file(&self, _lock: &WriteLock, id: FileId) {
        if self.known_file() != Some(id)
            && let Ok(pending) = self.pending()
            && pending.file().write_all(id.line().as_bytes()).is_ok()
        {
            let _ = pending.replace_unsynced(OsStr::new(NAME));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_are_accepted() {
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
