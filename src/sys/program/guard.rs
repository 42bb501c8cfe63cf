//! The guard against SIGBUS: a handler that makes the end of a mapped file an error (see `crate::sys::mapped_window`).
#![allow(unsafe_code, reason = "a signal handler")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::sys::mapped_window::{GUARDED, cover};

/// The previous handler of SIGBUS.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();
/// Page size, kept here as the handler may call next to nothing.
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(0);

/// Installs the guard, once; later calls do nothing. For the program, before it reads: it takes SIGBUS over, and passes
/// on, to the previous handler, what no window caused.
pub fn install() {
    BEFORE.get_or_init(|| {
        PAGE_SIZE.store(rustix::param::page_size(), SeqCst);
        // Read first, so that the handler finds it from its first moment on.
        let before = sigbus_action(None);
        let mut ours = no_action();
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
        ours.sa_sigaction = handler as libc::sighandler_t;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        sigbus_action(Some(&ours));
        GUARDED.store(true, SeqCst);
        before
    });
}

fn no_action() -> libc::sigaction {
    // SAFETY: `sigaction` is a C struct of integers and pointers; all zero is a valid one (SIG_DFL, empty mask).
    unsafe { std::mem::zeroed() }
}

/// Sets the action for SIGBUS where one is given; returns the one before.
fn sigbus_action(new: Option<&libc::sigaction>) -> libc::sigaction {
    let mut old = no_action();
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: sigaction(2) wants a null or valid new action and a valid place for the old one; both live through the
    // call. What is installed is `on_sigbus`, which does only what a handler may, or the default.
    unsafe { libc::sigaction(libc::SIGBUS, new, &raw mut old) };
    old
}

/// Runs on the thread that faulted, at any point of it: atomics, mmap(2) and sigaction(2), no allocation, no lock.
extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a valid `siginfo_t`, which is ours until we return.
    let told = unsafe { &*info };
    let from_kernel = told.si_code > 0;
    // SAFETY: the field is there and set for a fault; for a signal that was sent it is a meaningless number, not used.
    let addr = unsafe { told.si_addr() } as usize;
    if !(from_kernel && cover(addr, PAGE_SIZE.load(SeqCst))) {
        pass_on(from_kernel, signal, info, context);
    }
}

/// What would have happened without us.
fn pass_on(fault: bool, signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let before = BEFORE.get().copied().unwrap_or_else(no_action);
    match before.sa_sigaction {
        libc::SIG_IGN if !fault => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // Not in our hands any more: a fault happens again when we return, and then kills (the kernel does not let
            // one be ignored); a signal that was sent does not.
            sigbus_action(Some(&no_action()));
        }
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            type Full = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: the code that installed this address with SA_SIGINFO promised the kernel a function of this type.
            let handler = unsafe { std::mem::transmute::<libc::sighandler_t, Full>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: the code that installed this address without SA_SIGINFO promised the kernel a function of this
            // type.
            let handler = unsafe { std::mem::transmute::<libc::sighandler_t, extern "C" fn(libc::c_int)>(handler) };
            handler(signal);
        }
    }
    // The handler of Rust's runtime gives way by setting the default and returning, which a fault comes back from.
    let gave_way = sigbus_action(None).sa_sigaction == libc::SIG_DFL;
    if gave_way && !fault {
        // SAFETY: raise(3) may be called in a handler; it takes a valid signal number.
        unsafe { libc::raise(signal) };
    }
}
