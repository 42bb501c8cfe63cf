//! Compares two sides page by page: the pages that differ, and the image digests of live files.

pub(crate) mod range;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::capture::{Base, KnownDigests, ScannedWindow, scan};
use crate::error::{At, Result};
use crate::ops::input::Target;
use crate::ops::input::image::{LiveFile, OpenImage, StoredImage, refuse_unfinished_to_read};
use crate::ops::input::known::{HowRead, known_image};
use crate::ops::{Progress, Reading};
use crate::pack::ReadAt;
use crate::page::{
    Digest, GROUP, GROUP_PAGES, GROUP64, ImageHasher, PAGE, PAGE64, PageNo, PageRange, PageSet, group_digest,
    page_digest, pages_of,
};
use crate::store::{DigestCache, Image, ImageBase, Spool};
use crate::sys::{open, sparse};

/// The pages in which two sides differ; what lies past the end of one counts as zeros.
pub(crate) fn compare(a: &OpenImage, b: &OpenImage, reading: &Reading, progress: &dyn Progress) -> Result<PageSet> {
    match (a, b) {
        (OpenImage::Stored(a), OpenImage::Stored(b)) => {
            a.image.changed(&b.image, PageRange { start: 0, end: PageNo::MAX })
        }
        (OpenImage::Stored(stored), OpenImage::Live(live)) | (OpenImage::Live(live), OpenImage::Stored(stored)) => {
            Ok(compare_live(live, stored, reading, progress, None)?.set)
        }
        (OpenImage::Live(a), OpenImage::Live(b)) => {
            let (long, short) = if a.len >= b.len { (a, b) } else { (b, a) };
            let base = FileBase { side: short, data: Mutex::default() };
            let set = read(long.whole(), &base, reading, progress, None)?.0;
            // A file that was cut short reads as holes to its former end.
            if open::stamp(&short.file, &short.path)?.len < short.len {
                return Err(short.cut());
            }
            Ok(set)
        }
    }
}

/// What a live file is beside a stored image.
pub(crate) struct LiveComparison {
    /// The pages that differ.
    pub(crate) set: PageSet,
    /// The image digest of the file.
    pub(crate) image: Digest,
    /// How much of the file was read.
    pub(crate) how: HowRead,
}

/// Compares a live file with a stored image. `seen` gets the digests that the pages that differ have in the live file;
/// where it ends before the set does, they are zeros.
pub(crate) fn compare_live(
    live: &LiveFile,
    stored: &StoredImage,
    reading: &Reading,
    progress: &dyn Progress,
    mut seen: Option<&mut PageDigests>,
) -> Result<LiveComparison> {
    let is_target = live.path == stored.history.target();
    if is_target {
        refuse_unfinished_to_read(&stored.history)?;
    }
    let why = match () {
        () if !is_target => "it is another file".into(),
        () if seen.is_some() => "the digests of its pages are wanted".into(),
        () => match known_image(&stored.history, live.target(), reading)? {
            Ok(known) if known.image.len() == live.len => {
                let set = known.image.changed(&stored.image, PageRange { start: 0, end: PageNo::MAX })?;
                return Ok(LiveComparison { set, image: known.image.digest(), how: HowRead::Nothing(known.why()) });
            }
            Ok(_) => "its length changed".into(),
            Err(why) => why,
        },
    };
    let cache =
        DigestCache::open(&stored.history).filter(|t| (t.image, t.len) == (stored.image.digest(), stored.image.len()));
    let by_cache = cache.as_ref().map(|cache| read(live.whole(), cache, reading, progress, seen.as_deref_mut()));
    let (mut set, image) = match by_cache {
        // The cache is damaged, and was removed: once more without it.
        Some(Err(e)) if DigestCache::is_cause(&stored.history, &e) => None,
        done => done,
    }
    .unwrap_or_else(|| read(live.whole(), &ImageBase::new(&stored.image), reading, progress, seen))?;
    // What the stored image has past the end of the file.
    let past = PageRange { start: pages_of(live.len), end: stored.image.pages().max(pages_of(live.len)) };
    for run in stored.image.runs_in([past]) {
        let run = run?;
        if !run.source.is_zeros() {
            set.insert_range(run.pages);
        }
    }
    Ok(LiveComparison { set, image, how: HowRead::All(why) })
}

