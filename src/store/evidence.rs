//! The file `evidence` of a history: what a sound reading of the target has seen of it, so that it need not be read
//! again as long as nothing of that changes. It is disposable, and not flushed to disk: one that is missing, damaged or
//! of another start of the system means that the target is read.

use std::ffi::OsStr;
use std::io::Write;
use std::time::Duration;

use super::history::History;
use crate::page::Digest;
use crate::sys::create;
use crate::sys::seen::Seen;

const NAME: &str = "evidence";
const MOST: usize = 512;

/// What kept processes from writing while the target was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    /// A lease, or it was a clone that was read: nothing was in flight.
    Excluded,
    /// A quiet window: no change was seen.
    Quiet,
}

/// What a sound reading has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The snapshot whose image was read.
    pub(crate) snapshot: Digest,
    /// The state of the target.
    pub(crate) seen: Seen,
    /// Why it was sound.
    pub(crate) means: Means,
    /// When all of the target was read last: the time since the start of the system.
    pub(crate) read: Duration,
}

impl Means {
    fn word(self) -> &'static str {
        match self {
            Means::Excluded => "excluded",
            Means::Quiet => "quiet",
        }
    }
}

impl Evidence {
    fn line(&self) -> String {
        let Evidence { snapshot, seen, means, read } = self;
        let Seen { boot, mount, dev, ino, ctime_ns } = seen;
        let (means, read) = (means.word(), read.as_nanos());
        let words = format!("{snapshot} {boot:032x} {mount} {dev} {ino} {ctime_ns} {means} {read}");
        let check = Digest::of(format!("memsnap evidence 1\n{words}").as_bytes());
        format!("{words} {check}\n")
    }

    fn parse(line: &str) -> Option<Evidence> {
        let mut words = line.split(' ');
        let snapshot = words.next()?.parse().ok()?;
        let boot = u128::from_str_radix(words.next()?, 16).ok()?;
        let (mount, dev, ino) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let ctime_ns = words.next()?.parse().ok()?;
        let word = words.next()?;
        let means = [Means::Excluded, Means::Quiet].into_iter().find(|means| means.word() == word)?;
        let read = Duration::from_nanos(words.next()?.parse().ok()?);
        let found = Evidence { snapshot, seen: Seen { boot, mount, dev, ino, ctime_ns }, means, read };
        (found.line() == line).then_some(found)
    }
}

impl History {
    /// Returns what the last sound reading has seen, if that is known.
    pub(crate) fn evidence(&self) -> Option<Evidence> {
        let bytes = create::read_small(&self.dir().join(NAME), MOST).ok()?;
        Evidence::parse(std::str::from_utf8(&bytes).ok()?)
    }

    /// Records it, under the write lock. If that fails, the target is read next time.
    pub(crate) fn put_evidence(&self, evidence: &Evidence) {
        if let Ok(pending) = self.pending()
            && pending.file().write_all(evidence.line().as_bytes()).is_ok()
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
        for (means, ctime_ns) in [(Means::Excluded, i128::MIN), (Means::Quiet, 1_700_000_000_123_456_789)] {
            let seen = Seen { boot: u128::MAX >> 4, mount: u64::MAX, dev: 7, ino: 8, ctime_ns };
            let read = Duration::from_nanos(u64::MAX);
            let evidence = Evidence { snapshot: Digest([0xab; 32]), seen, means, read };
            let line = evidence.line();
            assert!(line.len() <= MOST, "{}", line.len());
            assert_eq!(Evidence::parse(&line), Some(evidence));
            for at in 0..line.len() {
                let mut other = line.clone().into_bytes();
                other[at] ^= 1;
                assert_eq!(Evidence::parse(std::str::from_utf8(&other).unwrap()), None, "byte {at}");
                assert_eq!(Evidence::parse(&line[..at]), None, "{at} bytes");
            }
        }
    }
}
