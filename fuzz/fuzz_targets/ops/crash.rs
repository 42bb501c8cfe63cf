//! Death at the Nth step, and single faults: every system call that changes a file is a step, and is counted here.
//!
//! The calls are stopped where they leave the program: this file defines the functions of libc by which std and rustix
//! make them, and the linker takes these in place of those of libc. So memsnap knows nothing of it, and no place that
//! writes can be forgotten. A dead process goes on, but each of its steps fails: nothing that it does while it returns
//! its errors and drops what it has reaches a file. To kill a real one for each input would take ten times as long.
#![allow(unsafe_code, reason = "functions of libc are defined again, with their raw arguments")]

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering::SeqCst};

use libc::{iovec, mode_t, off64_t, size_t, ssize_t};

const OFF: i64 = i64::MIN;
/// Steps until the one that is struck; zero or less when it was; [`OFF`] when nothing is counted.
static LEFT: AtomicI64 = AtomicI64::new(OFF);
static BLOW: AtomicU8 = AtomicU8::new(0);
const PAGE: usize = 4096;

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The process dies before it.
    Death,
    /// The process dies amid it: a write has got as far as a page in its middle, where a kill can stop it.
    Halfway,
    /// As a loss of power can leave it: a write has got to its middle, wherever that is.
    Torn,
    /// The disk is full, this once.
    Full,
    /// The disk fails, this once.
    Broken,
}

impl Blow {
    pub(crate) fn of(number: u8) -> Blow {
        let all = [Blow::Death, Blow::Halfway, Blow::Torn, Blow::Full, Blow::Broken];
        all[usize::from(number) % all.len()]
    }
}

/// Does `work`, whose step number `step` is struck; 0 for none. Also says whether it came to that.
pub(crate) fn during<T>(step: u8, blow: Blow, work: impl FnOnce() -> T) -> (T, bool) {
    if step == 0 {
        return (work(), false);
    }
    BLOW.store(blow as u8, SeqCst);
    LEFT.store(step.into(), SeqCst);
    let done = work();
    (done, LEFT.swap(OFF, SeqCst) <= 0)
}

/// What becomes of a step.
enum Fate {
    Done,
    /// This blow strikes it.
    Struck(Blow),
}

fn fate() -> Fate {
    if LEFT.load(SeqCst) == OFF {
        return Fate::Done;
    }
    match (LEFT.fetch_sub(1, SeqCst), Blow::of(BLOW.load(SeqCst))) {
        (2.., _) | (..=0, Blow::Full | Blow::Broken) => Fate::Done,
        (1, blow) => Fate::Struck(blow),
        (..=0, _) => Fate::Struck(Blow::Death),
    }
}

fn fails<T: From<i8>>(blow: Blow) -> T {
    let errno = if blow == Blow::Full { libc::ENOSPC } else { libc::EIO };
    // SAFETY: this is where the error of this thread is kept, for as long as it runs.
    unsafe { *libc::__errno_location() = errno };
    T::from(-1)
}

/// Defines functions of libc that are one step each: the system call of that name, or an error.
macro_rules! steps {
    ($($name:ident($($arg:ident: $kind:ty),*) as $number:ident;)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($arg: $kind),*) -> c_int {
            match fate() {
                // SAFETY: the caller answers for the arguments, as it would to libc.
                Fate::Done => unsafe { libc::syscall(libc::$number, $($arg),*) as c_int },
                Fate::Struck(blow) => fails(blow),
            }
        }
    )*};
}

steps! {
    ftruncate64(file: c_int, len: off64_t) as SYS_ftruncate;
    fallocate64(file: c_int, mode: c_int, at: off64_t, len: off64_t) as SYS_fallocate;
    fsync(file: c_int) as SYS_fsync;
    fdatasync(file: c_int) as SYS_fdatasync;
    fchmod(file: c_int, mode: mode_t) as SYS_fchmod;
    fsetxattr(file: c_int, name: *const c_char, value: *const c_void, len: size_t, flags: c_int) as SYS_fsetxattr;
    fremovexattr(file: c_int, name: *const c_char) as SYS_fremovexattr;
    linkat(from: c_int, old: *const c_char, to: c_int, new: *const c_char, flags: c_int) as SYS_linkat;
    renameat(from: c_int, old: *const c_char, to: c_int, new: *const c_char) as SYS_renameat;
    renameat2(from: c_int, old: *const c_char, to: c_int, new: *const c_char, flags: c_uint) as SYS_renameat2;
    rename(old: *const c_char, new: *const c_char) as SYS_rename;
    unlinkat(dir: c_int, path: *const c_char, flags: c_int) as SYS_unlinkat;
    unlink(path: *const c_char) as SYS_unlink;
    mkdir(path: *const c_char, mode: mode_t) as SYS_mkdir;
    mkdirat(dir: c_int, path: *const c_char, mode: mode_t) as SYS_mkdirat;
    rmdir(path: *const c_char) as SYS_rmdir;
}

/// How much of a struck write of `len` bytes to `at` is done.
fn part(blow: Blow, at: Option<off64_t>, len: usize) -> usize {
    let at = at.unwrap_or(0) as usize;
    match blow {
        Blow::Torn => len / 2,
        Blow::Halfway => ((at + len / 2) / PAGE * PAGE).saturating_sub(at),
        _ => 0,
    }
}

/// A write that is not counted, or its part and an error.
fn write_at(file: c_int, from: *const c_void, len: size_t, at: Option<off64_t>) -> ssize_t {
    let put = |len: size_t| match at {
        // SAFETY: the caller answers for so many bytes from there on, as it would to libc.
        Some(at) => unsafe { libc::syscall(libc::SYS_pwrite64, file, from, len, at) as ssize_t },
        // SAFETY: likewise.
        None => unsafe { libc::syscall(libc::SYS_write, file, from, len) as ssize_t },
    };
    // What goes to the terminal changes no file.
    match if file <= 2 { Fate::Done } else { fate() } {
        Fate::Done => put(len),
        Fate::Struck(blow) => {
            let part = part(blow, at, len);
            if part > 0 {
                put(part);
            }
            fails(blow)
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(file: c_int, from: *const c_void, len: size_t) -> ssize_t {
    write_at(file, from, len, None)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(file: c_int, from: *const c_void, len: size_t, at: off64_t) -> ssize_t {
    write_at(file, from, len, Some(at))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(file: c_int, parts: *const iovec, n: c_int) -> ssize_t {
    match if file <= 2 { Fate::Done } else { fate() } {
        // SAFETY: the caller answers for the arguments, as it would to libc.
        Fate::Done => unsafe { libc::syscall(libc::SYS_writev, file, parts, n) as ssize_t },
        Fate::Struck(blow) => fails(blow),
    }
}
