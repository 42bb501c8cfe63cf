//! Where the bytes of a file are: data and holes, extents, and the file system.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::aspects::{Aspect, Cell, Unseen};
use crate::error::{At, Error};
use crate::sys::{extents, fs, mount, reflink, sparse};

/// Most runs, and extents, that are listed one by one; sums cover all.
pub const MOST_LISTED: usize = 65536;

/// Data and holes, as lseek(2) reports them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of data; all bytes if the file system has no holes.
    pub data: u64,
    /// Runs of data.
    pub runs: u64,
    /// Holes between and around them, up to the end of the file.
    pub holes: u64,
    /// Bytes in holes.
    pub hole_bytes: u64,
    /// The first [`MOST_LISTED`] runs.
    pub list: Vec<Range<u64>>,
}

impl Layout {
    /// Finds data and holes, and counts the data of `cells`.
    pub(super) fn look(file: &File, path: &Path, len: u64, cells: &mut [Cell]) -> Aspect<Layout> {
        let mut found = Layout::default();
        let (mut at, mut next) = (0, 0);
        cells.iter_mut().for_each(|cell| cell.data = Some(0));
        while let Some((start, end)) = sparse::next_data(file, at, len).at("looking for holes in", path)? {
            found.holes += u64::from(start > at);
            found.runs += 1;
            found.data += end - start;
            if found.list.len() < MOST_LISTED {
                found.list.push(start..end);
            }
            while next < cells.len() && cells[next].span.end <= start {
                next += 1;
            }
            for cell in cells[next..].iter_mut().take_while(|cell| cell.span.start < end) {
                let both = cell.span.end.min(end) - cell.span.start.max(start);
                cell.data = cell.data.map(|data| data + both);
            }
            at = end;
        }
        found.holes += u64::from(at < len);
        found.hole_bytes = len - found.data;
        Ok(found)
    }
}

/// Extents, as FIEMAP reports them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extents {
    /// Extents in all.
    pub count: u64,
    /// Contiguous pieces on the device, not counting holes as gaps.
    pub fragments: u64,
    /// Bytes in blocks shared with other files.
    pub shared: u64,
    /// Bytes allocated and never written.
    pub unwritten: u64,
    /// Bytes written, but not allocated yet.
    pub unplaced: u64,
    /// Bytes compressed or encrypted by the file system.
    pub encoded: u64,
    /// Bytes stored in the inode.
    pub inline: u64,
    /// The first [`MOST_LISTED`].
    pub list: Vec<extents::Extent>,
}

impl Extents {
    pub(super) fn look(file: &File, path: &Path) -> Aspect<Extents> {
        let mut found = Extents::default();
        let mut before = None;
        let done = extents::each(file, &mut |extent| {
            found.count += 1;
            found.fragments += u64::from(before.is_none_or(|before| extent.is_apart_from(&before)));
            before = Some(extent);
            let sums = [
                (extent.is_shared(), &mut found.shared),
                (extent.is_unwritten(), &mut found.unwritten),
                (extent.is_unplaced(), &mut found.unplaced),
                (extent.is_encoded(), &mut found.encoded),
                (extent.is_inline(), &mut found.inline),
            ];
            sums.into_iter().filter(|(is, _)| *is).for_each(|(_, sum)| *sum += extent.len);
            if found.list.len() < MOST_LISTED {
                found.list.push(extent);
            }
        });
        match done {
            Ok(()) => Ok(found),
            Err(e) if e.kind() == std::io::ErrorKind::Unsupported => {
                Err(Unseen::Hidden("this file system does not report them".into()))
            }
            Err(source) => Err(Error::Io { doing: "listing the extents of", path: path.into(), source }.into()),
        }
    }
}

/// A file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fs {
    /// Its type: `ext4`, `overlay`; `None` if /proc does not report it.
    pub kind: Option<String>,
    /// Where it is mounted.
    pub mount: Option<PathBuf>,
    /// Major and minor number of the device.
    pub device: Option<(u32, u32)>,
    /// Whether it is read-only.
    pub read_only: bool,
    /// Whether files on it can share blocks; `None` if unknown.
    pub reflink: Option<bool>,
}

impl Fs {
    pub(super) fn look(name: &File, file: Option<&File>) -> Fs {
        let mount = mount::of(name);
        let known = || fs::kind(name).ok().map(|kind| kind.name().to_owned());
        Fs {
            kind: mount.as_ref().map(|mount| mount.kind.clone()).or_else(known),
            device: mount.as_ref().map(|mount| mount.device),
            read_only: mount.as_ref().is_some_and(|mount| mount.read_only),
            mount: mount.map(|mount| mount.point),
            reflink: file.and_then(reflink::possible),
        }
    }
}
