//! Page 0 of the file as bytes: the header, which is written once, and the two state slots. The tables in
//! docs/persistent-vec.md define them.

use super::scalar::Scalar;
use super::source::VecSource;
use crate::page::{MAX_LEN, PAGE, PAGE64};
use crate::{Cause, Result};

/// Offset of the first element in the file.
pub const ELEMENTS: u64 = PAGE64;
/// The first bytes of every such file.
const MAGIC: [u8; 8] = *b"memsnapV";
/// The format that this version writes, and the only one that it reads.
const FORMAT: u32 = 1;
/// The one value that is written in the byte order of the machine.
const ENDIANNESS: u32 = 0x0102_0304;
/// Bytes of the header that its digest covers.
const FIXED: usize = 64;
/// Offsets of the slots, each in a sector of its own.
const SLOTS: [usize; 2] = [1024, 2048];
/// Bytes of a slot that its digest covers.
const SLOT: usize = 64;
/// Bytes of a digest.
const DIGEST: usize = 32;
/// The largest element in bytes: at least one must fit into memory.
const MAX_SIZE: u64 = 64 << 20;
/// The last sequence; no version writes a higher one.
const MAX_SEQ: u64 = u64::MAX / 2;
/// The largest alignment: elements begin at a page.
pub(super) const MAX_ALIGN: u64 = PAGE64;

/// A name of up to sixteen bytes by which a program distinguishes its types, padded with zeros; zeros for none.
pub type Tag = [u8; 16];

/// The tag of a name; `None` when the name is longer than 16 bytes.
pub fn tag(name: &str) -> Option<Tag> {
    let mut tag = [0; 16];
    tag.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    Some(tag)
}

/// The type of the elements of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElementType {
    /// Bytes of an element, not zero.
    pub size: u64,
    /// Alignment in bytes: a power of two, 4096 at most.
    pub align: u64,
    /// The kind of number; `None` for any other type.
    pub scalar: Option<Scalar>,
    /// The program's name for the type.
    pub tag: Tag,
    /// The program's version of the type.
    pub version: u32,
}

impl ElementType {
    /// The type of a scalar, without tag and version.
    pub fn of_scalar(scalar: Scalar) -> ElementType {
        let size = scalar.size() as u64;
        ElementType { size, align: size, scalar: Some(scalar), tag: [0; 16], version: 0 }
    }

    /// Returns why no file can hold such elements.
    pub(super) fn fault(&self) -> Option<String> {
        match self {
            ElementType { size: 0, .. } => Some("elements of no bytes".into()),
            ElementType { size, .. } if *size > MAX_SIZE => Some(format!("elements of {size} bytes")),
            ElementType { align, .. } if !align.is_power_of_two() || *align > MAX_ALIGN => {
                Some(format!("an alignment of {align}"))
            }
            ElementType { size, align, .. } if size % align != 0 => {
                Some(format!("elements of {size} bytes that are aligned to {align}"))
            }
            ElementType { size, align, scalar: Some(scalar), .. } if [*size, *align] != [scalar.size() as u64; 2] => {
                Some(format!("numbers ({}) of {size} bytes, aligned to {align}", scalar.name()))
            }
            _ => None,
        }
    }

    /// Returns the maximal number of elements of a file, which leaves room for a log of them all.
    pub(crate) fn most(&self) -> u64 {
        (MAX_LEN / 4 - ELEMENTS) / self.size
    }

    /// Describes the type, such as `u32` or `elements of 12 bytes aligned to 4, tag "point", version 2`.
    pub fn describe(&self) -> String {
        let mut text = match self.scalar {
            Some(scalar) => scalar.name().to_string(),
            None => format!("elements of {} bytes aligned to {}", self.size, self.align),
        };
        if self.tag != [0; 16] {
            text += &format!(", tag \"{}\"", self.tag_text());
        }
        if self.version != 0 {
            text += &format!(", version {}", self.version);
        }
        text
    }

    /// Returns the tag as text without its padding; bytes that are not ASCII are escaped.
    pub fn tag_text(&self) -> String {
        let len = self.tag.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        self.tag[..len].escape_ascii().to_string()
    }
}

/// The state of a file, as in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Counts up; its lowest bit selects the slot.
    pub(super) seq: u64,
    /// Elements.
    pub(super) count: u64,
    /// What is not in place yet.
    pub(super) log: Option<LogPlace>,
}

/// Where a redo log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogPlace {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) digest: [u8; DIGEST],
}

/// Page 0 of a new file without elements.
pub(super) fn new_page(kind: &ElementType) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    page[..FIXED].copy_from_slice(&fixed(kind));
    let digest = digest_of(&[&page[..FIXED]]);
    page[FIXED..FIXED + DIGEST].copy_from_slice(&digest);
    for seq in [1, 2] {
        let (at, slot) = State { seq, count: 0, log: None }.encode(kind);
        page[at as usize..][..slot.len()].copy_from_slice(&slot);
    }
    page
}

