//! The processes that have a file mapped, which parts of it, and how, as /proc/PID/maps shows it.

use std::fs::File;

use super::unseen::Unseen;

/// A part of a file in the memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappedRange {
    /// Offset of its first byte in the file.
    pub start: u64,
    /// One past its last; may be past the end of the file.
    pub end: u64,
    /// Whether writes go to the file; otherwise they go to a private copy.
    pub shared: bool,
    /// Whether it may be read.
    pub readable: bool,
    /// Whether it may be written, at this moment: mprotect(2) can change that.
    pub writable: bool,
    /// Whether it may be executed.
    pub executable: bool,
}

impl MappedRange {
    /// Whether writes to it change the file.
    pub fn changes_file(&self) -> bool {
        self.shared && self.writable
    }

    /// Sharing and permissions: `shared read+write`.
    pub fn describe(&self) -> String {
        let whose = if self.shared { "shared" } else { "private" };
        let may = [(self.readable, "read"), (self.writable, "write"), (self.executable, "execute")];
        let may: Vec<_> = may.iter().filter(|(may, _)| *may).map(|(_, what)| *what).collect();
        format!("{whose} {}", if may.is_empty() { "no access".into() } else { may.join("+") })
    }
}

/// A process that has a file mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapper {
    /// Its PID.
    pub pid: u32,
    /// Its name, which it can choose itself: to be escaped for a terminal.
    pub command: String,
    /// The ranges, by offset; adjacent ones of the same kind are joined.
    pub ranges: Vec<MappedRange>,
}

/// The processes that have a file mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mappers {
    /// Those that are visible, by PID.
    pub list: Vec<Mapper>,
    /// Those that could not be inspected.
    pub unseen: Unseen,
}

/// All processes but this one that have `file` mapped.
pub fn mappers(file: &File) -> Mappers {
    imp::mappers(file)
}

/// Sorts by offset, and joins adjacent ranges of the same kind.
#[cfg(target_os = "linux")]
fn joined(mut ranges: Vec<MappedRange>) -> Vec<MappedRange> {
    let how = |r: &MappedRange| (r.shared, r.readable, r.writable, r.executable);
    ranges.sort_unstable_by_key(|r| (how(r), r.start, r.end));
    ranges.dedup_by(|next, kept| {
        let joins = how(next) == how(kept) && next.start <= kept.end;
        if joins {
            kept.end = kept.end.max(next.end);
        }
        joins
    });
    ranges.sort_unstable();
    ranges
}

#[cfg(target_os = "linux")]
pub(super) use imp::scan;

#[cfg(target_os = "linux")]
mod imp {
    use super::{File, MappedRange, Mapper, Mappers, Unseen, joined};
    use crate::sys::process::{Identity, Inspected, living, pids, unless_gone, unseen_from_here};
    use std::io::{BufRead, BufReader};

    pub(super) fn mappers(file: &File) -> Mappers {
        let (Some(identity), Ok(mut pids)) = (Identity::of(file), pids()) else {
            return Mappers { list: Vec::new(), unseen: Unseen::all() };
        };
        let mut found = Mappers { list: Vec::new(), unseen: unseen_from_here() };
        pids.retain(|pid| *pid != std::process::id());
        pids.sort_unstable();
        for pid in pids {
            let mut ranges = Vec::new();
            if scan(pid, &identity, |range| ranges.push(range)) == Inspected::No {
                found.unseen.pids.insert(pid);
            }
            if let Some(command) = (!ranges.is_empty()).then(|| living(pid)).flatten() {
                found.list.push(Mapper { pid, command, ranges: joined(ranges) });
            }
        }
        found
    }

    /// Calls `found` with each part of the file that `pid` has mapped.
    pub(in crate::sys) fn scan(pid: u32, file: &Identity, mut found: impl FnMut(MappedRange)) -> Inspected {
        let maps = match File::open(format!("/proc/{pid}/maps")) {
            Ok(maps) => maps,
            Err(e) => return unless_gone(pid, &e),
        };
        for line in BufReader::new(maps).split(b'\n') {
            match line {
                // The path at its end need not be UTF-8.
                Ok(line) => parse(&String::from_utf8_lossy(&line), file).into_iter().for_each(&mut found),
                Err(e) => return unless_gone(pid, &e),
            }
        }
        Inspected::Yes
    }

    /// A line: `7f00-7f01 rw-s 00000000 fe:00 123   /path`.
    fn parse(line: &str, file: &Identity) -> Option<MappedRange> {
        let mut fields = line.split_ascii_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let (may, offset) = (fields.next()?, fields.next()?);
        if !file.is(fields.next()?, fields.next()?) {
            return None;
        }
        let number = |text| u64::from_str_radix(text, 16).ok();
        let start = number(offset)?;
        let len = number(to)?.checked_sub(number(from)?)?;
        Some(MappedRange {
            start,
            end: start.saturating_add(len),
            shared: may.ends_with('s'),
            readable: may.contains('r'),
            writable: may.contains('w'),
            executable: may.contains('x'),
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn mappers(_file: &super::File) -> super::Mappers {
        super::Mappers { list: Vec::new(), unseen: super::Unseen::all() }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::{Command, Stdio};

    fn range(start: u64, end: u64, shared: bool) -> MappedRange {
        MappedRange { start, end, shared, readable: true, writable: true, executable: false }
    }

    #[test]
    fn neighbours_are_one() {
        let found = joined(vec![range(8, 12, true), range(0, 4, true), range(4, 8, true), range(2, 3, false)]);
        assert_eq!(found, [range(0, 12, true), range(2, 3, false)]);
        assert_eq!(found[0].describe(), "shared read+write");
        assert!(found[0].changes_file() && !found[1].changes_file());
    }

    #[test]
    fn ranges_of_another_process() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let script = "import mmap,os,sys\nf=os.open(sys.argv[1],os.O_RDWR)\n\
                      a=mmap.mmap(f,65536,offset=65536)\n\
                      b=mmap.mmap(f,4096,flags=mmap.MAP_PRIVATE,prot=mmap.PROT_READ)\n\
                      print('ready',flush=True)\nsys.stdin.read()";
        let mut python = Command::new("python3");
        python.args(["-c", script]).arg(file.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = python.spawn() else {
            return crate::sys::skipped("no python3");
        };
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        let found = mappers(file.as_file());
        let mapper = found.list.iter().find(|m| m.pid == child.id()).unwrap();
        let expected = [MappedRange { writable: false, ..range(0, 4096, false) }, range(65536, 131_072, true)];
        assert_eq!(mapper.ranges, expected);
        assert!(mapper.command.starts_with("python"), "{}", mapper.command);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
