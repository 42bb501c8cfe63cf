//! The guard against SIGBUS: a handler that makes the end of a mapped file an error (see `crate::sys::mapped_window`).
#![allow(unsafe_code, reason = "a signal handler")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::signal;
use crate::sys::mapped_window::{GUARDED, cover};

/// The previous handler of SIGBUS.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();
/// The page size, stored here as the handler may call hardly anything.
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(0);

/// Installs the guard, once; later calls do nothing. A program calls it before it reads. It handles SIGBUS, and passes
/// what no window caused on to the previous handler.
pub fn install() {
    BEFORE.get_or_init(|| {
        PAGE_SIZE.store(rustix::param::page_size(), SeqCst);
        // Read first, so that the handler has it from the first moment on.
        let before = signal::action_of(libc::SIGBUS);
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
        signal::act(libc::SIGBUS, handler as libc::sighandler_t, libc::SA_SIGINFO | libc::SA_ONSTACK);
        GUARDED.store(true, SeqCst);
        before
    });
}

/// Runs on the thread that faulted, at any point: atomics, mmap(2) and sigaction(2), no allocation, no lock.
extern "C" fn on_sigbus(number: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a `siginfo_t` that is valid until this returns.
    let fault = unsafe { &*info };
    let from_kernel = fault.si_code > 0;
    // SAFETY: the field is set for a fault; for a signal that was sent it is some number, which is not used.
    let addr = unsafe { fault.si_addr() } as usize;
    if !(from_kernel && cover(addr, PAGE_SIZE.load(SeqCst))) {
        pass_on(from_kernel, number, info, context);
    }
}

/// Does what would have happened without this handler.
fn pass_on(fault: bool, number: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let before = BEFORE.get().copied().unwrap_or_else(signal::default_action);
    match before.sa_sigaction {
        libc::SIG_IGN if !fault => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // A fault happens again when this returns, and then kills (the kernel does not let it be ignored); a signal
            // that was sent does not.
            signal::set_action(libc::SIGBUS, &signal::default_action());
        }
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            type Full = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: the code that installed this address with SA_SIGINFO guaranteed the kernel a function of this
            // type.
            let handler = unsafe { std::mem::transmute::<libc::sighandler_t, Full>(handler) };
            handler(number, info, context);
        }
        handler => {
            // SAFETY: the code that installed this address without SA_SIGINFO guaranteed the kernel a function of this
            // type.
            let handler = unsafe { std::mem::transmute::<libc::sighandler_t, extern "C" fn(libc::c_int)>(handler) };
            handler(number);
        }
    }
    // The handler of Rust's runtime sets the default action and returns, after which a fault happens again.
    let is_default = signal::action_of(libc::SIGBUS).sa_sigaction == libc::SIG_DFL;
    if is_default && !fault {
        // SAFETY: raise(3) may be called in a handler; it takes a valid signal number.
        unsafe { libc::raise(number) };
    }
}
