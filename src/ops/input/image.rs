//! What a verb compares or shows: stored images and live files.

use crate::sys::ext::FileExt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{At, Cause, Error, Result, shown};
use crate::ops::input::Target;
use crate::ops::input::operand::Operand;
use crate::ops::{Reading, find_history, resolve};
use crate::store::{ChangeMarker, History, Image, Ref};
use crate::sys::{fs, lock, open};

/// One side of a comparison.
#[derive(Debug)]
pub(crate) enum OpenImage {
    Stored(Box<StoredImage>),
    Live(LiveFile),
}

/// A stored image.
#[derive(Debug)]
pub(crate) struct StoredImage {
    pub(crate) name: String,
    pub(crate) history: History,
    pub(crate) image: Image,
}

/// A file as it is, at the length it had when it was opened.
#[derive(Debug)]
pub(crate) struct LiveFile {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) len: u64,
}

impl OpenImage {
    /// Opens what `operand` names: without a reference, the live file.
    pub(crate) fn open(operand: &Operand, store: Option<&Path>) -> Result<OpenImage> {
        match &operand.at {
            None | Some(Ref::Now) => Ok(OpenImage::Live(LiveFile::open(&operand.path)?)),
            Some(at) => Ok(OpenImage::Stored(Box::new(StoredImage::open(&operand.path, at, store, None)?))),
        }
    }

    /// The file that it is, or is a snapshot of.
    pub(crate) fn target(&self) -> &Path {
        match self {
            OpenImage::Stored(side) => side.history.target(),
            OpenImage::Live(side) => &side.path,
        }
    }

    /// Opens what two operands name; two snapshots of one history share its packs.
    pub(crate) fn open_both(a: &Operand, b: &Operand, store: Option<&Path>) -> Result<(OpenImage, OpenImage)> {
        let first = OpenImage::open(a, store)?;
        let second = match (&first, &b.at) {
            (OpenImage::Stored(one), Some(at)) if *at != Ref::Now => {
                OpenImage::Stored(Box::new(StoredImage::open(&b.path, at, store, Some(one))?))
            }
            _ => OpenImage::open(b, store)?,
        };
        Ok((first, second))
    }

    /// Takes the shared flock that `--lock` asks for. Its holder may have changed the file meanwhile, so length and
    /// change marker are read after that.
    pub(crate) fn lock(&mut self, reading: &Reading) -> Result<()> {
        if let (OpenImage::Live(side), true) = (self, reading.lock) {
            let _held = lock::flock(&side.file, &side.path, lock::LockMode::Shared, reading.wait)?;
            if let Some(mark) = ChangeMarker::get(&side.file, &side.path, None) {
                return Err(mark.refusal_to_read(&side.path));
            }
            let locked = open::stamp(&side.file, &side.path)?;
            if !open::stamp_path(&side.path).is_ok_and(|named| named.same_file(&locked)) {
                let what = "it was removed or replaced before its lock was free".into();
                return Err(Error::Changed { path: side.path.clone(), what });
            }
            side.len = locked.len;
        }
        Ok(())
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            OpenImage::Stored(side) => &side.name,
            OpenImage::Live(side) => &side.name,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            OpenImage::Stored(side) => side.image.len(),
            OpenImage::Live(side) => side.len,
        }
    }

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// When they cannot be read, or a live file is shorter by now.
    pub(crate) fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        match self {
            OpenImage::Live(live) => live.read(buf, offset),
            OpenImage::Stored(stored) => stored.image.reader().read_at(buf, offset),
        }
    }
}

impl StoredImage {
    /// `other` may be of the same history.
    fn open(path: &Path, at: &Ref, store: Option<&Path>, other: Option<&StoredImage>) -> Result<StoredImage> {
        let history = find_history(store, path)?;
        let history = other.map_or(history.clone(), |other| history.sharing(&other.history));
        let image = history.image(history.resolve(at)?)?;
        Ok(StoredImage { name: format!("{}@{}", shown(path), image.name.number), history, image })
    }
}

impl LiveFile {
    /// Fills `buf` with the bytes from `offset` on.
    pub(crate) fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(buf, offset).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.cut(),
            _ => Error::Io { doing: "reading", path: self.path.clone(), source },
        })
    }

    pub(crate) fn target(&self) -> Target<'_> {
        Target { file: &self.file, path: &self.path }
    }

    /// All of it, to be scanned.
    pub(crate) fn whole(&self) -> (&File, &Path, u64) {
        (&self.file, &self.path, self.len)
    }

    /// The error when the file ends before its length.
    pub(crate) fn cut(&self) -> Error {
        let what = format!("it is shorter than the {} bytes it began with", self.len);
        Error::Changed { path: self.path.clone(), what }
    }

    pub(crate) fn open(path: &Path) -> Result<LiveFile> {
        match LiveFile::open_any(path)? {
            (side, None) => Ok(side),
            (_, Some(mark)) => Err(mark.refusal_to_read(path)),
        }
    }

    /// Opens a file even if it is half changed; then its change marker is returned, too.
    pub(crate) fn open_any(path: &Path) -> Result<(LiveFile, Option<ChangeMarker>)> {
        let real = resolve(path)?;
        let file = open::target_read(&real)?;
        if !fs::kind(&file).at("inspecting", &real)?.has_lengths() {
            let what = format!("{} is made up by the kernel when it is read: it has no length", path.display());
            return Err(Error::refused(what, Cause::MadeByKernel(path.into())));
        }
        let mark = ChangeMarker::get(&file, &real, None);
        let len = open::stamp(&file, &real)?.len;
        Ok((LiveFile { name: format!("{} now", shown(path)), path: real, file, len }, mark))
    }
}

/// A half-changed target is no image of anything.
pub(crate) fn refuse_unfinished_to_read(history: &History) -> Result<()> {
    match history.intent()? {
        Some(_) => Err(ChangeMarker::own(history).refusal_to_read(history.target())),
        None => Ok(()),
    }
}
