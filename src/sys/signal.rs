//! Signals that must not kill the program.
#![allow(unsafe_code, reason = "sigaction(2) has no safe wrapper")]

/// Makes a write past the file size limit (`ulimit -f`) an ordinary error instead of a death that leaves litter.
///
/// By a handler that does nothing rather than by ignoring: ignored signals stay ignored in the commands that `try` and
/// `lock` run, a handler does not outlive exec.
pub fn ignore_sigxfsz() {
    extern "C" fn nothing(_signal: libc::c_int) {}
    // SAFETY: `sigaction` is a C struct of integers and pointers; all zero is a valid one (no flags, empty mask).
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: sigaction(2) wants a valid new action and a null or valid old one. The handler does nothing, so it may
    // run at any time on any thread; it is a plain function that lives for ever.
    unsafe { libc::sigaction(libc::SIGXFSZ, &raw const action, std::ptr::null_mut()) };
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
