//! Extension traits of the standard library that differ between systems: the one place where the rest of the crate gets
//! them from.

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
mod windows {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io;
    use std::os::windows::fs::FileExt as _;

    /// As the trait of this name on Unix.
    pub trait FileExt {
        /// Reads exactly `buf.len()` bytes at `offset`.
        ///
        /// # Errors
        /// `UnexpectedEof` when the file ends before.
        fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    }

    impl FileExt for File {
        fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
            let mut done = 0;
            while done < buf.len() {
                match self.seek_read(&mut buf[done..], offset + done as u64) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(n) => done += n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
            Ok(())
        }
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
