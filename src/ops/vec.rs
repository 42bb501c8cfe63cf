//! `vec`: makes, reads and changes persistent vectors by atomic commits, without mapping their files.

mod span;

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::span::elements;
pub use self::span::{Place, Span};
pub use crate::vec::format::{ElementType, Tag, tag};
pub use crate::vec::scalar::{Number, Scalar};

use crate::error::{At, Cause, Error, Result};
use crate::vec::{Edit, PersistenceFile, VecFile, VecFileMut, is_vec};

/// Bytes of elements that are read at once.
const BLOCK: u64 = 256 << 10;

/// The state of a vector.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stat {
    /// The file, links followed.
    pub path: PathBuf,
    /// The type of its elements.
    pub kind: ElementType,
    /// Number of elements.
    pub len: u64,
    /// Bytes of all elements.
    pub bytes: u64,
    /// Bytes past them that an interrupted commit left; the next writer removes them.
    pub left_over: u64,
    /// Whether the last commit is valid but not completely in place; the next writer completes it.
    pub unfinished: bool,
}

/// The result of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Elements that were added, set or removed.
    pub changed: u64,
    /// Elements after it.
    pub len: u64,
}

/// The input of new elements.
pub enum Input<'a> {
    /// Numbers as words.
    Words(&'a [String]),
    /// Numbers as text, separated by white space; and its name in errors.
    Text(&'a mut dyn BufRead, &'a Path),
    /// The bytes of elements, in the order of this machine; and its name in errors.
    Raw(&'a mut dyn BufRead, &'a Path),
    /// A file of `persistence` 0.0.5, with its magic bytes and the version of its contents, which are checked if given.
    Persistence(&'a Path, Option<[u8; 8]>, Option<[u8; 3]>),
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Input::Words(_) => "Words",
            Input::Text(..) => "Text",
            Input::Raw(..) => "Raw",
            Input::Persistence(..) => "Persistence",
        })
    }
}

/// Makes a new file without elements at `path`, mode 0600. It appears complete and durable.
///
/// # Errors
/// [`Error::Refused`] when there is a file at `path`, or no file can hold such elements; [`Error::Io`] when it cannot
/// be made.
pub fn create(path: &Path, kind: &ElementType) -> Result<Stat> {
    VecFileMut::create(path, kind).map(|vec| stat_of(&vec))
}

/// Returns the state of `path`, waiting up to `wait` for its lock. Nothing is written.
///
/// # Errors
/// [`Error::Busy`] while a writer has it open; [`Error::Refused`] when it is no persistent vector, of another byte
/// order, no regular file, or half changed by an interrupted memsnap; [`Error::Damaged`] or [`Error::Version`] when it
/// cannot be used.
pub fn stat(path: &Path, wait: Duration) -> Result<Stat> {
    Ok(stat_of(&VecFile::open(path, wait)?))
}

fn stat_of(vec: &VecFile) -> Stat {
    Stat {
        path: vec.path().into(),
        kind: *vec.element_type(),
        len: vec.len(),
        bytes: vec.byte_len(),
        left_over: vec.left_over(),
        unfinished: vec.is_unfinished(),
    }
}

/// Appends all elements of `input`, or none. First an interrupted commit is completed if it was sealed, else removed.
///
/// # Errors
/// As [`stat`], and when there is no space: then nothing is appended; [`Error::Refused`] when `input` holds anything
/// but elements of this type. After another failed write or fsync, only [`stat`] shows whether they were appended.
pub fn push(path: &Path, input: Input<'_>, wait: Duration) -> Result<Report> {
    let mut vec = VecFileMut::open(path, wait)?;
    let changed = match input {
        Input::Words(words) => {
            let bytes = parse(scalar(&vec)?, words)?;
            let mut rest = &bytes[..];
            vec.append(|block| Ok(rest.read(block).unwrap_or(0)))?
        }
        Input::Raw(from, name) => {
            no_vector(from, name)?;
            vec.append(|block| fill(from, block).at("reading", name))?
        }
        Input::Text(from, name) => {
            no_vector(from, name)?;
            let mut words = Words { scalar: scalar(&vec)?, from, name, line: 0, ready: Vec::new(), given: 0 };
            vec.append(|block| words.fill(block))?
        }
        Input::Persistence(from, magic, version) => append_persistence(&mut vec, from, magic, version)?,
    };
    Ok(Report { changed, len: vec.len() })
}

