//! `restore`: writes an image to another file, or to a stream.

mod logs;
mod set;

pub(crate) use logs::{StoredLog, stored_logs};
#[doc(hidden)]
pub use set::{rehearse_set, restore_set};

use crate::sys::ext::FileExt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::change::metadata;
use super::input::operand::Operand;
use super::options::options;
pub use super::output::Out;
use super::output::{Named, check_out, make_file_after};
use super::read::losses::Salvage;
use super::read::{MOST_PAGES, PackSpan, gather, hash_groups, slots, touch};
use super::{Note, Progress, find_history};
use crate::capture::Rate;
use crate::error::{At, Error, Result};
use crate::pack::{Cursor, Run, Source};
use crate::page::{Digest, GROUP_PAGES, ImageHasher, PAGE, PAGE64, PageNo, PageRange, groups_of};
use crate::store::{Image, PageReader, Ref};
use crate::sys::{create, descriptor};
use logs::WrittenLogs;

/// Pages that go to a stream at once: so much is held in memory.
const WINDOW: u64 = 4096;
/// Pages that go to a file before they are read back: still in the page cache, and so many that images of thousands of
/// packs have several of each.
const STRETCH: u64 = 128 << 10;

options! {
    /// Options of [`restore`].
    Options {
        /// Sets the store; by default it is the one beside the file.
        store: Option<PathBuf> = None, into;
        /// Sets whether an existing file is replaced.
        force: bool = false;
        /// Sets the most bytes that are written in a second; by default there is no limit.
        limit_rate: Option<u64> = None, into;
        /// Sets whether pages in damaged or missing packs are written as zeros, instead of failing.
        skip_damaged: bool = false;
    }
}

/// The result of [`restore`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Length of the image.
    pub len: u64,
    /// Bytes written; holes are not.
    pub bytes_written: u64,
    /// With [`Options::skip_damaged`], the pages that are lost: they were written as zeros.
    pub lost: Vec<PageRange>,
    /// The damage in the store that they are lost by.
    pub damage: Vec<String>,
    /// Notes and warnings: what was not restored.
    pub notes: Vec<Note>,
    /// Time taken.
    pub elapsed: Duration,
}

/// Writes the image that `what` names (the latest when it names none) to `out`, which gets its name once all of it is
/// there and proven.
///
/// # Errors
/// [`Error::Refused`] when `out` exists and `force` is not set, or is the target itself; [`Error::Damaged`] when the
/// image cannot be read completely; with [`Options::skip_damaged`], if not even its list of pages can.
pub fn restore(what: &Operand, out: Out<'_>, options: &Options, progress: &dyn Progress) -> Result<Report> {
    let began = Instant::now();
    let history = find_history(options.store.as_deref(), &what.path)?;
    let name = history.resolve(what.at.as_ref().unwrap_or(&Ref::Latest))?;
    let image = history.image(name)?;
    let logs = stored_logs(&history, &image)?;
    let mut reader = Reader::new(&image, options.limit_rate, progress);
    reader.salvage = options.skip_damaged.then(Mutex::default);
    progress.begin("restoring", image.len());
    let done = match out {
        Out::Stream(stream) => reader.stream_to(stream, Path::new("-")).map(|written| (written, lacking(&logs))),
        Out::Path(path) => match descriptor::sink(path)? {
            Some(mut sink) => reader.stream_to(&mut sink, path).map(|written| (written, lacking(&logs))),
            None => to_path(&mut reader, path, history.target(), &logs, options.force),
        },
    };
    progress.end();
    let (bytes_written, notes) = done?;
    let salvage = reader.salvage.map(|salvage| salvage.into_inner().unwrap_or_else(PoisonError::into_inner));
    let (lost, damage) = salvage.unwrap_or_default().into_parts();
    Ok(Report { len: image.len(), bytes_written, lost, damage, notes, elapsed: began.elapsed() })
}