/// The pages in which a target differs from `image`, by reading all of it; and its image digest.
pub(crate) fn pages_off(
    target: Target<'_>,
    image: &Image,
    reading: &Reading,
    progress: &dyn Progress,
) -> Result<(PageSet, Digest)> {
    let len = open::stamp(target.file, target.path)?.len;
    let (set, found) = read((target.file, target.path, len), &ImageBase::new(image), reading, progress, None)?;
    let mut within: PageSet = set.runs_within(PageRange::of_len(image.len())).collect();
    within.insert_range(PageRange { start: pages_of(len).min(image.pages()), end: image.pages() });
    Ok((within, found))
}

/// Scans a file against `base`: the pages that differ, and the image digest.
fn read(
    file: (&File, &Path, u64),
    base: &dyn Base,
    reading: &Reading,
    progress: &dyn Progress,
    mut seen: Option<&mut PageDigests>,
) -> Result<(PageSet, Digest)> {
    let mut set = PageSet::new();
    if let Some(seen) = &mut seen {
        seen.clear();
    }
    let digest = scan_file(file, base, reading, ("comparing", progress), |found| {
        found.changed.iter().for_each(|(page, _)| set.insert(*page));
        match &mut seen {
            Some(seen) => found.changed.iter().try_for_each(|(_, digest)| seen.put(digest)),
            None => Ok(()),
        }
    })?;
    Ok((set, digest))
}

/// Scans a file of that length against `base`, calls `each` with what every window holds, in order, and returns the
/// image digest.
pub(crate) fn scan_file(
    file: (&File, &Path, u64),
    base: &dyn Base,
    reading: &Reading,
    (doing, progress): (&str, &dyn Progress),
    mut each: impl FnMut(&ScannedWindow) -> Result<()>,
) -> Result<Digest> {
    let mut hasher = ImageHasher::new(file.2);
    progress.begin(doing, file.2);
    let advance = |bytes: u64| progress.advance(bytes);
    let scanned = scan(file, None, base, reading.how(false), &advance, &Ok, |found: ScannedWindow| {
        found.groups.iter().for_each(|(group, digest)| hasher.push(*group, digest));
        each(&found)
    });
    progress.end();
    scanned?;
    Ok(hasher.finish())
}

/// Digests of pages in their order, on scratch space.
pub(crate) struct PageDigests {
    scratch: PathBuf,
    digests: Spool,
}

impl PageDigests {
    /// None yet; where they are many, they go to a file in `scratch`.
    pub(crate) fn new(scratch: &Path) -> PageDigests {
        PageDigests { scratch: scratch.into(), digests: Spool::new(scratch) }
    }

    fn clear(&mut self) {
        self.digests = Spool::new(&self.scratch);
    }

    /// Adds the digest of the next page.
    pub(crate) fn put(&mut self, digest: &Digest) -> Result<()> {
        self.digests.write_all(&digest.0).at("writing scratch space in", &self.scratch)
    }

    /// The digest of page number `n` of those seen; zeros past the last.
    pub(crate) fn get(&self, n: u64) -> Result<Digest> {
        let mut digest = Digest::ZERO;
        if n < self.digests.len() / 32 {
            self.digests.read_at(&mut digest.0, n * 32).at("reading scratch space in", &self.scratch)?;
        }
        Ok(digest)
    }
}

/// The image digest of a file of that length.
pub(crate) fn digest_of(file: (&File, &Path, u64), reading: &Reading, progress: &dyn Progress) -> Result<Digest> {
    digest_groups(file, reading, progress, |_, _| {})
}

