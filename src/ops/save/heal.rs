//! Healing packs: a damaged page is stored again from the live target, where that still holds it.
//!
//! A pack is written once, so one whose time of change is later than that of the snapshot which names it was touched
//! after its commit: suspect. A reader that finds damage touches the pack, and the next writer checks it.

use std::fs::File;
use std::io::BufWriter;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use crate::error::{At, Error, Result};
use crate::ops::read::read_zero_extended;
use crate::pack::{
    Bad, Block, Compress, FRAME_PAGES, Frame, FrameKind, PackReader, PackWriter, decode_frame, encode_frame,
};
use crate::page::{Digest, PAGE, PAGE64, PageNo, PageRange, PageSet, page_digest};
use crate::store::{History, Image, PackCache, SnapName, WriteLock};
use crate::sys::{create, id, meta, no_follow, open};

/// What became of suspect packs.
#[derive(Debug, Default)]
pub(crate) struct Healed {
    /// Pages stored again.
    pub(crate) pages: u64,
    /// Pages that are lost: pack and its pages.
    pub(crate) lost: Vec<(u32, PageRange)>,
    /// A pack is missing, or its index is damaged.
    pub(crate) broken: bool,
    /// A pack with lost pages was left as it is, because of an error of reading it: the next attempt may succeed.
    pub(crate) unread: bool,
}

/// The packs of `image` that are missing, or were touched after the snapshot was made.
///
/// # Errors
/// When the snapshot's own file cannot be inspected.
pub(crate) fn suspects(image: &Image) -> Result<Vec<u32>> {
    let made = open::stamp_path(image.path()).at("inspecting", image.path())?.mtime_ns;
    let packs = image.packs();
    let mut suspect = image.pack_numbers();
    suspect.retain(|pack| open::stamp_path(&packs.pack_path(*pack)).map_or(true, |stamp| stamp.mtime_ns > made));
    Ok(suspect)
}

/// Marks a pack as suspect, for the next writer. Only a hint: failures are ignored.
pub(crate) fn suspect(packs: &PackCache, pack: u32) {
    let path = packs.pack_path(pack);
    if let Ok(file) = create::open_own(&path)
        && is_only_ours(&file, &path).unwrap_or(false)
    {
        let time = i128::from(id::now_ns()).max(newest(path.parent().unwrap_or(&path)) + 1);
        let _ = meta::set_times(&file, time, time);
    }
}

/// When the newest snapshot in a history was made, as far as it can be seen: by a clock that was ahead, perhaps.
fn newest(history: &Path) -> i128 {
    let entries = no_follow::read_dir(history).into_iter().flatten().flatten();
    let snapshots = entries.filter(|entry| SnapName::parse(&entry.file_name()).is_some());
    snapshots
        .filter_map(|entry| open::stamp_path(&history.join(entry.file_name())).ok())
        .map(|stamp| stamp.mtime_ns)
        .max()
        .unwrap_or(0)
}

/// Whether a file has no other name: a file with another name may belong to another program, and its times are not ours
/// to set.
fn is_only_ours(file: &File, path: &Path) -> Result<bool> {
    Ok(meta::links(file).at("inspecting", path)? == 1)
}

/// Checks every page of the packs `numbers`. A pack with bad pages is written again under the same id, with the pages
/// that `live` still holds at the same place; one that is whole is no longer suspect.
///
/// # Errors
/// Of reading a sound file, and of writing; damage is no error here.
pub(crate) fn heal(history: &History, _writing: &WriteLock, numbers: &[u32], live: &File) -> Result<Healed> {
    let packs = history.packs();
    let mut healed = Healed::default();
    let unsuspected = oldest(history)?;
    for &number in numbers {
        // It may have been opened before it was touched.
        packs.forget(number);
        match read_through(packs, number)? {
            None => healed.broken = true,
            Some(bad) if bad.is_empty() => {
                let path = packs.pack_path(number);
                let file = create::open_own(&path)?;
                if is_only_ours(&file, &path)? {
                    meta::set_times(&file, unsuspected, unsuspected).at("setting the times of", &path)?;
                }
            }
            Some(bad) => {
                let rewritten = rewrite(history, number, &bad, live, unsuspected)?;
                healed.unread |= rewritten.is_none();
                let lost = rewritten.as_ref().unwrap_or(&bad);
                healed.pages += bad.len() - lost.len();
                healed.lost.extend(lost.runs().map(|run| (number, run)));
            }
        }
    }
    Ok(healed)
}

/// When the history's oldest snapshot was made: a pack of that time is not suspect to any snapshot.
fn oldest(history: &History) -> Result<i128> {
    let mut oldest = i128::from(id::now_ns());
    for name in history.snapshots()? {
        let path = history.dir().join(name.file_name());
        oldest = oldest.min(open::stamp_path(&path).at("inspecting", &path)?.mtime_ns);
    }
    Ok(oldest)
}

/// The bad pages of a pack; `None` when it is missing or its index is damaged.
fn read_through(packs: &PackCache, number: u32) -> Result<Option<PageSet>> {
    let pack = match packs.pack(number) {
        Err(Error::Damaged { .. }) => return Ok(None),
        pack => pack?,
    };
    let mut bad = PageSet::new();
    for index in 0..pack.blocks() {
        let block = match pack.block(index) {
            Err(newer @ Bad::Version(_)) => return Err(newer.of(&packs.pack_path(number))),
            Err(_) => return Ok(None),
            Ok(block) => block,
        };
        for part in parts(&block) {
            let bytes = part.frame.and_then(|frame| pack.frame(&block, frame, None).ok());
            for (i, (page, digest)) in part.pages.iter().enumerate() {
                if bytes.as_ref().is_none_or(|bytes| !holds(bytes, i, digest)) {
                    bad.insert(*page);
                }
            }
        }
    }
    Ok(Some(bad))
}

