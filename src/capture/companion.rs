//! Logs that databases keep beside their file. A log is hot if the database will replay it into the file when it opens
//! it next: then the file alone is not the database, and new content under its name would be damaged.
//!
//! The header of a log decides whether it is hot, as it does for the database, and not its size: a journal with a
//! zeroed header, and a write-ahead log without a complete transaction, are not. The main file is not read: it may be
//! half-written, or not exist yet. A log that cannot be read counts as hot.
#![allow(clippy::big_endian_bytes, reason = "the headers of SQLite's logs are big-endian")]

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::error::{Cause, Error, HotLog, Log, Result};
use crate::sys::ext::{MetadataExt, OsStrExt};
use crate::sys::open;

/// A kind of log.
#[derive(Debug)]
struct LogKind {
    database: &'static str,
    suffix: &'static str,
    is_hot: fn(File) -> io::Result<bool>,
    /// What a hot one is, for messages.
    means: &'static str,
    log: Log,
}

const ALL: [LogKind; 5] = [
    LogKind {
        database: "SQLite",
        suffix: "-wal",
        is_hot: has_commit,
        means: "holds changes that are not in the file",
        log: Log::SqliteWal,
    },
    LogKind {
        database: "SQLite",
        suffix: "-journal",
        is_hot: has_journal_header,
        means: "is the journal of a transaction that was not finished",
        log: Log::SqliteJournal,
    },
    duckdb(".wal"),
    duckdb(".checkpoint.wal"),
    duckdb(".recovery.wal"),
];

const fn duckdb(suffix: &'static str) -> LogKind {
    LogKind {
        database: "DuckDB",
        suffix,
        is_hot: has_entries,
        means: "holds changes that are not in the file",
        log: Log::DuckDb,
    }
}

/// A hot log beside a file.
#[derive(Debug)]
pub struct Companion {
    /// Its path.
    pub path: PathBuf,
    database: PathBuf,
    kind: &'static LogKind,
    /// Why it could not be inspected.
    fault: Option<String>,
}

impl Companion {
    /// Returns the first hot log beside `file`, which need not exist.
    pub fn hot_beside(file: &Path) -> Option<Companion> {
        Companion::all_beside(file).next()
    }

    /// Returns the hot logs beside `file`, which need not exist.
    pub fn all_beside(file: &Path) -> impl Iterator<Item = Companion> {
        Companion::others_beside(file, |_| false)
    }

    /// As [`Companion::all_beside`], without those at paths that `known` accepts: these are not opened, as we may hold a
    /// lease on them.
    pub fn others_beside(file: &Path, known: impl Fn(&Path) -> bool) -> impl Iterator<Item = Companion> {
        ALL.iter().filter_map(move |kind| {
            let mut path = OsString::from(file);
            path.push(kind.suffix);
            let path = PathBuf::from(path);
            if known(&path) {
                return None;
            }
            match look(&path, kind) {
                Ok(false) => None,
                Ok(true) => Some(Companion { path, database: file.into(), kind, fault: None }),
                Err(fault) => Some(Companion { path, database: file.into(), kind, fault: Some(fault) }),
            }
        })
    }

    /// Whether it can be captured with its database: a regular file of the same owner.
    pub fn belongs_to(&self, database: &fs::Metadata) -> bool {
        let found = fs::symlink_metadata(&self.path);
        self.fault.is_none() && found.is_ok_and(|log| log.is_file() && log.uid() == database.uid())
    }

    /// Whether a file of this name is the index of SQLite's write-ahead log, which holds nothing: SQLite makes it anew
    /// when it opens the database.
    pub fn is_index(path: &Path) -> bool {
        let bytes = path.as_os_str().as_bytes();
        bytes.strip_suffix(b"-shm").is_some_and(|database| Path::new(OsStr::from_bytes(database)).is_file())
    }

    /// The paths of all logs that a database at `file` may have.
    pub fn paths_beside(file: &Path) -> impl Iterator<Item = PathBuf> {
        ALL.iter().map(move |kind| {
            let mut path = OsString::from(file);
            path.push(kind.suffix);
            PathBuf::from(path)
        })
    }

    /// Refuses to write content under the name `out` beside a hot log that is not among `replaced`.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is one.
    pub fn refuse_beside(out: &Path, replaced: &[PathBuf]) -> Result<()> {
        let Some(log) = Companion::all_beside(out).find(|log| !replaced.contains(&log.path)) else { return Ok(()) };
        let what = format!("{}: {} would replay it into the new file", log.what(), log.kind.database);
        let beside = if out.symlink_metadata().is_ok() { Cause::LogBesideOutput } else { Cause::LogWithoutDatabase };
        Err(Error::refused(what, beside(log.hot())))
    }

