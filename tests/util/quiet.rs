//! Files that are quiet, or are not: whether that shows here, and a store that has begun and whose bytes are late.
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "a call and its arguments")]
#![allow(unsafe_code, reason = "maps, and a store of one process to another, are what is tested")]

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;
use std::thread::JoinHandle;

use memmap2::{MmapMut, MmapRaw};
use memsnap::sys::quiet::{Blind, check};

use crate::util::skip;

const PAGE: usize = 4096;

/// Whether it shows of files in this directory that they are quiet. A kernel that is too old is no failure.
pub(crate) fn needs_quiet(dir: &Path) -> bool {
    let file = tempfile::tempfile_in(dir).unwrap();
    match check(&file, &[dir.into()]) {
        Ok(()) => true,
        Err(why @ Blind::Kernel(_)) => {
            eprintln!("skipped: {why}");
            false
        }
        Err(why) => {
            skip(&why.to_string());
            false
        }
    }
}

/// A file mapped for writing, by this process.
pub(crate) fn mapped(path: &Path) -> MmapMut {
    let file = File::options().read(true).write(true).open(path).unwrap();
    // SAFETY: no test that uses this truncates the file while the map lives.
    unsafe { MmapMut::map_mut(&file) }.unwrap()
}

/// Memory whose first touch waits until [`Late::arrive`]: userfaultfd(2).
#[derive(Debug)]
struct Late {
    fd: OwnedFd,
    page: MmapRaw,
}

/// `_IOWR(0xAA, number, [u64; words])`
fn ioctl<const WORDS: usize>(fd: &OwnedFd, number: u64, mut argument: [u64; WORDS]) -> std::io::Result<()> {
    let request = 3 << 30 | (8 * WORDS as u64) << 16 | 0xAA << 8 | number;
    // SAFETY: the kernel reads and writes as many bytes as the request says, which the argument has.
    match unsafe { libc::ioctl(fd.as_raw_fd(), request as _, argument.as_mut_ptr()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

impl Late {
    fn new() -> std::io::Result<Late> {
        // SAFETY: it makes a descriptor. Without the flag that excludes faults of the kernel, which are meant.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: it was just made, and belongs to nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        ioctl(&fd, 0x3F, [0xAA, 0, 0])?;
        let page = MmapRaw::from(MmapMut::map_anon(PAGE)?);
        // UFFDIO_REGISTER_MODE_MISSING
        ioctl(&fd, 0x00, [page.as_ptr() as u64, PAGE as u64, 1, 0])?;
        Ok(Late { fd, page })
    }

    /// Waits until something waits for the page.
    fn awaited(&self) {
        let mut message = [0; 32];
        assert_eq!(rustix::io::read(&self.fd, &mut message).unwrap(), 32);
    }

    fn arrive(&self, byte: u8) {
        let bytes = [byte; PAGE];
        // UFFDIO_COPY
        ioctl(&self.fd, 0x03, [self.page.as_ptr() as u64, bytes.as_ptr() as u64, PAGE as u64, 0, 0]).unwrap();
    }
}

/// Whether such a store can be made here.
pub(crate) fn needs_late_stores() -> bool {
    static WHY_NOT: OnceLock<Option<String>> = OnceLock::new();
    let why_not = WHY_NOT.get_or_init(|| Late::new().err().map(|e| format!("no userfaultfd for the kernel: {e}")));
    why_not.as_ref().is_none_or(|why| {
        skip(why);
        false
    })
}

/// A store of one byte to a map that has begun: the page was written to as far as ctime shows, and the kernel waits for
/// the byte. When that comes, the page is dirty, and ctime does not move again.
#[derive(Debug)]
pub(crate) struct LateStore {
    source: std::sync::Arc<Late>,
    copying: JoinHandle<isize>,
}

impl LateStore {
    /// `map[at]` is what will be stored to.
    pub(crate) fn begin(map: &mut MmapMut, at: usize) -> LateStore {
        let source = std::sync::Arc::new(Late::new().unwrap());
        let (from, to) = (source.page.as_ptr() as usize, map[at..].as_mut_ptr() as usize);
        let copying = std::thread::spawn(move || {
            let part = |at: usize| libc::iovec { iov_base: at as *mut libc::c_void, iov_len: 1 };
            let (local, remote) = (part(from), part(to));
            // SAFETY: both parts are mapped in this process until this thread is joined; the store is to a map that is
            // not borrowed while it is written to.
            unsafe { libc::process_vm_writev(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) }
        });
        source.awaited();
        LateStore { source, copying }
    }

    /// The byte comes.
    pub(crate) fn arrive(self, byte: u8) {
        self.source.arrive(byte);
        assert_eq!(self.copying.join().unwrap(), 1);
    }
}
