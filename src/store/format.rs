//! The file `format` of a store: one line with the format and the features that a reader must know.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use crate::error::{At, Result};
use crate::page::Digest;
use crate::sys::create::Owner;
use crate::sys::{create, id};

/// The format that this version writes.
const FORMAT: &str = "1";
/// The lowest version of memsnap that reads what this one writes.
const LOWEST: &str = "0.1.0";
/// Names of the features beyond format 1 that this version knows. A version that writes something new into a store
/// first adds the name of that feature to the line.
const FEATURES: [&str; 0] = [];

/// Writes the file `format` with a new id; `publish` gives it its name.
pub(super) fn put(dir: &Path, owner: Owner, publish: impl FnOnce(create::Pending, &OsStr) -> Result<()>) -> Result<()> {
    let store_id: String = id::random16().iter().map(|b| format!("{b:02x}")).collect();
    let line = format!("memsnap {FORMAT} {store_id} {LOWEST}");
    let line = format!("{line} {}\n", Digest::of(line.as_bytes()));
    let format = create::Pending::owned(dir, owner)?;
    format.file().write_all(line.as_bytes()).at("writing", &dir.join("format"))?;
    publish(format, OsStr::new("format"))?;
    create::sync_dir(dir)
}

/// Checks the line: the format, the id of the store, the lowest version of memsnap that reads it, the required
/// features, and the digest of all before. `None` if it is damaged, `Err` with what a newer version has put in it.
pub(super) fn read(bytes: &[u8]) -> Option<Result<(), String>> {
    let (line, digest) = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.rsplit_once(' ')?;
    if Digest::of(line.as_bytes()).to_string() != digest {
        return None;
    }
    let rest = line.strip_prefix("memsnap ")?;
    let (format, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut words = rest.split(' ');
    let (id, lowest) = (words.next()?, words.next());
    let lowest = lowest.filter(|lowest| lowest.starts_with(|c: char| c.is_ascii_digit()));
    let needs = lowest.map_or(String::new(), |lowest| format!(": it needs memsnap {lowest} or newer"));
    if format != FORMAT {
        return Some(Err(format!("the store has format {format}{needs}")));
    }
    if lowest.is_none() || id.len() != 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let unknown: Vec<_> = words.filter(|feature| !FEATURES.contains(feature)).collect();
    if unknown.is_empty() {
        return Some(Ok(()));
    }
    Some(Err(format!("the store uses features that this version does not know ({}){needs}", unknown.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(line: &str) -> Vec<u8> {
        format!("{line} {}\n", Digest::of(line.as_bytes())).into_bytes()
    }

    #[test]
    fn lines_of_newer_versions_are_not_damaged() {
        let id = "0".repeat(32);
        assert_eq!(read(&sealed(&format!("memsnap 1 {id} 0.1.0"))), Some(Ok(())));
        // The features decide, not the version.
        assert_eq!(read(&sealed(&format!("memsnap 1 {id} 7.0.0"))), Some(Ok(())));
        for (line, words) in [
            (format!("memsnap 1 {id} 0.3.0 packed-maps"), vec!["packed-maps", "memsnap 0.3.0 or newer"]),
            (format!("memsnap 1 {id} 0.4.0 packed-maps sets"), vec!["packed-maps, sets", "memsnap 0.4.0 or newer"]),
            (format!("memsnap 2 {id} 1.0.0"), vec!["format 2", "memsnap 1.0.0 or newer"]),
            ("memsnap 2".into(), vec!["format 2"]),
            (format!("memsnap 2 {id}"), vec!["format 2"]),
        ] {
            let newer = read(&sealed(&line)).expect("it is sound").expect_err("it is newer");
            assert!(words.iter().all(|word| newer.contains(word)), "{line}: {newer}");
        }
    }

    #[test]
    fn other_lines_are_damaged() {
        let id = "0".repeat(32);
        for line in [format!("memsnap 1 {id}"), format!("memsnap 1 {id} sets"), "memsnap 1 0 0.1.0".into(), id.clone()]
        {
            assert_eq!(read(&sealed(&line)), None, "{line}");
        }
        let good = sealed(&format!("memsnap 1 {id} 0.1.0 sets"));
        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&flipped), None, "bit {bit}");
        }
        assert_eq!(read(&good[..good.len() - 1]), None);
    }
}
