//! Frames: up to 16 pages that are coded together.

use zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter, ResetDirective};

use super::kinds::Compress;
use super::wire::Bad;
use crate::page::{GROUP, PAGE};

/// Most pages in a frame.
pub const FRAME_PAGES: usize = 16;

/// How the bytes of a frame are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// Uncompressed.
    Raw = 0,
    /// One zstd frame.
    Zstd = 1,
    /// One zstd frame with the old content of the same pages as its prefix; only in deltas.
    Prefix = 2,
}

impl FrameKind {
    pub(super) fn from_code(code: u8) -> Result<FrameKind, Bad> {
        let known = [FrameKind::Raw, FrameKind::Zstd, FrameKind::Prefix];
        let kind = known.get(usize::from(code)).copied();
        kind.ok_or_else(|| Bad::newer(format_args!("frames of kind {code} are")))
    }
}

/// The number of frames of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Uncompressed, because they do not shrink or compression is off.
    pub raw: u64,
    /// Compressed by zstd.
    pub zstd: u64,
    /// Compressed by zstd against the old content of the same pages.
    pub prefix: u64,
}

impl FrameCounts {
    pub(super) fn add(&mut self, kind: FrameKind) {
        match kind {
            FrameKind::Raw => self.raw += 1,
            FrameKind::Zstd => self.zstd += 1,
            FrameKind::Prefix => self.prefix += 1,
        }
    }
}

/// A coded frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// How it is coded.
    pub kind: FrameKind,
    /// The coded bytes.
    pub bytes: Vec<u8>,
}

/// Codes 1 to 16 whole pages.
pub fn encode_frame(pages: &[u8], compress: Compress) -> Frame {
    assert!(pages.len().is_multiple_of(PAGE) && (PAGE..=GROUP).contains(&pages.len()));
    if let Compress::Zstd(level) = compress
        && let Some(bytes) = shrink(pages, level)
    {
        return Frame { kind: FrameKind::Zstd, bytes };
    }
    Frame { kind: FrameKind::Raw, bytes: pages.to_vec() }
}

/// Codes 1 to 16 whole pages against their old content, if that is smaller than without it.
pub fn encode_frame_against(pages: &[u8], old: &[u8], level: i32) -> Frame {
    assert_eq!(pages.len(), old.len());
    match shrink_against(pages, old, level) {
        // At half the size or less, coding them without the old content is hardly ever better.
        Some(bytes) if bytes.len() <= pages.len() / 2 => Frame { kind: FrameKind::Prefix, bytes },
        Some(bytes) => {
            let alone = encode_frame(pages, Compress::Zstd(level));
            if alone.bytes.len() <= bytes.len() { alone } else { Frame { kind: FrameKind::Prefix, bytes } }
        }
        None => encode_frame(pages, Compress::Zstd(level)),
    }
}

/// The pages as one zstd frame, if that is shorter.
fn shrink(pages: &[u8], level: i32) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(pages.len());
    CONTEXT.with_borrow_mut(|context| {
        prepare(context, level);
        set(context, CParameter::ContentSizeFlag(false));
        set(context, CParameter::EnableLongDistanceMatching(false));
        // Fails if the frame does not fit into `out`, and so is not shorter than the pages.
        context.compress2(&mut out, pages).ok()
    })?;
    (out.len() < pages.len()).then_some(out)
}

/// Resets a context, and sets what all frames have in common. Without the reset, a context in which a frame did not fit
/// accepts no parameters.
fn prepare(context: &mut CCtx<'_>, level: i32) {
    context.reset(ResetDirective::SessionAndParameters).expect("a context without workers can always be reset");
    set(context, CParameter::CompressionLevel(level));
    set(context, CParameter::WindowLog(WINDOW_LOG));
}

fn set(context: &mut CCtx<'_>, parameter: CParameter) {
    context.set_parameter(parameter).expect("a context that was reset takes parameters");
}

/// As [`shrink`], with `old` as prefix. A context borrows its prefix, so each prefix would need a new context, which
/// takes longer than the coding. The call for dictionaries reuses a context, and treats all bytes as plain content
/// unless they begin with the magic of zstd's own dictionaries.
fn shrink_against(pages: &[u8], old: &[u8], level: i32) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(pages.len());
    if old.starts_with(&DICTIONARY) {
        let mut context = CCtx::create();
        prepare(&mut context, level);
        context.ref_prefix(old).ok()?;
        context.compress2(&mut out, pages).ok()?;
    } else {
        CONTEXT.with_borrow_mut(|context| context.compress_using_dict(&mut out, pages, old, level)).ok()?;
    }
    (out.len() < pages.len()).then_some(out)
}

