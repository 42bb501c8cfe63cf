//! Paths whose links were followed once, when they were resolved: a link that has appeared on the way since is not
//! followed. Whoever may rename a folder on the way could else lead us anywhere.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, renameat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

/// open(2), by whatever links a relative path has; an absolute one must have none. Fails with ELOOP where one is.
#[cfg(target_os = "linux")]
pub(crate) fn open(path: &Path, flags: OFlags) -> Result<File, Errno> {
    if path.is_absolute() {
        let resolve = rustix::fs::ResolveFlags::NO_SYMLINKS;
        match retry_on_intr(|| rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), resolve)) {
            // Linux before 5.6; some containers forbid what they do not know.
            Err(Errno::NOSYS) => {}
            Err(Errno::PERM) if !flags.contains(OFlags::NOATIME) => {}
            opened => return opened.map(File::from),
        }
    }
    retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())).map(File::from)
}

/// open(2). That no link is on the way, `flags` can only say of the last name.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open(path: &Path, flags: OFlags) -> Result<File, Errno> {
    retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())).map(File::from)
}

/// The folder itself, so that it stays the same one whatever happens to its path.
pub(super) fn folder(dir: &Path) -> Result<File, Errno> {
    open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC)
}

/// The folder that `path` is in.
pub(super) fn folder_of(path: &Path) -> Result<File, Errno> {
    folder(parent(path))
}

/// The path of the folder that `path` is in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder that only its owner can enter.
pub(super) fn make_dir(dir: &Path) -> Result<(), Errno> {
    mkdirat(folder_of(dir)?, dir.file_name().ok_or(Errno::EXIST)?, Mode::RWXU)
}

/// Removes a file, never what a link leads to.
///
/// # Errors
/// What unlink(2) says; ELOOP when a link has appeared on the way.
pub fn remove_file(path: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or(Errno::ISDIR)?;
    Ok(unlinkat(folder_of(path)?, name, AtFlags::empty())?)
}

/// Gives a file or folder another path; neither may lead over a link.
///
/// # Errors
/// What rename(2) says; ELOOP when a link has appeared on the way.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (old, new) = (from.file_name().ok_or(Errno::INVAL)?, to.file_name().ok_or(Errno::INVAL)?);
    Ok(renameat(folder_of(from)?, old, folder_of(to)?, new)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_on_the_way_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (real, link) = (base.join("real"), base.join("link"));
        std::fs::create_dir(&real).unwrap();
        std::fs::write(real.join("f"), b"f").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        #[cfg(target_os = "linux")]
        assert!(open(&link.join("f"), OFlags::RDONLY).is_err_and(|e| e == Errno::LOOP));
        assert!(folder(&link).is_err() && make_dir(&link.join("d")).is_err());
        assert!(remove_file(&link.join("f")).is_err());
        assert!(rename(&link.join("f"), &real.join("g")).is_err() && rename(&real.join("f"), &link.join("g")).is_err());
        assert_eq!(std::fs::read(real.join("f")).unwrap(), b"f");
        make_dir(&real.join("d")).unwrap();
        rename(&real.join("f"), &real.join("d/g")).unwrap();
        remove_file(&real.join("d/g")).unwrap();
        assert!(real.join("d").is_dir() && !real.join("d/g").exists());
    }
}