    /// Describes it: "dir/x.db-wal holds changes that are not in the file".
    pub fn what(&self) -> String {
        format!("{} {}", self.path.display(), self.is())
    }

    /// Says why the file alone is not the database; without the directory.
    pub fn reason(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!("{name} {}: the database is both together", self.is())
    }

    /// Names it: "write-ahead log x.db-wal"; without the directory.
    pub fn name(&self) -> String {
        let kind = if self.kind.suffix == "-journal" { "journal" } else { "write-ahead log" };
        format!("{kind} {}", self.path.file_name().unwrap_or_default().to_string_lossy())
    }

    fn is(&self) -> String {
        match &self.fault {
            None => self.kind.means.into(),
            Some(fault) => format!("may be a log of {} and could not be inspected ({fault})", self.kind.database),
        }
    }

    /// The same as the data of a [`Cause`].
    pub fn hot(self) -> HotLog {
        HotLog { kind: self.kind.log, path: self.path, database: self.database }
    }
}

/// Whether there is a hot log at `path`.
fn look(path: &Path, kind: &LogKind) -> Result<bool, String> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound || e.kind() == io::ErrorKind::InvalidFilename => {
            return Ok(false);
        }
        Err(e) => return Err(e.to_string()),
    };
    if found.is_symlink() {
        return Err("it is a symbolic link".into()); // databases follow it
    }
    if !found.is_file() || found.len() == 0 {
        return Ok(false);
    }
    let file = open::target_read(path).map_err(|e| match e {
        Error::Io { source, .. } => source.to_string(),
        e => e.to_string(),
    })?;
    (kind.is_hot)(file).map_err(|e| e.to_string())
}

/// Fills `buf`; false if the file is shorter.
fn fill(from: &mut impl Read, buf: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buf) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        done => done.map(|()| true),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// SQLite's write-ahead log (fileformat2.html, "The Write-Ahead Log"): hot when it has a complete transaction. Frames
/// that were copied into the database already count, as SQLite would copy them again.
fn has_commit(file: File) -> io::Result<bool> {
    const HEAD: usize = 32;
    const FRAME: usize = 24;
    let mut file = BufReader::with_capacity(256 << 10, file);
    let mut head = [0; HEAD];
    if !fill(&mut file, &mut head)? {
        return Ok(false);
    }
    let big_endian = match word(&head, 0) {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return Ok(false),
    };
    let (version, page) = (word(&head, 4), word(&head, 8));
    let mut sum = checksum(big_endian, (0, 0), &head[..24]);
    if !page.is_power_of_two() || !(512..=65536).contains(&page) || sum != (word(&head, 24), word(&head, 28)) {
        return Ok(false);
    }
    if version != 3_007_000 {
        return Ok(true); // of a future version
    }
    let mut frame = vec![0; FRAME + page as usize];
    while fill(&mut file, &mut frame)? {
        sum = checksum(big_endian, sum, &frame[..8]);
        sum = checksum(big_endian, sum, &frame[FRAME..]);
        let (number, len_after_commit) = (word(&frame, 0), word(&frame, 4));
        if number == 0 || frame[8..16] != head[16..24] || sum != (word(&frame, 16), word(&frame, 20)) {
            return Ok(false);
        }
        if len_after_commit != 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn checksum(big_endian: bool, (mut a, mut b): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let read = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    let (words, _) = bytes.as_chunks::<4>();
    for pair in words.chunks_exact(2) {
        a = a.wrapping_add(read(pair[0])).wrapping_add(b);
        b = b.wrapping_add(read(pair[1])).wrapping_add(a);
    }
    (a, b)
}

/// SQLite's rollback journal (fileformat2.html, "The Rollback Journal"): hot when it has a header that is not zeroed,
/// even without pages: SQLite then truncates the database to the length in the header.
fn has_journal_header(mut file: File) -> io::Result<bool> {
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    const SMALLEST_SECTOR: usize = 512; // a header takes a whole sector
    let mut head = [0; SMALLEST_SECTOR];
    Ok(fill(&mut file, &mut head)? && head.starts_with(&MAGIC))
}

/// DuckDB's write-ahead log: hot when the entry with its version, which comes first and ends with the bytes ff ff, is
/// not the only one.
fn has_entries(file: File) -> io::Result<bool> {
    const MOST: u64 = 256; // longer than that entry
    const VERSION: [u8; 5] = [0x64, 0x00, 0x62, 0x65, 0x00]; // entry type 98, and the number of the field "version"
    let mut head = Vec::new();
    file.take(MOST).read_to_end(&mut head)?;
    let end = head.windows(2).position(|two| two == [0xff, 0xff]).map(|at| at + 2);
    Ok(head.starts_with(&VERSION) && end.map_or(head.len() as u64 == MOST, |end| head.len() > end))
}

#[cfg(test)]
#[path = "companion_test.rs"]
mod tests;
