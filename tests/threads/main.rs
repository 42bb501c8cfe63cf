//! The library used by many threads at once: the verbs on one target, and views of shared snapshots. Small, as it is also
//! run under the thread sanitizer.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "tests print figures, and why they are skipped")]

#[allow(dead_code, reason = "shared")]
#[path = "../util/ground.rs"]
mod ground;
mod verbs;
mod views;

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Ends all when a test does not end by itself.
struct Alarm(Sender<()>);

fn alarm(what: &'static str) -> Alarm {
    let (sender, over) = channel();
    std::thread::spawn(move || {
        if over.recv_timeout(Duration::from_secs(600)) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{what} does not end: a deadlock");
            std::process::abort();
        }
    });
    Alarm(sender)
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}
