//! The snapshot file: the metadata of an image, and the runs in which it differs from its parent and from a full map.

use std::io::{self, Write};
use std::sync::Arc;

use super::kinds::{Grade, SnapshotKind};
use super::map::{HashWriter, copy_all, read_ids};
use super::packs::Packs;
use super::runs::{RunsReader, Section};
use super::wire::{Bad, Fields, FileKind, HEAD, ReadAt, prove, unless_damaged};
use crate::page::{Digest, MAX_LEN, pages_of};

/// Bytes of the fixed fields after the head.
const FIXED: usize = 304;
/// Longest text or path.
const MOST_TEXT: usize = 64 << 10;
/// Most bytes of all extended attributes; Linux allows 64 KiB a value.
const MOST_ATTRS: usize = 4 << 20;
/// Most companions.
const MOST_COMPANIONS: usize = 4096;

/// How much changed since the parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Pages whose content differs from the parent's.
    pub pages: u64,
    /// Bytes of the target in those pages.
    pub bytes: u64,
}

/// The files of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The pack written for this snapshot, or [`Digest::ZERO`].
    pub pack: Digest,
    /// Bytes of that pack.
    pub pack_bytes: u64,
    /// The full map from which the image differs, or [`Digest::ZERO`] for an image of holes.
    pub map: Digest,
    /// Bytes of that map.
    pub map_bytes: u64,
    /// Bytes of the differences since that map, including this one; a new map is due when they are more than the map.
    pub debt: u64,
}

/// The metadata of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Length of the image in bytes.
    pub len: u64,
    /// The image digest.
    pub image: Digest,
    /// The snapshot from which changes are counted; [`Digest::ZERO`] for the first.
    pub parent: Digest,
    /// When it was taken, in nanoseconds since 1970.
    pub time_ns: i64,
    /// What changed since the parent.
    pub changed: Changed,
    /// The files that store it.
    pub stored: Stored,
    /// Modification time of the target, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Access time of the target, nanoseconds since 1970.
    pub atime_ns: i128,
    /// Permission bits of the target, with the set-uid, set-gid and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// How far it is proven to be point-in-time.
    pub grade: Grade,
    /// Why it was taken.
    pub kind: SnapshotKind,
    /// Path of the target, absolute, as bytes.
    pub path: Vec<u8>,
    /// The message of the user.
    pub message: String,
    /// The reason for the grade.
    pub reason: String,
    /// Name of the host.
    pub host: String,
    /// Version of memsnap that took it.
    pub version: String,
    /// Extended attributes, sorted by name.
    pub attrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Snapshots of the logs that belong to it, captured at the same moment.
    pub companions: Vec<Digest>,
}

/// A snapshot file that is open, and matches its id.
#[derive(Clone, Debug)]
pub struct SnapshotFile<R> {
    /// The metadata.
    pub meta: Meta,
    file: R,
    packs: Arc<[u32]>,
    runs_at: u64,
    over: Section,
    update: Section,
}

impl<R: ReadAt + Clone> SnapshotFile<R> {
    /// Opens a snapshot, and checks that `id` is the BLAKE3 hash of its bytes.
    ///
    /// # Errors
    /// [`Bad::Damaged`] when it is not; [`Bad::Version`] when it is, and a newer version made it.
    pub fn open(file: R, id: &Digest, packs: &mut Packs) -> Result<SnapshotFile<R>, Bad> {
        let size = file.size()?;
        let mut fixed = [0; HEAD + FIXED];
        if size < fixed.len() as u64 {
            return Err(Bad::new("it ends too early"));
        }
        file.read_at(&mut fixed, 0)?;
        let head = FileKind::Snapshot.check(fixed[..HEAD].try_into().expect("a head"), 0);
        let taken = head.and_then(|_| take_fixed(&mut Fields::new(&fixed[HEAD..])));
        let (mut meta, sizes) = taken.map_err(|bad| unless_damaged(bad, &file, size, id))?;
        let variable = sizes.variable()?;
        let variable_at = (HEAD + FIXED) as u64;
        let packs_at = variable_at + variable as u64;
        let runs_at = packs_at + u64::from(sizes.packs) * 32;
        let end = runs_at.checked_add(sizes.over.bytes).and_then(|n| n.checked_add(sizes.update.bytes));
        if end != Some(size) {
            return Err(Bad::new("its parts do not add up"));
        }
        let ids = read_ids(&file, packs_at, sizes.packs)?;
        // As a sparse file may claim any size, only a file of the length that its head states is hashed.
        prove(&file, size, id)?;
        let mut rest = vec![0; variable];
        file.read_at(&mut rest, variable_at)?;
        take_variable(&mut Fields::new(&rest), &sizes, &mut meta)?;
        Ok(SnapshotFile { meta, file, packs: packs.intern_all(ids), runs_at, over: sizes.over, update: sizes.update })
    }