/// Finds out whether [`restore`] would write to the path `out`, and writes nothing.
///
/// # Errors
/// As [`restore`], but for what only reading and writing finds.
#[doc(hidden)]
pub fn rehearse(what: &Operand, out: &Path, options: &Options) -> Result<()> {
    let history = find_history(options.store.as_deref(), &what.path)?;
    let name = history.resolve(what.at.as_ref().unwrap_or(&Ref::Latest))?;
    if !descriptor::is_sink(out) {
        let logs = stored_logs(&history, &history.image(name)?)?;
        check_outs(out, history.target(), &logs, options.force)?;
    }
    Ok(())
}

/// Writes `image` into a new file of zeros, `path` in errors, every page proven; returns the digests of its groups that are not zeros.
pub(crate) fn fill(image: &Image, file: &File, path: &Path, progress: &dyn Progress) -> Result<Vec<(u64, Digest)>> {
    let mut reader = Reader { groups: Some(Vec::new()), ..Reader::new(image, None, progress) };
    progress.begin("restoring", image.len());
    let written = reader.write_to(file, path);
    progress.end();
    written?;
    Ok(reader.groups.unwrap_or_default())
}

fn to_path(
    reader: &mut Reader<'_>,
    out: &Path,
    target: &Path,
    logs: &[StoredLog],
    force: bool,
) -> Result<(u64, Vec<Note>)> {
    let (out, beside) = check_outs(out, target, logs, force)?;
    let with_it = WrittenLogs::write(logs, &out, force, reader.progress)?;
    let (of_logs, mut notes) = (with_it.bytes, with_it.notes.clone());
    let mut published = Vec::new();
    let write = |file: &File| {
        let written = reader.write_to(file, &out)?;
        Ok((written, metadata::give_all(file, reader.image, &out)?))
    };
    let publish_logs = || {
        published = with_it.publish(force)?;
        Ok(())
    };
    let made = make_file_after(&out, force, &beside, write, publish_logs);
    if made.is_err() {
        logs::withdraw(&published);
    }
    let (written, more) = made?;
    notes.extend(more);
    Ok((written + of_logs, notes))
}

/// The paths at which the image and its logs may be made. Never in place of the target; the metadata is set by
/// [`metadata::give_all`].
fn check_outs(out: &Path, target: &Path, logs: &[StoredLog], force: bool) -> Result<(PathBuf, Vec<PathBuf>)> {
    let path = create::resolve_output(out)?;
    let beside: Vec<_> = logs.iter().map(|log| log.beside(&path)).collect();
    let out = check_out(out, &Named { force, apart: &[target], logs: &beside, mode: 0 })?;
    beside.iter().try_for_each(|path| logs::check(path, force))?;
    Ok((out, beside))
}

/// What a stream lacks.
fn lacking(logs: &[StoredLog]) -> Vec<Note> {
    let lacks = |log: &StoredLog| {
        let name = log.history.label();
        Note::warning(format!("{name}, which holds changes that are not in the file, is not part of the stream"))
    };
    logs.iter().map(lacks).collect()
}

/// Reads the image from front to back.
struct Reader<'a> {
    image: &'a Image,
    rate: Mutex<Option<Rate>>,
    progress: &'a dyn Progress,
    hasher: ImageHasher,
    written: u64,
    /// The digests of all groups that are not zeros, if they are wanted.
    groups: Option<Vec<(u64, Digest)>>,
    /// What to pass over, instead of failing.
    salvage: Option<Mutex<Salvage>>,
}

