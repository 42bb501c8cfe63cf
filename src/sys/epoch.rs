//! Distinguishing a forked child from its parent: what the kernel tracks for the parent, it does not for the child.
#![allow(unsafe_code, reason = "a page that the kernel empties in a child, seen as an atomic")]

/// A number that neither an ancestor nor a child of this process has. None where the system offers no such thing.
///
/// A process id would not do: it is reused, and may be the same in another namespace.
pub(crate) fn current() -> Option<u64> {
    imp::current()
}

#[cfg(all(target_os = "linux", not(miri)))]
mod imp {
    use std::ptr::{NonNull, null_mut};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

    /// One page, zero in every new child (MADV_WIPEONFORK, Linux 4.14), never unmapped.
    struct EpochPage(NonNull<AtomicU64>);

    // SAFETY: an atomic may be used from every thread.
    unsafe impl Send for EpochPage {}
    // SAFETY: as above.
    unsafe impl Sync for EpochPage {}

    static STAMP: OnceLock<Option<EpochPage>> = OnceLock::new();
    /// The next number; a child continues from that of its parent.
    static NEXT: AtomicU64 = AtomicU64::new(1);

    fn make() -> Option<EpochPage> {
        let len = rustix::param::page_size();
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: mmap(2) at an address that the kernel chooses touches no other memory.
        let start = unsafe { mmap_anonymous(null_mut(), len, prot, flags) }.ok()?;
        // SAFETY: the advice is about our new page only.
        unsafe { madvise(start, len, Advice::LinuxWipeOnFork) }.ok()?;
        NonNull::new(start.cast()).map(EpochPage)
    }

    pub(super) fn current() -> Option<u64> {
        let stamp = STAMP.get_or_init(make).as_ref()?;
        // SAFETY: a whole page, aligned, zeroed (a valid atomic), never unmapped, only ever used as this atomic.
        let stamp = unsafe { stamp.0.as_ref() };
        match stamp.load(SeqCst) {
            0 => {
                let new = NEXT.fetch_add(1, SeqCst);
                Some(stamp.compare_exchange(0, new, SeqCst, SeqCst).map_or_else(|theirs| theirs, |_| new))
            }
            known => Some(known),
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod imp {
    pub(super) fn current() -> Option<u64> {
        None
    }
}