#[allow(clippy::host_endian_bytes, reason = "the marker has the byte order in which the machine writes elements")]
fn fixed(kind: &ElementType) -> [u8; FIXED] {
    let mut out = [0; FIXED];
    out[..8].copy_from_slice(&MAGIC);
    out[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    out[12..16].copy_from_slice(&ENDIANNESS.to_ne_bytes());
    out[16..24].copy_from_slice(&kind.size.to_le_bytes());
    out[24..32].copy_from_slice(&kind.align.to_le_bytes());
    out[32] = kind.scalar.map_or(0, |scalar| scalar as u8);
    out[36..40].copy_from_slice(&kind.version.to_le_bytes());
    out[40..56].copy_from_slice(&kind.tag);
    out
}

fn digest_of(parts: &[&[u8]]) -> [u8; DIGEST] {
    let mut hasher = blake3::Hasher::new();
    parts.iter().for_each(|part| {
        hasher.update(part);
    });
    hasher.finalize().into()
}

/// Whether a file that begins with `bytes` is a persistent vector, sound or damaged.
pub(crate) fn is_vec(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Reads page 0: the type of the elements, and the current state.
pub(super) fn read_page(page: &[u8; PAGE], from: &VecSource<'_>) -> Result<(ElementType, State)> {
    let kind = read_header(page, from)?;
    let slots = SLOTS.map(|at| State::decode(page, at, &kind));
    let state = slots.into_iter().flatten().max_by_key(|state| state.seq);
    let state = state.ok_or_else(|| from.damaged("both of its state slots are damaged: its length is lost"))?;
    let end = SLOTS.map(|at| at + SLOT + DIGEST);
    let gaps = [FIXED + DIGEST..SLOTS[0], end[0]..SLOTS[1], end[1]..PAGE];
    if gaps.into_iter().any(|gap| page[gap].iter().any(|b| *b != 0)) {
        return Err(from.damaged("reserved bytes of its first page are not zero"));
    }
    Ok((kind, state))
}

fn read_header(page: &[u8; PAGE], from: &VecSource<'_>) -> Result<ElementType> {
    if !is_vec(page) {
        return Err(from.refused("it is not a persistent vector", Cause::NotAVector));
    }
    let format = u32_at(page, 8);
    if format != FORMAT {
        return Err(from.version(format!("format {format} is not known to this version of memsnap")));
    }
    check_endianness(u32_at(page, 12), from)?;
    let kind = ElementType {
        size: u64_at(page, 16),
        align: u64_at(page, 24),
        scalar: Scalar::numbered(page[32]),
        tag: page[40..56].try_into().expect("16 bytes"),
        version: u32_at(page, 36),
    };
    if let Some(what) = kind.fault() {
        return Err(from.damaged(format!("its header describes {what}")));
    }
    if page[33..36] != [0; 3] || page[56..FIXED] != [0; 8] {
        return Err(from.damaged("reserved bytes of its header are not zero"));
    }
    if page[FIXED..FIXED + DIGEST] != digest_of(&[&page[..FIXED]]) {
        return Err(from.damaged("the digest of its header does not match"));
    }
    if page[32] != 0 && kind.scalar.is_none() {
        return Err(from.version(format!("the kind of number {} is not known to this version of memsnap", page[32])));
    }
    Ok(kind)
}

/// `stored` was read as a little-endian number.
fn check_endianness(stored: u32, from: &VecSource<'_>) -> Result<()> {
    let (little, big) = (ENDIANNESS, ENDIANNESS.swap_bytes());
    let (ours, other, name) = match cfg!(target_endian = "little") {
        true => (little, big, "big"),
        false => (big, little, "little"),
    };
    match stored {
        stored if stored == ours => Ok(()),
        stored if stored == other => Err(from
            .refused(format!("its elements are {name}-endian, those of this machine are not"), Cause::OtherByteOrder)),
        _ => Err(from.damaged(format!("its endianness marker is {stored:#010x}, which is neither order"))),
    }
}

impl State {
    /// Returns its offset in the file, and its bytes.
    pub(super) fn encode(&self, kind: &ElementType) -> (u64, [u8; SLOT + DIGEST]) {
        let mut out = [0; SLOT + DIGEST];
        let log = self.log.unwrap_or(LogPlace { offset: 0, len: 0, digest: [0; DIGEST] });
        for (field, value) in out.chunks_exact_mut(8).zip([self.seq, self.count, log.offset, log.len]) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        out[32..SLOT].copy_from_slice(&log.digest);
        let digest = digest_of(&[&fixed(kind), &out[..SLOT]]);
        out[SLOT..].copy_from_slice(&digest);
        (SLOTS[(self.seq % 2) as usize] as u64, out)
    }

    /// The state in the slot at `at`; `None` when it is damaged or belongs to another file.
    fn decode(page: &[u8; PAGE], at: usize, kind: &ElementType) -> Option<State> {
        let slot = &page[at..at + SLOT + DIGEST];
        let number = |n: usize| u64_at(slot, n * 8);
        let place = LogPlace { offset: number(2), len: number(3), digest: slot[32..SLOT].try_into().ok()? };
        let state = State { seq: number(0), count: number(1), log: (place.offset != 0).then_some(place) };
        // Digest, place and zeros: all of it has to be as it would be written.
        let (here, bytes) = state.encode(kind);
        let place_is_right = place.offset == 0 || place.is_behind(kind, state.count);
        let in_bounds = state.count <= kind.most() && state.seq <= MAX_SEQ;
        (here == at as u64 && bytes == slot && in_bounds && place_is_right).then_some(state)
    }

    /// Returns the length of a file in this state: its elements and its log.
    pub(super) fn file_len(&self, kind: &ElementType) -> u64 {
        self.log.map_or(ELEMENTS + self.count * kind.size, |log| log.offset + log.len)
    }
}

impl LogPlace {
    fn is_behind(&self, kind: &ElementType, count: u64) -> bool {
        let fits = self.offset.checked_add(self.len).is_some_and(|end| end <= MAX_LEN);
        fits && count <= kind.most()
            && self.offset.is_multiple_of(PAGE64)
            && self.offset >= ELEMENTS + count * kind.size
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}