impl<'a> Reader<'a> {
    fn new(image: &'a Image, rate: Option<u64>, progress: &'a dyn Progress) -> Reader<'a> {
        let hasher = ImageHasher::new(image.len());
        let rate = Mutex::new(rate.map(Rate::new));
        Reader { image, rate, progress, hasher, written: 0, groups: None, salvage: None }
    }

    fn spend(&self, bytes: u64) {
        if let Some(rate) = self.rate.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            rate.spend(bytes);
        }
    }

    /// Reads pages of a pack, each proven by its digest.
    fn read(&self, reader: &mut PageReader<'_>, (pack, page): (u32, PageNo), out: &mut [u8]) -> Result<()> {
        match (reader.read_run(pack, page, out), &self.salvage) {
            (Err(e), Some(salvage)) => {
                let mut salvage = salvage.lock().unwrap_or_else(PoisonError::into_inner);
                salvage.read(self.image.packs(), reader, (pack, page), out, e)
            }
            (done, _) => done,
        }
    }

    /// The list of pages to skip, if there is one; no other thread reads at this time.
    fn salvaged(&mut self) -> Option<&mut Salvage> {
        self.salvage.as_mut().map(|salvage| salvage.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls `each` with windows of `pages` pages, and what they are made of.
    /// `sparse`: those in which there are only holes are passed over, however many they are.
    fn windows(
        &mut self,
        pages: u64,
        sparse: bool,
        mut each: impl FnMut(&mut Self, PageRange, &[Run]) -> Result<()>,
    ) -> Result<()> {
        let mut runs = Cursor::new(self.image.runs());
        let (mut start, all) = (0, self.image.pages());
        while start < all {
            if sparse {
                let data =
                    runs.data_from(start, |source| source == Source::Hole).map_err(|e| e.of(self.image.path()))?;
                start = start.max(data.min(all) / pages * pages);
                if start == all {
                    break;
                }
            }
            let window = PageRange { start, end: all.min(start + pages) };
            let runs = runs.all_in(window).map_err(|e| e.of(self.image.path()))?;
            each(self, window, &runs)?;
            if let Some(salvage) = self.salvaged() {
                salvage.end_part(&runs);
            }
            start = window.end.max(start + pages);
        }
        let lossy = self.salvaged().is_some_and(|salvage| !salvage.is_whole());
        if lossy || self.hasher.finish() == self.image.digest() {
            return Ok(());
        }
        Err(Error::damaged(self.image.path(), "the restored pages do not match its image digest"))
    }

    /// Adds the groups from page `first` on to the image digest.
    fn fold(&mut self, first: u64, digests: &[Digest]) {
        for (group, digest) in (first / GROUP_PAGES..).zip(digests).filter(|(_, digest)| !digest.is_zero()) {
            self.hasher.push(group, digest);
            if let Some(groups) = &mut self.groups {
                groups.push((group, *digest));
            }
        }
    }

    fn stream_to(&mut self, out: &mut dyn Write, to: &Path) -> Result<u64> {
        let len = self.image.len();
        let mut buf = vec![0; (WINDOW.min(groups_of(len) * GROUP_PAGES) * PAGE64) as usize];
        self.windows(WINDOW, false, |this, window, runs| {
            let pieces = slots(&mut buf, window.start, runs);
            gather(self.image.packs(), pieces, &|reader, piece| {
                this.spend(piece.pages * PAGE64);
                this.read(reader, (piece.pack, piece.page), piece.place)
            })?;
            let (there, past) = buf.split_at_mut((window.len() * PAGE64) as usize);
            past.fill(0);
            let bytes = window.end_offset().min(len) - window.offset();
            out.write_all(&there[..bytes as usize]).at("writing", to)?;
            let (touched, mut digests) = groups(window, runs);
            hash_groups(&buf, &touched, &mut digests);
            this.fold(window.start, &digests);
            this.progress.advance(bytes);
            Ok(())
        })?;
        out.flush().at("writing", to)?;
        Ok(len)
    }

    fn write_to(&mut self, file: &File, path: &Path) -> Result<u64> {
        let len = self.image.len();
        file.set_len(len).at("writing", path)?;
        let write = |bytes: &[u8], at: u64| {
            let n = (len - at).min(bytes.len() as u64) as usize;
            file.write_all_at(&bytes[..n], at).at("writing", path)
        };
        self.windows(STRETCH, true, |this, window, runs| {
            gather(this.image.packs(), pieces(runs, &write)?, &|reader, piece: PackSpan<u64>| {
                this.spend(piece.pages * PAGE64);
                let mut bytes = vec![0; (piece.pages * PAGE64) as usize];
                this.read(reader, (piece.pack, piece.page), &mut bytes)?;
                this.progress.advance(bytes.len() as u64);
                write(&bytes, piece.place)
            })?;
            let written = runs.iter().filter(|run| run.source != Source::Hole);
            this.written += written.map(|r| r.pages.end_offset().min(len) - r.pages.offset()).sum::<u64>();
            let zeros = runs.iter().filter(|run| run.source.is_zeros());
            this.progress.advance(zeros.map(|r| r.pages.len() * PAGE64).sum());
            let digests = read_back(file, path, len, window, runs)?;
            this.fold(window.start, &digests);
            create::start_writeback(file, window.offset(), window.len() * PAGE64);
            Ok(())
        })?;
        Ok(self.written)
    }
}

/// What is to be read, and its offset in the file; writes zeros that are no holes.
fn pieces(runs: &[Run], write: &dyn Fn(&[u8], u64) -> Result<()>) -> Result<Vec<PackSpan<u64>>> {
    let mut out = Vec::new();
    let zeros = vec![0; (MOST_PAGES * PAGE64) as usize];
    for run in runs {
        for start in (run.pages.start..run.pages.end).step_by(MOST_PAGES as usize) {
            let part = run.clip(&PageRange { start, end: run.pages.end.min(start + MOST_PAGES) });
            let (pages, place) = (part.pages.len(), part.pages.offset());
            match part.source {
                Source::Hole => break,
                Source::Zero => write(&zeros[..(pages * PAGE64) as usize], place)?,
                Source::Pack(pack, page) => out.push(PackSpan { pack, page, pages, place }),
            }
        }
    }
    Ok(out)
}

/// Which groups of `window` hold anything, and a place for their digests.
fn groups(window: PageRange, runs: &[Run]) -> (Vec<bool>, Vec<Digest>) {
    let n = window.len().div_ceil(GROUP_PAGES) as usize;
    let mut touched = vec![false; n];
    runs.iter().filter(|run| !run.source.is_zeros()).for_each(|run| touch(&mut touched, window.start, &run.pages));
    (touched, vec![Digest::ZERO; n])
}

/// The digests of the groups of `window` as the file has them now. Holes are not read: that would fill the page cache
/// with zeros.
fn read_back(file: &File, path: &Path, len: u64, window: PageRange, runs: &[Run]) -> Result<Vec<Digest>> {
    let (touched, mut digests) = groups(window, runs);
    let per = (WINDOW / GROUP_PAGES) as usize;
    let mut buf = vec![0; (WINDOW.min(touched.len() as u64 * GROUP_PAGES) * PAGE64) as usize];
    for (i, (touched, digests)) in touched.chunks(per).zip(digests.chunks_mut(per)).enumerate() {
        if !touched.contains(&true) {
            continue;
        }
        let start = window.start + i as u64 * WINDOW;
        let part = PageRange { start, end: window.end.min(start + WINDOW) };
        buf.fill(0);
        let first = runs.partition_point(|run| run.pages.end <= part.start);
        for run in runs[first..].iter().take_while(|run| run.pages.start < part.end) {
            if !run.source.is_zeros() {
                let run = run.clip(&part).pages;
                let (from, to) = (run.offset(), run.end_offset().min(len));
                let place = &mut buf[(from - part.offset()) as usize..(to - part.offset()) as usize];
                file.read_exact_at(place, from).at("reading back", path)?;
            }
        }
        hash_groups(&buf, touched, digests);
    }
    Ok(digests)
}

const _: () = assert!(WINDOW.is_multiple_of(GROUP_PAGES) && STRETCH.is_multiple_of(WINDOW) && PAGE == PAGE64 as usize);

#[cfg(test)]
#[path = "restore_test.rs"]
mod tests;