/// Refuses a vector as input: its header is no element.
fn no_vector(from: &mut dyn BufRead, name: &Path) -> Result<()> {
    if is_vec(first_of(from).at("reading", name)?) {
        let what = format!("{} is a persistent vector itself, with a header", name.display());
        return Err(Error::refused(what, Cause::InputIsVector));
    }
    Ok(())
}

fn append_persistence(
    vec: &mut VecFileMut,
    from: &Path,
    magic: Option<[u8; 8]>,
    version: Option<[u8; 3]>,
) -> Result<u64> {
    let size = vec.element_type().size;
    let old = PersistenceFile::open(from, size, magic, version)?;
    let (mut at, end) = (0, old.len() * size);
    vec.append(|block| {
        let n = block.len().min((end - at) as usize);
        old.read_at(&mut block[..n], at)?;
        at += n as u64;
        Ok(n)
    })
}

/// Returns the first bytes without consuming them.
fn first_of(from: &mut dyn BufRead) -> io::Result<&[u8]> {
    // Unlike other reads, this one is not repeated when a signal interrupts it.
    while let Err(e) = from.fill_buf() {
        if e.kind() != io::ErrorKind::Interrupted {
            return Err(e);
        }
    }
    from.fill_buf() // what is buffered by now
}

/// Reads until `block` is full or there is no more.
fn fill(from: &mut dyn Read, block: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < block.len() {
        match from.read(&mut block[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(n)
}

/// Parses numbers in text, a line at a time.
struct Words<'a> {
    scalar: Scalar,
    from: &'a mut dyn BufRead,
    name: &'a Path,
    line: u64,
    ready: Vec<u8>,
    given: usize,
}

/// Far longer than any number; one endless line must not fill the memory.
const LONGEST_LINE: u64 = 64 << 20;

impl Words<'_> {
    fn fill(&mut self, block: &mut [u8]) -> Result<usize> {
        let mut n = 0;
        while n < block.len() {
            if self.given == self.ready.len() && !self.next_line()? {
                break;
            }
            let part = &self.ready[self.given..];
            let take = part.len().min(block.len() - n);
            block[n..n + take].copy_from_slice(&part[..take]);
            (n, self.given) = (n + take, self.given + take);
        }
        Ok(n)
    }

    /// False at the end.
    fn next_line(&mut self) -> Result<bool> {
        let name = self.name.display();
        let mut line = String::new();
        (self.line, self.given) = (self.line + 1, 0);
        self.ready.clear();
        let read = match self.from.take(LONGEST_LINE).read_line(&mut line) {
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                let what = format!("line {} of {name} is not text", self.line);
                return Err(Error::refused(what, Cause::InputNotText));
            }
            read => read.at("reading", self.name)?,
        };
        if read as u64 == LONGEST_LINE {
            return Err(Error::refused(format!("line {} of {name} is too long", self.line), "write one number a line"));
        }
        for word in line.split_ascii_whitespace() {
            self.scalar.parse(word, &mut self.ready).map_err(|why| {
                Error::refused(format!("line {} of {name}: {why}", self.line), "correct it; nothing was added")
            })?;
        }
        Ok(read > 0)
    }
}

fn parse(scalar: Scalar, words: &[String]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for word in words {
        scalar.parse(word, &mut bytes).map_err(|why| Error::refused(why, "correct it; nothing was written"))?;
    }
    Ok(bytes)
}

fn scalar(vec: &VecFile) -> Result<Scalar> {
    let kind = vec.element_type();
    kind.scalar.ok_or_else(|| {
        let what = format!("{} has {}, which are not numbers", vec.path().display(), kind.describe());
        Error::refused(what, Cause::NotNumbers)
    })
}

/// The end from which elements are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The front: all other elements move down.
    Front,
    /// The back.
    Back,
}

/// Passes the first or last `n` elements with their indexes to `take`, then `None`, and removes them if every call
/// succeeded.
///
/// # Errors
/// As [`push`]; [`Error::Refused`] when there are fewer, or they are no numbers; the errors of `take`: then nothing is
/// removed.
pub fn pop<E: From<Error>>(
    path: &Path,
    (side, n): (End, u64),
    wait: Duration,
    take: &mut dyn FnMut(Option<(u64, Number)>) -> Result<(), E>,
) -> Result<Report, E> {
    let mut vec = VecFileMut::open(path, wait)?;
    let stay = vec.len().checked_sub(n).ok_or_else(|| fewer(&vec, n))?;
    let (start, end) = match side {
        End::Front => (0, n),
        End::Back => (stay, vec.len()),
    };
    numbers(&vec, start, end, &mut |index, number| take(Some((index, number))))?;
    take(None)?;
    match side {
        End::Front => vec.remove_front(n)?,
        End::Back => vec.commit(&[], stay)?,
    }
    Ok(Report { changed: n, len: vec.len() })
}

