use super::*;
use crate::sys::eventually;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

/// The lease, once no process is between fork and exec with a writer of ours.
fn granted<'a>(ask: impl Fn() -> io::Result<LeaseAnswer<'a>>) -> Option<Lease<'a>> {
    let mut answer = ask().unwrap();
    eventually(|| {
        if matches!(answer, LeaseAnswer::Refused) {
            answer = ask().unwrap();
        }
        !matches!(answer, LeaseAnswer::Refused)
    });
    match answer {
        LeaseAnswer::Granted(lease) => Some(lease),
        LeaseAnswer::Unsupported => {
            crate::sys::skipped("no leases here");
            None
        }
        other => panic!("{other:?}"),
    }
}

fn open_write(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn target() -> tempfile::TempPath {
    tempfile::NamedTempFile::new().unwrap().into_temp_path()
}

#[test]
fn no_process_writes_while_it_is_held() {
    let path = target();
    let file = File::open(&path).unwrap();
    let Some(lease) = granted(|| Lease::read(&file)) else { return };
    let _readers_are_fine = File::open(&path).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    assert!(!lease.is_broken());
    assert!(lease.release());

    let writer = open_write(&path).unwrap();
    assert!(matches!(Lease::read(&file).unwrap(), LeaseAnswer::Refused));
    drop(writer);
    assert!(granted(|| Lease::read(&file)).unwrap().release());
}

#[test]
fn a_shared_map_counts_as_a_writer() {
    let path = target();
    let writer = open_write(&path).unwrap();
    writer.set_len(4096).unwrap();
    let map = memmap2::MmapRaw::map_raw(&writer).unwrap();
    drop(writer);
    let file = File::open(&path).unwrap();
    if !crate::sys::fs::kind(&file).unwrap().lease_blocks_opening() {
        return crate::sys::skipped("leases prove nothing here");
    }
    match Lease::read(&file).unwrap() {
        LeaseAnswer::Unsupported => crate::sys::skipped("no leases here"),
        answer => assert!(matches!(answer, LeaseAnswer::Refused)),
    }
    drop(map);
}

#[test]
fn it_gives_way_at_once() {
    let path = target();
    let file = File::open(&path).unwrap();
    let Some(lease) = granted(|| Lease::read(&file)) else { return };
    let start = Instant::now();
    open_write(&path).unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "waited {:?}", start.elapsed());
    assert!(lease.is_broken());
    assert!(!lease.release());
}

#[test]
fn kept_it_lets_them_wait() {
    use std::os::unix::fs::OpenOptionsExt;
    use std::sync::mpsc::{RecvTimeoutError, channel};

    let path = target();
    let file = open_write(&path).unwrap();
    let Some(lease) = granted(|| Lease::write(&file)) else { return };
    assert!(lease.keep());
    let at_once = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
    assert_eq!(at_once.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(!lease.is_broken(), "no process has it open");
    std::thread::scope(|scope| {
        let (opened, open) = channel();
        let path = &path;
        scope.spawn(move || opened.send(File::open(path).map(drop)));
        assert_eq!(open.recv_timeout(Duration::from_millis(100)).unwrap_err(), RecvTimeoutError::Timeout);
        assert!(!lease.is_broken(), "they wait");
        lease.give_way();
        open.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
    });
    assert!(lease.is_broken() && !lease.keep());
    assert!(!lease.release());

    let lease = granted(|| Lease::write(&file)).unwrap();
    assert!(lease.keep());
    lease.give_way();
    assert!(!lease.is_broken(), "no process opened it");
    assert!(lease.keep() && lease.release());
}

#[test]
fn others_may_not_ask() {
    let file = File::open("/etc/passwd").unwrap();
    if crate::sys::id::euid() == 0 {
        return crate::sys::skipped("root may ask for everything");
    }
    assert!(matches!(Lease::read(&file).unwrap(), LeaseAnswer::NotOwner));
}

#[test]
fn a_write_lease_is_alone() {
    let path = target();
    let reader = File::open(&path).unwrap();
    let file = open_write(&path).unwrap();
    assert!(!matches!(Lease::write(&file).unwrap(), LeaseAnswer::Granted(_)));
    drop(reader);
    let Some(lease) = granted(|| Lease::write(&file)) else { return };
    assert!(!lease.is_broken());
    File::open(&path).unwrap();
    assert!(lease.is_broken());
    drop(lease);
    assert!(granted(|| Lease::write(&file)).unwrap().release());

    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(Lease::read(&File::open(directory.path()).unwrap()).unwrap(), LeaseAnswer::Unsupported));
}
