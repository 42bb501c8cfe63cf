//! Random bytes, the host, the user and the wall clock.

use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns sixteen random bytes.
pub fn random16() -> [u8; 16] {
    imp::random16().unwrap_or_else(unlikely16)
}

#[cfg(target_os = "linux")]
mod imp {
    use rustix::io::Errno;
    use rustix::rand::{GetRandomFlags, getrandom};

    pub(super) fn random16() -> Option<[u8; 16]> {
        let mut bytes = [0; 16];
        loop {
            // getrandom(2) returns up to 256 bytes in one piece.
            match getrandom(&mut bytes, GetRandomFlags::empty()) {
                Ok(16) => return Some(bytes),
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io::Read;

    pub(super) fn random16() -> Option<[u8; 16]> {
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).ok()?;
        Some(bytes)
    }
}

/// Where the call is forbidden: unique is sufficient, as these bytes are names and no secrets.
fn unlikely16() -> [u8; 16] {
    let mut bytes = [0; 16];
    for (i, half) in bytes.chunks_exact_mut(8).enumerate() {
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
    let clamp = |ns: u128| i64::try_from(ns).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => clamp(after.as_nanos()),
        Err(before) => -clamp(before.duration().as_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        let mut seen: Vec<_> = (0..1000).flat_map(|_| [random16(), unlikely16()]).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2000);
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
