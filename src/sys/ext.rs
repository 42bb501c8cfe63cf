//! Extension traits of the standard library that differ between systems: the rest of the crate imports them from here.

use std::fs::File;
use std::io;

#[cfg(unix)]
pub use std::os::fd::AsFd;
#[cfg(unix)]
pub use std::os::unix::ffi::{OsStrExt, OsStringExt};
#[cfg(unix)]
pub use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
#[cfg(all(unix, test))]
pub use std::os::unix::fs::{PermissionsExt, chown, symlink};
#[cfg(unix)]
pub use std::os::unix::process::ExitStatusExt;

#[cfg(windows)]
pub use self::windows::{FileExt, OsStrExt};
#[cfg(windows)]
pub use std::os::windows::io::AsHandle as AsFd;

/// A duplicate of a descriptor.
///
/// # Errors
/// When there is no further descriptor.
pub fn duplicate(of: &impl AsFd) -> io::Result<File> {
    #[cfg(unix)]
    let of = of.as_fd();
    #[cfg(windows)]
    let of = of.as_handle();
    Ok(of.try_clone_to_owned()?.into())
}

#[cfg(windows)]
mod windows {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io;
    use std::os::windows::fs::FileExt as _;

    /// As the trait of this name on Unix. The file's position moves.
    pub trait FileExt {
        /// Reads exactly `buf.len()` bytes at `offset`.
        ///
        /// # Errors
        /// `UnexpectedEof` when the file ends before.
        fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;

        /// Writes all of `buf` at `offset`.
        ///
        /// # Errors
        /// As write(2).
        fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    }

    impl FileExt for File {
        fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
            all(buf.len(), |done| self.seek_read(&mut buf[done..], offset + done as u64), io::ErrorKind::UnexpectedEof)
        }

        fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
            all(buf.len(), |done| self.seek_write(&buf[done..], offset + done as u64), io::ErrorKind::WriteZero)
        }
    }

    /// Calls `step` with the number of bytes that are done, until all are.
    fn all(len: usize, mut step: impl FnMut(usize) -> io::Result<usize>, at_end: io::ErrorKind) -> io::Result<()> {
        let mut done = 0;
        while done < len {
            match step(done) {
                Ok(0) => return Err(at_end.into()),
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// As the trait of this name on Unix.
    pub trait OsStrExt {
        /// The bytes that the standard library keeps.
        fn as_bytes(&self) -> &[u8];
    }

    impl OsStrExt for OsStr {
        fn as_bytes(&self) -> &[u8] {
            self.as_encoded_bytes()
        }
    }
}
