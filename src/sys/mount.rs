//! The mount that a file was reached through.

use std::fs::File;
use std::path::PathBuf;

/// A mount, as /proc/self/mountinfo describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The mount point.
    pub point: PathBuf,
    /// Its file system: `ext4`, `overlay`, `fuse.sshfs`.
    pub kind: String,
    /// Major and minor number of its device.
    pub device: (u32, u32),
    /// Whether nothing can be written through it.
    pub read_only: bool,
}

/// The mount of `file`; none where /proc does not report it.
pub fn of(file: &File) -> Option<Mount> {
    imp::of(file)
}

#[cfg(target_os = "linux")]
pub(super) use imp::unescaped;

#[cfg(target_os = "linux")]
mod imp {
    use super::{File, Mount, PathBuf};
    use std::ffi::OsString;
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStringExt;

    pub(super) fn of(file: &File) -> Option<Mount> {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
        let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().as_bytes();
        let mounts = std::fs::read("/proc/self/mountinfo").ok()?;
        mounts.split(|b| *b == b'\n').find_map(|line| parse(line, id))
    }

    /// A line: `36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
    fn parse(line: &[u8], id: &[u8]) -> Option<Mount> {
        let mut fields = line.split(|b| *b == b' ');
        if fields.next()? != id {
            return None;
        }
        let device = std::str::from_utf8(fields.nth(1)?).ok()?;
        let (major, minor) = device.split_once(':')?;
        let point = unescaped(fields.nth(1)?);
        let read_only = fields.next()?.split(|b| *b == b',').any(|word| word == b"ro");
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        Some(Mount {
            point: PathBuf::from(OsString::from_vec(point)),
            kind: String::from_utf8_lossy(kind).into_owned(),
            device: (major.parse().ok()?, minor.parse().ok()?),
            read_only,
        })
    }

    /// Blanks and backslashes are written as a backslash and three octal digits, as in /proc/swaps.
    pub(in crate::sys) fn unescaped(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((first, after)) = rest.split_first() {
            let octal = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok();
            match after.get(..3).filter(|_| *first == b'\\').and_then(octal) {
                Some(byte) => {
                    out.push(byte);
                    rest = &after[3..];
                }
                None => {
                    out.push(*first);
                    rest = after;
                }
            }
        }
        out
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::path::Path;

        #[test]
        fn lines_are_read() {
            let line = br"36 35 98:1 /sub /mnt/a\040b\134 ro,noatime master:1 shared:2 - fuse.sshfs /dev/root rw";
            let mount = parse(line, b"36").unwrap();
            assert_eq!(mount.point, Path::new("/mnt/a b\\"));
            assert_eq!((&mount.kind[..], mount.device, mount.read_only), ("fuse.sshfs", (98, 1), true));
            assert_eq!(parse(line, b"3"), None);
            assert_eq!(parse(b"", b"36"), None);
            assert_eq!(unescaped(br"\04"), br"\04");
        }

        #[test]
        fn the_root_is_mounted() {
            let mount = of(&File::open("/proc/self/stat").unwrap()).unwrap();
            assert_eq!((&mount.kind[..], mount.point), ("proc", PathBuf::from("/proc")));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn of(_file: &super::File) -> Option<super::Mount> {
        None
    }
}
