//! A disk with a volatile cache: one file of a FUSE file system, held in memory, that logs each write and each flush, so
//! that what a power cut may leave of it can be put together afterwards.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use tempfile::TempDir;

use crate::blocks::{BLOCK, Blocks};
use crate::case::skip;
use crate::mount::{detach, scratch};

const DISK: INodeNo = INodeNo(2);
const FOR_EVER: Duration = Duration::from_secs(1 << 30);

/// A request to the disk.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A write that lies within one block.
    Write { at: u64, bytes: Vec<u8> },
    /// All writes before it are on the disk when it is answered.
    Flush,
    /// The victim has ended with success.
    Acknowledged,
}

/// Whether FUSE works here.
pub(crate) fn needs_fuse() -> bool {
    static WHY_NOT: OnceLock<Option<String>> = OnceLock::new();
    let why_not = WHY_NOT.get_or_init(|| Disk::new(1 << 20).err().map(|why| format!("no FUSE: {why}")));
    why_not.as_ref().is_none_or(|why| {
        skip(why);
        false
    })
}

#[derive(Debug, Default)]
struct State {
    blocks: Blocks,
    /// None while requests are not recorded.
    log: Option<Vec<Event>>,
}

/// The disk; it is gone when this is.
#[derive(Debug)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
    session: Option<BackgroundSession>,
    dir: TempDir,
}

impl Disk {
    /// One of zeros.
    pub(crate) fn new(len: u64) -> std::io::Result<Disk> {
        let (state, dir) = (Arc::default(), scratch());
        let server = Server { state: Arc::clone(&state), len };
        let session = Some(fuser::spawn_mount(server, dir.path(), &Config::default())?);
        Ok(Disk { state, session, dir })
    }

    /// The file that is the disk.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// Begins the log; gives what is on the disk now, which counts as flushed.
    pub(crate) fn watch(&self) -> Blocks {
        let mut state = lock(&self.state);
        state.log = Some(Vec::new());
        state.blocks.clone()
    }

    pub(crate) fn acknowledge(&self) {
        lock(&self.state).log.as_mut().expect("not watched").push(Event::Acknowledged);
    }

    /// Ends the log.
    pub(crate) fn log(&self) -> Vec<Event> {
        lock(&self.state).log.take().expect("not watched")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Another process may have it open for a moment still: then it goes as soon as that ends.
        if self.session.take().is_some_and(|session| session.umount_and_join().is_err()) {
            detach(self.dir.path());
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What answers the kernel.
#[derive(Debug)]
struct Server {
    state: Arc<Mutex<State>>,
    len: u64,
}

impl Server {
    fn attributes(&self, of: INodeNo) -> FileAttr {
        let is_disk = of == DISK;
        FileAttr {
            ino: of,
            size: if is_disk { self.len } else { 0 },
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_disk { FileType::RegularFile } else { FileType::Directory },
            perm: if is_disk { 0o600 } else { 0o700 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: BLOCK as u32,
            flags: 0,
        }
    }
}

impl Filesystem for Server {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name == "disk" {
            true => reply.entry(&FOR_EVER, &self.attributes(DISK), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, of: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOR_EVER, &self.attributes(of));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Nothing is kept in the page cache of this file: what is written is here at once.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        at: u64,
        len: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let end = (at + u64::from(len)).min(self.len);
        let mut out = vec![0; end.saturating_sub(at) as usize];
        lock(&self.state).blocks.read(at, &mut out);
        reply.data(&out);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        at: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = lock(&self.state);
        let (mut at, mut rest) = (at, bytes);
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(BLOCK - at as usize % BLOCK));
            state.blocks.put(at, piece);
            if let Some(log) = &mut state.log {
                log.push(Event::Write { at, bytes: piece.to_vec() });
            }
            (at, rest) = (at + piece.len() as u64, more);
        }
        reply.written(bytes.len() as u32);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        if let Some(log) = &mut lock(&self.state).log {
            log.push(Event::Flush);
        }
        reply.ok();
    }
}
