//! The kernel: the only module with `unsafe` blocks, and the only one that makes system calls.
//!
//! Nothing here hangs on a FIFO or a stale lock, follows a symbolic link unless asked to, shows another process a
//! half-written file, or takes a missing answer for proof: what the system does not report is returned as unknown
//! ([`lease`] has `NotOwner` and `Unsupported`, [`openers`] has [`unseen`], [`cache`] has `None`). What only some
//! systems have is in modules `imp`, one for each; those of the others return `Unsupported`, or an answer that promises
//! nothing.
//!
//! # What safe code relies on
//!
//! No safe function that can be reached from outside the crate can cause undefined behaviour. Where soundness depends
//! on how a file, a mapping or a descriptor is used, a type guarantees it, and the modules with these types are private
//! to the crate:
//!
//! | type | promise | established by |
//! |---|---|---|
//! | `sealed::Sealed` | the file's bytes and length do not change while it exists | a sealed memory file; a scratch file or clone without a name whose descriptor never leaves the type; or `unsafe` |
//! | `sealed::Draft` | a file that is still being filled is not mapped | it can be written, and becomes a `Sealed` by value |
//! | `sealed::Promise` | what its `unsafe` constructor was promised holds as long as it exists | `unsafe` |
//! | `region::Region` | all bytes are mapped, initialised, private, and borrowed by the rules of references | it lays only a `Sealed`; taking access away is `unsafe` |
//! | `mapped_window::MappedWindow` | bytes of a file that others may write to: only hashed, compared or copied | `MappedWindow::with` is private to the crate, and only the scan calls it |
//! | `program::lockable::Lockable` | a descriptor that may belong to other code is only locked, never read, written or closed | it gives out no `File` and no descriptor |
//!
//! ```compile_fail,E0603
//! use memsnap::sys::sealed::Draft; // could seal a file that another process has open
//! ```
//! ```compile_fail,E0603
//! use memsnap::sys::region::Region; // could map it
//! ```
//! ```compile_fail,E0603
//! use memsnap::sys::mapped_window::MappedWindow; // shows bytes of a file while others write to it
//! ```

#[cfg(unix)]
pub mod cache; // which parts of a file are in the page cache; dropping what reading brought in
pub mod create; // files that appear complete, private directories
#[cfg(unix)]
pub mod descriptor; // paths that name a descriptor
pub(crate) mod epoch; // distinguishes a process from those it was forked from
pub mod ext; // extension traits of the standard library
pub mod extents; // where the bytes of a file are on its device
#[cfg(unix)]
pub mod freeze; // stopping who writes to a file, for a short time
#[cfg(unix)]
pub mod fs; // which file system, how much space is left
pub mod id; // random names, host, user, wall clock
pub mod kernel_locks; // all locks on a file, and who has them
#[cfg(target_os = "linux")]
mod kernel_users; // loop devices and swap space
pub mod lease; // proof that no process writes
pub mod lock; // flock that waits and names the holder
#[cfg(unix)]
pub(crate) mod mapped_window; // read windows of a file that others may write to
#[cfg(unix)]
pub mod meta; // mode, owner, times
pub mod mount; // the mount that a file was reached through
#[cfg(unix)]
pub mod no_follow; // paths on which no new link is followed
pub mod open; // opening without hanging or following
mod open_mode; // what an open file is for
pub mod openers; // who has a file open or mapped
#[cfg(unix)]
mod own_file; // small files in stores
pub(crate) mod pool; // work on many threads
#[cfg(unix)]
mod private; // directories for one owner
pub mod proc_maps; // who has a file mapped, and which parts
mod process; // processes as /proc shows them
#[cfg(all(unix, feature = "program"))]
pub mod program; // what only a program may do to its process
pub mod quiet; // whether a file shows each write to it
pub mod reflink; // whether a file system can share blocks
pub(crate) mod region; // private memory with files laid in it
pub(crate) mod sealed; // files that cannot change
#[cfg(unix)]
pub(crate) mod seen; // whether a file was out of sight
pub mod sparse; // holes
pub mod unseen; // processes that could not be inspected
pub(crate) mod written; // which pages of private memory were written
pub mod xattr; // extended attributes

/// Reports why a test could not be run here.
#[cfg(test)]
pub(crate) fn skipped(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Creates a FIFO.
#[cfg(test)]
pub(crate) fn make_fifo(path: &std::path::Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
}

/// Whether `is` becomes true within some seconds. Tests run in parallel, and a command that another one starts has all
/// our descriptors between fork and exec: until then a closed file is still open, a lock still held.
#[cfg(test)]
fn eventually(mut is: impl FnMut() -> bool) -> bool {
    (0..500).any(|i| {
        if i > 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        is()
    })
}