    /// Returns the runs that differ from the full map.
    pub fn over(&self) -> RunsReader<R> {
        RunsReader::new(self.file.clone(), self.runs_at, self.over, self.packs.clone())
    }

    /// Returns the runs that differ from the parent.
    pub fn update(&self) -> RunsReader<R> {
        let at = self.runs_at + self.over.bytes;
        RunsReader::new(self.file.clone(), at, self.update, self.packs.clone())
    }

    /// Returns the packs that this file names; its full map may name others.
    pub fn packs(&self) -> &[u32] {
        &self.packs
    }
}

/// The lengths of the variable parts.
#[derive(Debug, Default)]
struct Sizes {
    texts: [u32; 5],
    attrs: u32,
    attrs_bytes: u32,
    companions: u32,
    packs: u32,
    over: Section,
    update: Section,
}

impl Sizes {
    fn variable(&self) -> Result<usize, Bad> {
        let texts = self.texts.iter().all(|n| *n as usize <= MOST_TEXT);
        let fits = self.attrs_bytes as usize <= MOST_ATTRS && self.companions as usize <= MOST_COMPANIONS;
        if !(texts && fits && self.attrs as usize <= MOST_ATTRS / 8) {
            return Err(Bad::new("its parts are longer than a snapshot allows"));
        }
        Ok(self.texts.iter().sum::<u32>() as usize + self.attrs_bytes as usize + self.companions as usize * 32)
    }
}

fn take_fixed(f: &mut Fields<'_>) -> Result<(Meta, Sizes), Bad> {
    let (len, image, parent, time_ns) = (f.u64()?, f.digest()?, f.digest()?, f.i64()?);
    let changed = Changed { pages: f.u64()?, bytes: f.u64()? };
    let pack = (f.digest()?, f.u64()?);
    let map = (f.digest()?, f.u64()?);
    let stored = Stored { pack: pack.0, pack_bytes: pack.1, map: map.0, map_bytes: map.1, debt: f.u64()? };
    let low = (f.i64()?, f.i64()?);
    let (mode, uid, gid) = (f.u32()?, f.u32()?, f.u32()?);
    let (grade, kind) = (f.u8()?, f.u8()?);
    let grade = Grade::from_code(grade).ok_or_else(|| Bad::newer(format_args!("grade {grade} is")))?;
    let kind = SnapshotKind::from_code(kind).ok_or_else(|| Bad::newer(format_args!("kind {kind} of snapshot is")))?;
    f.zeros(2)?;
    let mut sizes = Sizes::default();
    for n in &mut sizes.texts {
        *n = f.u32()?;
    }
    sizes.attrs = f.u32()?;
    sizes.attrs_bytes = f.u32()?;
    sizes.companions = f.u32()?;
    sizes.packs = f.u32()?;
    sizes.over = Section::take(f)?;
    sizes.update = Section::take(f)?;
    let mtime_ns = join_time(low.0, f.u16()?);
    let atime_ns = join_time(low.1, f.u16()?);
    f.end()?;
    if len > MAX_LEN || changed.pages > pages_of(MAX_LEN) {
        return Err(Bad::new("its length is impossible"));
    }
    let meta = Meta {
        len,
        image,
        parent,
        time_ns,
        changed,
        stored,
        mtime_ns,
        atime_ns,
        mode,
        uid,
        gid,
        grade,
        kind,
        path: Vec::new(),
        message: String::new(),
        reason: String::new(),
        host: String::new(),
        version: String::new(),
        attrs: Vec::new(),
        companions: Vec::new(),
    };
    Ok((meta, sizes))
}

const _: () = assert!(FIXED == 8 + 32 + 32 + 8 + 16 + 40 + 40 + 8 + 16 + 12 + 4 + 20 + 16 + 2 * Section::BYTES + 4);

/// Whether a snapshot can store this time, in nanoseconds since 1970: 19 million years in both directions.
pub fn fits_time(ns: i128) -> bool {
    join_time(ns as i64, high_of(ns)) == ns
}

/// The part of a time above its low 64 bits, which are signed. It is 0 from 1677 to 2262.
fn high_of(ns: i128) -> u16 {
    (ns.wrapping_sub(i128::from(ns as i64)) >> 64) as u16
}

fn join_time(low: i64, high: u16) -> i128 {
    i128::from(low) + (i128::from(high.cast_signed()) << 64)
}