/// The magic of zstd's own dictionaries.
const DICTIONARY: [u8; 4] = [0x37, 0xa4, 0x30, 0xec];

/// 128 KiB: a frame and its prefix.
const WINDOW_LOG: u32 = 17;

thread_local! {
    static CONTEXT: std::cell::RefCell<CCtx<'static>> = std::cell::RefCell::new(CCtx::create());
    static DECODER: std::cell::RefCell<DCtx<'static>> = std::cell::RefCell::new(DCtx::create());
}

/// A frame of 64 KiB needs no window of more than 1 MiB; a forged frame could ask for much more memory.
const MOST_WINDOW_LOG: u32 = 20;

/// Decodes a frame into `out`, which has exactly the bytes of its pages; `old` is their old content for
/// [`FrameKind::Prefix`].
pub fn decode_frame(kind: FrameKind, bytes: &[u8], old: Option<&[u8]>, out: &mut [u8]) -> Result<(), Bad> {
    let wrong = || Bad::new("a frame does not decode");
    let n = match kind {
        FrameKind::Raw => {
            if bytes.len() != out.len() {
                return Err(wrong());
            }
            out.copy_from_slice(bytes);
            bytes.len()
        }
        FrameKind::Zstd => DECODER.with_borrow_mut(|d| d.decompress(out, bytes)).map_err(|_| wrong())?,
        FrameKind::Prefix => {
            let old = old.ok_or_else(wrong)?;
            if old.starts_with(&DICTIONARY) {
                let mut context = DCtx::create();
                context.set_parameter(DParameter::WindowLogMax(MOST_WINDOW_LOG)).map_err(|_| wrong())?;
                context.ref_prefix(old).map_err(|_| wrong())?;
                decompress_with_prefix(&mut context, out, bytes).ok_or_else(wrong)?
            } else {
                DECODER.with_borrow_mut(|d| d.decompress_using_dict(out, bytes, old)).map_err(|_| wrong())?
            }
        }
    };
    if n == out.len() { Ok(()) } else { Err(wrong()) }
}