/// The same; `each` gets the digests of its groups, ascending, but for those that are zeros.
pub(crate) fn digest_groups(
    file: (&File, &Path, u64),
    reading: &Reading,
    progress: &dyn Progress,
    mut each: impl FnMut(u64, &Digest),
) -> Result<Digest> {
    scan_file(file, &Marked(&PageSet::new()), reading, ("reading", progress), |found| {
        found.groups.iter().for_each(|(group, digest)| each(*group, digest));
        Ok(())
    })
}

/// No base: the digests of all groups are wanted, and those of the pages of groups in which any page is in the set.
pub(crate) struct Marked<'a>(pub(crate) &'a PageSet);

impl Base for Marked<'_> {
    fn known(&self, window: PageRange) -> Result<KnownDigests> {
        if !self.0.meets(window) {
            return Ok(KnownDigests::Marked(Vec::new()));
        }
        let groups = window.start / GROUP_PAGES..window.end / GROUP_PAGES;
        Ok(KnownDigests::Marked(groups.map(|group| self.0.meets(PageRange::of_group(group))).collect()))
    }

    fn data_from(&self, _: PageNo) -> Result<PageNo> {
        Ok(PageNo::MAX) // groups in holes are never compared
    }

    fn pages(&self, _: u64) -> Result<[Digest; GROUP_PAGES as usize]> {
        Ok([Digest::ZERO; GROUP_PAGES as usize])
    }
}

/// Another file as a base: read where the first has to be compared with it.
struct FileBase<'a> {
    side: &'a LiveFile,
    /// Groups that hold data, of all windows asked about so far (as numbers of pages).
    data: Mutex<PageSet>,
}

impl FileBase<'_> {
    /// The bytes of a group; none where there is no data.
    fn group_bytes(&self, group: u64) -> Result<Option<Vec<u8>>> {
        if !self.data.lock().unwrap_or_else(PoisonError::into_inner).contains(group) {
            return Ok(None);
        }
        let mut bytes = vec![0; GROUP];
        let there = self.side.len.saturating_sub(group * GROUP64).min(GROUP64) as usize;
        self.side.read(&mut bytes[..there], group * GROUP64)?;
        Ok(Some(bytes))
    }
}

impl Base for FileBase<'_> {
    fn known(&self, window: PageRange) -> Result<KnownDigests> {
        let (mut at, end) = (window.offset(), window.end_offset().min(self.side.len));
        let mut known = KnownDigests::Nothing;
        while let Some((start, stop)) =
            sparse::next_data(&self.side.file, at, end).at("looking for holes in", &self.side.path)?
        {
            let groups = PageRange { start: start / GROUP64, end: stop.div_ceil(GROUP64) };
            self.data.lock().unwrap_or_else(PoisonError::into_inner).insert_range(groups);
            known = KnownDigests::Ask;
            at = groups.end * GROUP64;
        }
        Ok(known)
    }

    fn data_from(&self, page: PageNo) -> Result<PageNo> {
        let at = page * PAGE64;
        let data = if at < self.side.len { sparse::next_data(&self.side.file, at, self.side.len) } else { Ok(None) };
        let data = data.at("looking for holes in", &self.side.path)?;
        Ok(data.map_or(PageNo::MAX, |(start, _)| start / PAGE64))
    }

    fn group(&self, group: u64) -> Result<Digest> {
        let bytes = self.group_bytes(group)?;
        Ok(bytes.map_or(Digest::ZERO, |bytes| group_digest(bytes[..].try_into().expect("a group is 64 KiB"))))
    }

    fn pages(&self, group: u64) -> Result<[Digest; GROUP_PAGES as usize]> {
        let mut out = [Digest::ZERO; GROUP_PAGES as usize];
        if let Some(bytes) = self.group_bytes(group)? {
            let (pages, _) = bytes.as_chunks::<PAGE>();
            out.iter_mut().zip(pages).for_each(|(digest, page)| *digest = page_digest(page));
        }
        Ok(out)
    }
}
