//! Extended attributes that belong to the user's data: `user.*`, the access list, and what root keeps with a file in
//! `trusted.*` and `security.*`.
//!
//! What the system itself stores there is left alone, as it is valid for one file in one place only: labels of security
//! modules, signatures of integrity, attributes of overlayfs. File capabilities are kept only to warn a user who does
//! not get them back.

use std::fs::File;
use std::io;

const ACL: &[u8] = b"system.posix_acl_access";

/// File capabilities, as setcap(8) sets them.
pub const CAPABILITY: &[u8] = b"security.capability";

/// The change marker, which a file has while it is changed in place: see memsnap-store(5).
pub const CHANGE_MARKER: &[u8] = b"user.memsnap.intent";

/// Prefixes of the names that the system itself uses in `trusted.*` and `security.*`.
const OF_THE_SYSTEM: [&[u8]; 6] = [
    b"trusted.overlay.",
    b"security.selinux",
    b"security.ima",
    b"security.evm",
    b"security.SMACK64",
    b"security.apparmor",
];

/// Whether attributes of this name are kept with a snapshot.
pub fn is_kept(name: &[u8]) -> bool {
    let of_root = name.starts_with(b"trusted.") || name.starts_with(b"security.");
    let of_system = OF_THE_SYSTEM.iter().any(|start| name.starts_with(start));
    name.starts_with(b"user.") || name == ACL || of_root && !of_system
}

/// Whether attributes of this name are restored when a file is changed in place: not those of root, which may be kept.
pub fn comes_back(name: &[u8]) -> bool {
    name.starts_with(b"user.") || is_acl(name)
}

/// Whether this is the name of the access control list, which only the owner sets.
pub fn is_acl(name: &[u8]) -> bool {
    name == ACL
}

/// The attributes that are kept, as names and values, sorted by name; none where the file system has no attributes.
///
/// # Errors
/// As flistxattr(2) and fgetxattr(2).
pub fn list(file: &File) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let names = imp::names(file)?;
    let mut kept = Vec::new();
    for name in names.split(|b| *b == 0).filter(|name| is_kept(name)) {
        // Absent: removed since it was listed.
        if let Some(value) = get(file, name)? {
            kept.push((name.to_vec(), value));
        }
    }
    kept.sort();
    Ok(kept)
}

/// The value of one attribute; none where it, or attributes at all, are missing.
///
/// # Errors
/// As fgetxattr(2).
pub fn get(file: &File, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    imp::get(file, name)
}

/// Sets an attribute, new or not.
///
/// # Errors
/// As fsetxattr(2); `Unsupported` where the file system has no attributes.
pub fn set(file: &File, name: &[u8], value: &[u8]) -> io::Result<()> {
    imp::set(file, name, value)
}

/// Removes an attribute; it may be missing.
///
/// # Errors
/// As fremovexattr(2).
pub fn remove(file: &File, name: &[u8]) -> io::Result<()> {
    imp::remove(file, name)
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
mod imp {
    use super::{File, io};
    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
    use rustix::io::Errno;

    #[cfg(target_os = "linux")]
    const ABSENT: Errno = Errno::NODATA;
    #[cfg(not(target_os = "linux"))]
    const ABSENT: Errno = Errno::NOATTR;

    pub(super) fn names(file: &File) -> io::Result<Vec<u8>> {
        Ok(if_any(grow(|buffer| flistxattr(file, buffer)))?.unwrap_or_default())
    }

    pub(super) fn get(file: &File, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        if_any(grow(|buffer| fgetxattr(file, name, buffer)))
    }

    pub(super) fn set(file: &File, name: &[u8], value: &[u8]) -> io::Result<()> {
        Ok(fsetxattr(file, name, value, XattrFlags::empty())?)
    }

    pub(super) fn remove(file: &File, name: &[u8]) -> io::Result<()> {
        match fremovexattr(file, name) {
            // It is there all the same.
            Err(e @ (Errno::OPNOTSUPP | Errno::NOSYS)) if matches!(get(file, name), Ok(Some(_))) => Err(e.into()),
            removed => if_any(removed).map(drop),
        }
    }

    /// None where the attribute, or attributes at all, are missing.
    fn if_any<T>(answer: Result<T, Errno>) -> io::Result<Option<T>> {
        match answer {
            Err(ABSENT | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
            answer => Ok(Some(answer?)),
        }
    }

    /// Calls with buffers up to the system's limit of 64 KiB until the answer fits.
    fn grow(call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
        for size in [256, 4096, 65536] {
            let mut buffer = vec![0; size];
            match call(&mut buffer) {
                Err(Errno::RANGE) => {}
                len => {
                    buffer.truncate(len?);
                    return Ok(buffer);
                }
            }
        }
        Err(Errno::TOOBIG)
    }
}

/// As on a file system that has no attributes.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
mod imp {
    use super::{File, io};

    pub(super) fn names(_file: &File) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    pub(super) fn get(_file: &File, _name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    pub(super) fn set(_file: &File, _name: &[u8], _value: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn remove(_file: &File, _name: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_ones_come_back_sorted() {
        let file = tempfile::tempfile().unwrap();
        if let Err(e) = set(&file, b"user.b", b"two") {
            return crate::sys::skipped(&format!("no attributes here: {e}"));
        }
        set(&file, b"user.a", &[0xFF; 2000]).unwrap();
        set(&file, b"user.empty", b"").unwrap();
        let listed = list(&file).unwrap();
        let names: Vec<&[u8]> = listed.iter().map(|(name, _)| name.as_slice()).collect();
        assert_eq!(names, [b"user.a".as_slice(), b"user.b", b"user.empty"]);
        assert_eq!(listed[0].1, [0xFF; 2000]);
        assert_eq!(get(&file, b"user.b").unwrap().unwrap(), b"two");
        set(&file, b"user.b", b"three").unwrap();
        assert_eq!(get(&file, b"user.b").unwrap().unwrap(), b"three");
        remove(&file, b"user.b").unwrap();
        remove(&file, b"user.b").unwrap();
        assert_eq!(get(&file, b"user.b").unwrap(), None);
        assert!(set(&file, b"user.\0", b"").is_err());
    }

    #[test]
    fn what_the_system_sets_is_not_kept() {
        for name in ["user.x", "system.posix_acl_access", "trusted.x", "security.x", "security.capability"] {
            assert!(is_kept(name.as_bytes()), "{name}");
        }
        for name in
            ["system.posix_acl_default", "trusted.overlay.redirect", "security.selinux", "security.ima", "btrfs.x"]
        {
            assert!(!is_kept(name.as_bytes()), "{name}");
        }
        let proc = File::open("/proc/self/status").unwrap();
        assert_eq!(list(&proc).unwrap(), []);
    }
}