/// Only the streaming calls use a prefix.
fn decompress_with_prefix(context: &mut DCtx<'_>, out: &mut [u8], bytes: &[u8]) -> Option<usize> {
    use zstd::zstd_safe::{InBuffer, OutBuffer};
    let mut input = InBuffer::around(bytes);
    let mut output = OutBuffer::around(out);
    let left = context.decompress_stream(&mut output, &mut input).ok()?;
    (left == 0 && input.pos() == bytes.len()).then(|| output.pos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page_like() -> impl Strategy<Value = Vec<u8>> {
        (1usize..=16, any::<u64>(), any::<bool>()).prop_map(|(n, seed, noise)| {
            let mut state = seed | 1;
            (0..n * PAGE)
                .map(|i| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    if noise { (state >> 33) as u8 } else { (i / 97) as u8 ^ seed as u8 }
                })
                .collect()
        })
    }

    /// Something done with the contexts of a thread.
    #[derive(Clone, Debug)]
    enum Task {
        Alone(Vec<u8>, i32),
        Against(Vec<u8>, Vec<u8>, i32),
        Decode(FrameKind, Vec<u8>, Vec<u8>),
    }

    fn task() -> impl Strategy<Value = Task> {
        let kind = prop::sample::select(vec![FrameKind::Zstd, FrameKind::Prefix]);
        prop_oneof![
            (page_like(), 1i32..6).prop_map(|(pages, level)| Task::Alone(pages, level)),
            (page_like(), page_like(), any::<bool>(), 1i32..6).prop_map(|(pages, mut old, magic, level)| {
                old.resize(pages.len(), 7);
                if magic {
                    old[..4].copy_from_slice(&DICTIONARY);
                }
                Task::Against(pages, old, level)
            }),
            // Sound, cut and changed frames.
            (kind, page_like(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
                |(kind, pages, cut, at, byte)| {
                    let old = vec![3; pages.len()];
                    let frame = match kind {
                        FrameKind::Prefix => encode_frame_against(&pages, &old, 1),
                        _ => encode_frame(&pages, Compress::Zstd(1)),
                    };
                    let mut bytes = frame.bytes;
                    bytes.truncate(cut.index(bytes.len()) + 1);
                    let at = at.index(bytes.len());
                    bytes[at] ^= byte & 3;
                    Task::Decode(frame.kind, bytes, old)
                }
            ),
        ]
    }

    impl Task {
        /// What comes out: the kind and the bytes, or the pages.
        fn run(&self) -> (Option<FrameKind>, Vec<u8>) {
            let frame = match self {
                Task::Alone(pages, level) => encode_frame(pages, Compress::Zstd(*level)),
                Task::Against(pages, old, level) => encode_frame_against(pages, old, *level),
                Task::Decode(kind, bytes, old) => {
                    let mut out = vec![0; old.len()];
                    let sound = decode_frame(*kind, bytes, Some(old), &mut out).is_ok();
                    return (None, if sound { out } else { Vec::new() });
                }
            };
            (Some(frame.kind), frame.bytes)
        }
    }

    proptest! {
        #[test]
        fn frames_come_back(pages in page_like(), level in 1i32..6) {
            for compress in [Compress::None, Compress::Zstd(level)] {
                let frame = encode_frame(&pages, compress);
                prop_assert!(frame.bytes.len() <= pages.len());
                let mut out = vec![0; pages.len()];
                decode_frame(frame.kind, &frame.bytes, None, &mut out).unwrap();
                prop_assert_eq!(&out, &pages);
            }
        }

        #[test]
        fn frames_against_old_content_come_back(pages in page_like(), at: prop::sample::Index, byte: u8) {
            let mut old = pages.clone();
            let at = at.index(old.len());
            old[at] ^= byte;
            let frame = encode_frame_against(&pages, &old, 3);
            prop_assert!(frame.bytes.len() < 2000, "{} bytes for one changed byte", frame.bytes.len());
            let mut out = vec![0; pages.len()];
            decode_frame(frame.kind, &frame.bytes, Some(&old), &mut out).unwrap();
            prop_assert_eq!(&out, &pages);
            if frame.kind == FrameKind::Prefix {
                prop_assert!(decode_frame(frame.kind, &frame.bytes, None, &mut out).is_err());
            }
        }

        #[test]
        fn old_content_may_look_like_a_dictionary(pages in page_like(), at: prop::sample::Index, byte: u8) {
            let mut old = pages.clone();
            old[..4].copy_from_slice(&DICTIONARY);
            old[at.index(pages.len())] ^= byte;
            let frame = encode_frame_against(&pages, &old, 1);
            let mut out = vec![0; pages.len()];
            decode_frame(frame.kind, &frame.bytes, Some(&old), &mut out).unwrap();
            prop_assert_eq!(&out, &pages);
        }

        /// What was coded or decoded before, with or without success, is nothing to the frame that follows.
        #[test]
        fn any_order_gives_the_same_bytes(tasks in prop::collection::vec(task(), 1..12)) {
            let alone = |task: &Task| std::thread::scope(|s| s.spawn(|| task.run()).join().unwrap());
            for task in &tasks {
                let (here, fresh) = (task.run(), alone(task));
                prop_assert!(here == fresh);
            }
        }

        #[test]
        fn any_bytes_decode_or_fail(bytes: Vec<u8>, n in 1usize..=16) {
            let mut out = vec![0; n * PAGE];
            for kind in [FrameKind::Raw, FrameKind::Zstd, FrameKind::Prefix] {
                let _ = decode_frame(kind, &bytes, Some(&vec![7; n * PAGE]), &mut out);
            }
        }
    }

    /// A window of 128 MiB would be memory that a forged frame asks for.
    #[test]
    fn huge_windows_are_refused() {
        let mut old = vec![7; GROUP];
        old[..4].copy_from_slice(&DICTIONARY);
        for (log, sound) in [(WINDOW_LOG, true), (27, false)] {
            let mut context = CCtx::create();
            context.set_parameter(CParameter::WindowLog(log)).unwrap();
            context.set_parameter(CParameter::ContentSizeFlag(false)).unwrap();
            context.ref_prefix(&old).unwrap();
            let mut coded = vec![0; 1 << 20];
            let mut output = zstd::zstd_safe::OutBuffer::around(&mut coded[..]);
            // In two steps, so that the size is not known when the window is written down.
            let pages = vec![9; PAGE];
            let mut input = zstd::zstd_safe::InBuffer::around(&pages);
            context.compress_stream(&mut output, &mut input).unwrap();
            context.end_stream(&mut output).unwrap();
            let n = output.pos();
            let mut out = vec![0; PAGE];
            let decoded = decode_frame(FrameKind::Prefix, &coded[..n], Some(&old), &mut out);
            assert_eq!(decoded.is_ok(), sound, "2^{log}: {decoded:?}");
        }
    }
}