/// Passes all numbers of `spans` to `each`, with their indexes.
///
/// # Errors
/// As [`stat`]; [`Error::Refused`] when there are no such elements, or they are no numbers; the errors of `each`.
pub fn get<E: From<Error>>(
    path: &Path,
    spans: &[Span],
    wait: Duration,
    each: &mut dyn FnMut(u64, Number) -> Result<(), E>,
) -> Result<(), E> {
    let vec = VecFile::open(path, wait)?;
    let found: Result<Vec<_>> = spans.iter().map(|span| span.within(vec.len(), vec.path())).collect();
    found?.into_iter().try_for_each(|(start, end)| numbers(&vec, start, end, each))
}

fn numbers<E: From<Error>>(
    vec: &VecFile,
    start: u64,
    end: u64,
    each: &mut dyn FnMut(u64, Number) -> Result<(), E>,
) -> Result<(), E> {
    let scalar = scalar(vec)?;
    let mut index = start;
    raw(vec, start, end, &mut |bytes| {
        bytes.chunks_exact(scalar.size()).try_for_each(|bytes| {
            each(index, scalar.number(bytes))?;
            index += 1;
            Ok(())
        })
    })
}

/// Passes the bytes of elements `start..end` to `each`, whole elements at a time.
fn raw<E: From<Error>>(
    vec: &VecFile,
    start: u64,
    end: u64,
    each: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let size = vec.element_type().size;
    let step = (BLOCK / size).max(1);
    let mut block = vec![0; (step.min(end - start) * size) as usize];
    let mut at = start;
    while at < end {
        let n = step.min(end - at);
        let part = &mut block[..(n * size) as usize];
        vec.read_at(part, at * size)?;
        each(part)?;
        at += n;
    }
    Ok(())
}

/// Passes the bytes of the elements of `span` to `each`, whole elements at a time.
///
/// # Errors
/// As [`stat`]; [`Error::Refused`] when there are no such elements; the errors of `each`.
pub fn dump<E: From<Error>>(
    path: &Path,
    span: Span,
    wait: Duration,
    each: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let vec = VecFile::open(path, wait)?;
    let (start, end) = span.within(vec.len(), vec.path())?;
    raw(&vec, start, end, each)
}

/// Sets the elements from `at` on to the values in `words`.
///
/// # Errors
/// As [`push`]; [`Error::Refused`] when there are not so many elements, or a word is no such number.
pub fn set(path: &Path, at: Place, words: &[String], wait: Duration) -> Result<Report> {
    let mut vec = VecFileMut::open(path, wait)?;
    let bytes = parse(scalar(&vec)?, words)?;
    let len = vec.len();
    let (start, _) = Span::Range(Some(at), None).within(len, vec.path())?;
    let changed = words.len() as u64;
    if changed > len - start {
        let what =
            format!("{} has {len} elements, and {changed} from {start} on would go past them", vec.path().display());
        return Err(Error::refused(what, Cause::PastElements));
    }
    vec.commit(&[Edit { offset: start * vec.element_type().size, bytes: &bytes }], len)?;
    Ok(Report { changed, len })
}

/// Removes all elements but the first `len`.
///
/// # Errors
/// As [`push`]; [`Error::Refused`] when there are fewer.
pub fn truncate(path: &Path, len: u64, wait: Duration) -> Result<Report> {
    let mut vec = VecFileMut::open(path, wait)?;
    let before = vec.len();
    let removed = before.checked_sub(len).ok_or_else(|| fewer(&vec, len))?;
    vec.commit(&[], len)?;
    Ok(Report { changed: removed, len })
}

fn fewer(vec: &VecFile, wanted: u64) -> Error {
    let what = format!("{} has only {}, fewer than {wanted}", vec.path().display(), elements(vec.len()));
    Error::refused(what, Cause::FewerElements(vec.path().into()))
}
