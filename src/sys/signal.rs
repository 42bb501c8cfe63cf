//! Signals that must not kill the program.
#![allow(unsafe_code, reason = "sigaction(2) has no safe wrapper")]

/// Makes a write past the file size limit (`ulimit -f`) an ordinary error instead of a death that leaves litter.
///
/// By a handler that does nothing rather than by ignoring: ignored signals stay ignored in the commands that `try` and
/// `lock` run, a handler does not outlive exec.
pub fn ignore_sigxfsz() {
    let_pass(libc::SIGXFSZ);
}

/// While it lives, SIGINT and SIGQUIT do not end this process: they are for the command that it runs, such as a pager.
pub struct Deaf([(libc::c_int, libc::sigaction); 2]);

impl Deaf {
    /// From now on.
    pub fn to_interrupts() -> Deaf {
        Deaf([libc::SIGINT, libc::SIGQUIT].map(|signal| (signal, let_pass(signal))))
    }
}

impl std::fmt::Debug for Deaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Deaf").field(&self.0.map(|(signal, _)| signal)).finish()
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        for (signal, before) in &self.0 {
            // SAFETY: sigaction(2) wants a valid new action and a null or valid old one. `before` is what the same call
            // gave for this signal.
            unsafe { libc::sigaction(*signal, before, std::ptr::null_mut()) };
        }
    }
}

/// Gives `signal` a handler that does nothing; what it had before.
fn let_pass(signal: libc::c_int) -> libc::sigaction {
    extern "C" fn nothing(_signal: libc::c_int) {}
    // SAFETY: `sigaction` is a C struct of integers and pointers; all zero is a valid one (no flags, empty mask).
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let mut before = action;
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: sigaction(2) wants a valid new action and a null or valid old one, and both are. The handler does nothing,
    // so it may run at any time on any thread; it is a plain function that lives for ever.
    unsafe { libc::sigaction(signal, &raw const action, &raw mut before) };
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_an_error() {
        // A limit is of the whole process: only a child can have one. It is ours again, asked to run one test.
        const CHILD: &str = "MEMSNAP_TEST_SIGXFSZ";
        if std::env::var_os(CHILD).is_some() {
            ignore_sigxfsz();
            let path = std::env::temp_dir().join(format!("memsnap-xfsz-{}", std::process::id()));
            let error = std::fs::write(&path, vec![1; 1 << 20]).unwrap_err();
            std::fs::remove_file(&path).unwrap();
            assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
            return;
        }
        let status = std::process::Command::new("sh")
            .args(["-c", "ulimit -f 8; exec \"$0\" --exact sys::signal::tests::the_limit_is_an_error >/dev/null"])
            .arg(std::env::current_exe().unwrap())
            .env(CHILD, "1")
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
    }
}
