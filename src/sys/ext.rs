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