fn take_variable(f: &mut Fields<'_>, sizes: &Sizes, meta: &mut Meta) -> Result<(), Bad> {
    let text = |f: &mut Fields<'_>, n: u32| {
        let bytes = f.bytes(n as usize)?.to_vec();
        String::from_utf8(bytes).map_err(|_| Bad::new("a text in it is not UTF-8"))
    };
    meta.path = f.bytes(sizes.texts[0] as usize)?.to_vec();
    meta.message = text(f, sizes.texts[1])?;
    meta.reason = text(f, sizes.texts[2])?;
    meta.host = text(f, sizes.texts[3])?;
    meta.version = text(f, sizes.texts[4])?;
    let mut attrs = Fields::new(f.bytes(sizes.attrs_bytes as usize)?);
    for _ in 0..sizes.attrs {
        let (name, value) = (attrs.u16()?, attrs.u32()?);
        let name = attrs.bytes(name.into())?.to_vec();
        if name.contains(&0) || meta.attrs.last().is_some_and(|(last, _)| *last >= name) {
            return Err(Bad::new("an attribute has an impossible name"));
        }
        meta.attrs.push((name, attrs.bytes(value as usize)?.to_vec()));
    }
    attrs.end()?;
    for _ in 0..sizes.companions {
        meta.companions.push(f.digest()?);
    }
    f.end()
}

/// The content of a snapshot file to be written.
#[derive(Debug)]
pub struct SnapshotWriter<'a> {
    /// The metadata.
    pub meta: &'a Meta,
    /// The packs that its runs name, in the order of their numbers in the file.
    pub packs: Vec<Digest>,
    /// The coded runs that differ from the full map.
    pub over: Section,
    /// The coded runs that differ from the parent.
    pub update: Section,
}

impl SnapshotWriter<'_> {
    /// Writes the file with the coded runs of `over` and `update`, and returns its id and size.
    ///
    /// # Panics
    /// When a text is longer than 64 KiB, the attributes are longer than 4 MiB, or a time does not [fit](fits_time).
    pub fn write(&self, over: &impl ReadAt, update: &impl ReadAt, out: &mut impl Write) -> io::Result<(Digest, u64)> {
        let mut out = HashWriter::new(out);
        out.write_all(&self.encode_head())?;
        copy_all(over, &mut out)?;
        copy_all(update, &mut out)?;
        let (_, id, bytes) = out.into_parts();
        Ok((id, bytes))
    }

    fn encode_head(&self) -> Vec<u8> {
        let meta = self.meta;
        let mut attrs = Vec::new();
        for (name, value) in &meta.attrs {
            attrs.extend_from_slice(&(name.len() as u16).to_le_bytes());
            attrs.extend_from_slice(&(value.len() as u32).to_le_bytes());
            attrs.extend_from_slice(name);
            attrs.extend_from_slice(value);
        }
        let texts = [
            &meta.path[..],
            meta.message.as_bytes(),
            meta.reason.as_bytes(),
            meta.host.as_bytes(),
            meta.version.as_bytes(),
        ];
        assert!(texts.iter().all(|t| t.len() <= MOST_TEXT) && attrs.len() <= MOST_ATTRS);
        assert!(fits_time(meta.mtime_ns) && fits_time(meta.atime_ns));
        let mut out = FileKind::Snapshot.head(0).to_vec();
        put_fixed(&mut out, meta);
        for n in texts.iter().map(|t| t.len()).chain([
            meta.attrs.len(),
            attrs.len(),
            meta.companions.len(),
            self.packs.len(),
        ]) {
            out.extend_from_slice(&(n as u32).to_le_bytes());
        }
        self.over.put(&mut out);
        self.update.put(&mut out);
        out.extend_from_slice(&high_of(meta.mtime_ns).to_le_bytes());
        out.extend_from_slice(&high_of(meta.atime_ns).to_le_bytes());
        texts.iter().for_each(|t| out.extend_from_slice(t));
        out.extend_from_slice(&attrs);
        meta.companions.iter().chain(&self.packs).for_each(|d| out.extend_from_slice(&d.0));
        out
    }
}

fn put_fixed(out: &mut Vec<u8>, meta: &Meta) {
    let stored = &meta.stored;
    out.extend_from_slice(&meta.len.to_le_bytes());
    out.extend_from_slice(&meta.image.0);
    out.extend_from_slice(&meta.parent.0);
    out.extend_from_slice(&meta.time_ns.to_le_bytes());
    out.extend_from_slice(&meta.changed.pages.to_le_bytes());
    out.extend_from_slice(&meta.changed.bytes.to_le_bytes());
    out.extend_from_slice(&stored.pack.0);
    out.extend_from_slice(&stored.pack_bytes.to_le_bytes());
    out.extend_from_slice(&stored.map.0);
    out.extend_from_slice(&stored.map_bytes.to_le_bytes());
    out.extend_from_slice(&stored.debt.to_le_bytes());
    out.extend_from_slice(&(meta.mtime_ns as i64).to_le_bytes());
    out.extend_from_slice(&(meta.atime_ns as i64).to_le_bytes());
    for n in [meta.mode, meta.uid, meta.gid] {
        out.extend_from_slice(&n.to_le_bytes());
    }
    out.extend_from_slice(&[meta.grade.code(), meta.kind as u8, 0, 0]);
}

#[cfg(test)]
#[path = "snapshot_test.rs"]
mod tests;
