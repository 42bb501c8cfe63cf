//! Random bytes, the host, the user and the wall clock.

use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns sixteen random bytes, which make names unique; they are no secrets.
pub fn random16() -> [u8; 16] {
    let mut bytes = [0; 16];
    for (i, half) in bytes.chunks_exact_mut(8).enumerate() {
        // Its keys are random. A forked child has the same, so its PID and the time are hashed.
        let seed = (std::process::id(), now_ns(), i);
        half.copy_from_slice(&RandomState::new().hash_one(seed).to_le_bytes());
    }
    bytes
}

/// The name of this machine, as uname(2) reports it.
#[cfg(unix)]
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The effective user of this process.
#[cfg(unix)]
pub fn euid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Nanoseconds since 1970 on the wall clock, which may jump.
pub fn now_ns() -> i64 {
    let now = since_epoch(SystemTime::now());
    now.try_into().unwrap_or(if now < 0 { i64::MIN } else { i64::MAX })
}

/// Nanoseconds from 1970 to `time`.
pub(super) fn since_epoch(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos().cast_signed(),
        Err(before) => -before.duration().as_nanos().cast_signed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        let mut seen: Vec<_> = (0..1000).map(|_| random16()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }

    #[test]
    fn the_system_answers() {
        let uname = std::process::Command::new("uname").arg("-n").output().unwrap();
        assert_eq!(hostname(), String::from_utf8_lossy(&uname.stdout).trim_end());
        let id = std::process::Command::new("id").arg("-u").output().unwrap();
        assert_eq!(euid().to_string(), String::from_utf8_lossy(&id.stdout).trim_end());
        assert!(now_ns() > 1_700_000_000_000_000_000);
    }
}
