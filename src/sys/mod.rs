//! The kernel: the only room with `unsafe` blocks, and the only one that knows a system call by its name.
//!
//! It promises that nothing here hangs on a FIFO or a stale lock, follows a symbolic link unasked, shows anybody a
//! half-written file, or takes silence for proof: where the system cannot tell, the answer says so ([`lease`] has
//! `NotOwner` and `Unsupported`, [`procs`] has [`unseen`], [`cache`] has `None`). Linux first; what only Linux has
//! stands behind an `imp` module with an honest "not here" for others.

pub mod cache; // what of a file is in the page cache; giving back what reading brought in
pub mod child; // a command run in our place
pub mod create; // files nobody sees half-written, private folders
pub mod epoch; // a process told from those it was forked from
pub mod extents; // where the bytes of a file are on its device
pub mod fs; // which file system, how much room is left
pub mod heap; // memory that runs out
pub mod id; // random names, host, user, wall clock
pub mod lease; // proof that nobody writes
pub mod lock; // flock that waits and names who is in the way
pub mod locks; // all locks on a file, and who has them
pub mod map; // read windows of a foreign file, and the SIGBUS guard
pub mod maps; // who has a file mapped, and which parts
pub mod meta; // mode, owner, times
pub mod mount; // the mount that a file was reached through
pub mod open; // opening without hanging or following; what a file looked like
pub mod private; // directories for one owner
pub mod procs; // who has a file open or mapped
pub mod reflink; // whether a file system can share blocks
pub mod region; // private memory with files laid in it
pub mod signal; // signals that must not kill, end a wait, or are for others
pub mod sparse; // holes
mod start; // how this process was started
pub mod steady; // files that cannot change
pub mod straight; // paths on which no new link is followed
pub mod unseen; // processes that could not be looked at
pub mod written; // which pages of private memory were written
pub mod xattr; // extended attributes

/// Says why a test could not be run here.
#[cfg(test)]
pub(crate) fn skipped(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Whether `is` comes true within some seconds. Tests run side by side, and what another of them starts has, between
/// fork and exec, all our descriptors as well: for that moment a closed file is still open, a lock still held.
#[cfg(test)]
fn eventually(mut is: impl FnMut() -> bool) -> bool {
    (0..500).any(|i| {
        if i > 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        is()
    })
}