/// Whether page `i` of `bytes` is the one of that digest.
fn holds(bytes: &[u8], i: usize, digest: &Digest) -> bool {
    page_at(bytes, i).is_some_and(|page| page_digest(page) == *digest)
}

fn page_at(bytes: &[u8], i: usize) -> Option<&[u8; PAGE]> {
    bytes.get(i * PAGE..(i + 1) * PAGE)?.try_into().ok()
}

/// Pages of a block that share a frame, or whose bytes were left out.
struct FramePages {
    frame: Option<usize>,
    pages: Vec<(PageNo, Digest)>,
}

/// All pages of a block, in order.
fn parts(block: &Block) -> Vec<FramePages> {
    let mut parts: Vec<FramePages> = Vec::new();
    for (page, digest) in block.entries() {
        let frame = block.frame_of(page);
        match parts.last_mut() {
            Some(part) if part.frame == frame && part.pages.len() < FRAME_PAGES => part.pages.push((page, digest)),
            _ => parts.push(FramePages { frame, pages: vec![(page, digest)] }),
        }
    }
    parts
}

/// Writes a pack again, with those of its `bad` pages that `live` holds; returns the others. `None`, and the pack
/// stays, when pages would be lost only because they cannot be read now.
fn rewrite(history: &History, number: u32, bad: &PageSet, live: &File, unsuspected: i128) -> Result<Option<PageSet>> {
    let packs = history.packs();
    let old = packs.pack(number)?;
    let path = packs.pack_path(number);
    let pending = history.pending()?;
    let mut lost = PageSet::new();
    let mut writer = PackWriter::new(BufWriter::new(pending.file())).at("writing", &path)?;
    for index in 0..old.blocks() {
        let block = old.block(index).map_err(|e| e.of(&path))?;
        for part in parts(&block) {
            if !put(&mut writer, &old, &block, &part, bad, live, &mut lost).at("writing", &path)? {
                return Ok(None);
            }
        }
        // Where it ended before: the id is derived from the blocks.
        writer.end_block().at("writing", &path)?;
    }
    let (summary, mut out) = writer.finish().at("writing", &path)?;
    out.flush().at("writing", &path)?;
    drop(out);
    if summary.id != old.id() {
        return Err(Error::damaged(&path, "writing it again makes another pack"));
    }
    meta::set_times(pending.file(), unsuspected, unsuspected).at("setting the times of", &path)?;
    pending.replace(path.file_name().unwrap_or_default())?;
    create::sync_dir(history.dir())?;
    packs.forget(number);
    Ok(Some(lost))
}

/// Copies one part: as it is when it is sound, else page by page, as far as there are sound bytes. `false` when some
/// have none because of an error of reading.
fn put(
    writer: &mut PackWriter<impl std::io::Write>,
    old: &Arc<PackReader<File>>,
    block: &Block,
    part: &FramePages,
    bad: &PageSet,
    live: &File,
    lost: &mut PageSet,
) -> std::io::Result<bool> {
    let coded = part.frame.map(|frame| old.coded_frame(block, frame)).transpose();
    // An early end of the file is an error of reading, too: the index, which was read, is behind all frames.
    let unread = matches!(coded, Err(Bad::Io(_)));
    let coded = coded.ok().flatten();
    let kept = coded.as_ref().and_then(|coded| decoded(coded, part.pages.len()));
    if let (Some(coded), Some(kept)) = (&coded, &kept)
        && part.pages.iter().enumerate().all(|(i, (_, digest))| holds(kept, i, digest))
    {
        return writer.push(&part.pages, Some(coded)).map(|()| true);
    }
    let compress =
        if coded.is_some_and(|coded| coded.kind == FrameKind::Raw) { Compress::None } else { Compress::default() };
    let pages: Vec<_> =
        (0..).zip(&part.pages).map(|(i, entry)| (*entry, have(kept.as_deref(), i, entry, live))).collect();
    // Nor is a page dropped that was sound a moment ago.
    if pages.iter().any(|((page, _), bytes)| bytes.is_none() && (unread || !bad.contains(*page))) {
        return Ok(false);
    }
    for stretch in pages.chunk_by(|a, b| a.1.is_some() == b.1.is_some()) {
        let entries: Vec<_> = stretch.iter().map(|(entry, _)| *entry).collect();
        let bytes: Vec<u8> = stretch.iter().filter_map(|(_, bytes)| bytes.as_deref()).flatten().copied().collect();
        if bytes.is_empty() {
            entries.iter().for_each(|(page, _)| lost.insert(*page));
            writer.push(&entries, None)?;
        } else {
            writer.push(&entries, Some(&encode_frame(&bytes, compress)))?;
        }
    }
    Ok(true)
}

/// The decoded pages of a frame, if it is sound.
fn decoded(coded: &Frame, pages: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; pages * PAGE];
    decode_frame(coded.kind, &coded.bytes, None, &mut out).ok().map(|()| out)
}

/// The bytes of a page: as the pack has them, or else as the target does.
fn have(kept: Option<&[u8]>, i: usize, (page, digest): &(PageNo, Digest), live: &File) -> Option<Box<[u8; PAGE]>> {
    if let Some(bytes) = kept.and_then(|bytes| page_at(bytes, i)).filter(|bytes| page_digest(bytes) == *digest) {
        return Some(Box::new(*bytes));
    }
    let len = live.metadata().ok()?.len();
    let bytes = read_zero_extended(live, page * PAGE64, len).ok()?;
    (page_digest(&bytes) == *digest).then_some(bytes)
}
