//! Detects a renamed file, for which a new history would begin unnoticed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Cause, Error, FileInStore, Result};
use crate::ops::Note;
use crate::ops::read::read_zero_extended;
use crate::pack::{RunStream, Source};
use crate::page::{PAGE64, page_digest};
use crate::store::{FileId, History, PackCache, Store};
use crate::sys::open;

/// Most histories of missing files with another inode that are compared; and pages of each.
const FEW: usize = 32;
const FEW_PAGES: u64 = 16;

/// A history that may be that of a renamed file.
#[derive(Clone, Debug)]
pub(crate) struct Suspect {
    /// The path that has the history.
    pub(crate) old: PathBuf,
    facts: String,
}

impl Suspect {
    /// The warning; `history` is the new history of `target`.
    pub(crate) fn warning(&self, target: &Path, history: &History) -> Note {
        let store = chosen(history.dir().parent().unwrap_or(history.dir()), target);
        let from = FileInStore::new(&self.old, store);
        let cause = Cause::MayBeRenamed { from, to: target.into(), history: history.dir().into() };
        let (new, old) = (target.display(), self.old.display());
        Note::warning(format!("{new} may be {old}, renamed: it {}", self.facts)).of(cause)
    }
}

/// The store in `dir`, where commands for `target` must name it: not when it is the one beside it.
fn chosen<'a>(dir: &'a Path, target: &Path) -> Option<&'a Path> {
    (Store::place(None, target) != dir).then_some(dir)
}

/// Searches the histories of `store` for one that `target`, which has none, had under another path.
///
/// # Errors
/// [`Error::Refused`] when all facts say that it was renamed. Returns the candidates for which only some do.
pub(crate) fn check(store: &Store, target: &Path, file: &File) -> Result<Vec<Suspect>> {
    let now = FileId::of(&open::stamp(file, target)?);
    let (mut suspects, mut looked_into) = (Vec::new(), 0);
    // Damage of other histories is for `verify`.
    for history in store.histories()?.0 {
        let known = history.known_file();
        let gone = is_gone(history.target());
        let device = known.is_some_and(|known| known.dev == now.dev);
        let born = known.is_some_and(|known| known.born_ns.is_some() && known.born_ns == now.born_ns);
        // Some file systems give the inode number of a removed file to the next one: the birth time distinguishes them.
        let reused = !born && known.is_some_and(|known| known.born_ns.is_some() && now.born_ns.is_some());
        let inode = known.is_some_and(|known| known.ino == now.ino) && (born || device) && !reused;
        if history.target() == target || !(gone || inode && born) {
            continue;
        }
        looked_into += usize::from(!inode);
        let pages = match inode {
            true => shares_page(&history, file, target, 1, u64::MAX) == Some(true),
            false => looked_into <= FEW && shares_most(&history, file, target),
        };
        if gone && device && inode && born && pages {
            return Err(renamed(&history, target, store));
        }
        if inode || pages {
            suspects.push(Suspect { old: history.target().into(), facts: facts(inode, born, pages) });
        }
    }
    Ok(suspects)
}

/// Message and cause for a renamed target that has no history, but has one under its old path.
pub(crate) fn known_as(store: Option<&Path>, target: &Path) -> Option<(String, Cause)> {
    let file = open::target_read(target).ok()?;
    match check(&Store::find(store, target).ok()?, target, &file) {
        Err(Error::Refused { what, cause }) => Some((what, *cause)),
        _ => None,
    }
}

fn is_gone(path: &Path) -> bool {
    let absent = |e: io::Error| matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    open::stamp_path(path).is_err_and(absent)
}

fn facts(inode: bool, born: bool, pages: bool) -> String {
    let has = match (inode, born) {
        (true, true) => "has the same inode and birth time",
        (true, false) => "has the same inode number",
        _ => "has another inode",
    };
    let holds = match (inode, pages) {
        (true, true) => "holds a page",
        (true, false) => "no page",
        (false, _) => "holds most pages compared",
    };
    format!("{has}, and {holds} of its last snapshot")
}

fn renamed(history: &History, target: &Path, store: &Store) -> Error {
    let from = FileInStore::new(history.target(), chosen(store.dir(), target));
    Error::refused(
        format!("{} was renamed from {}, which has a history", target.display(), history.target().display()),
        Cause::Renamed { from, to: target.into() },
    )
}

/// Whether `file` holds a page at the place where one of the `newest` snapshots of `history` has it stored, among the
/// first `most` pages compared. `None`: they store no page, or cannot be read.
pub(crate) fn shares_page(history: &History, file: &File, path: &Path, newest: usize, most: u64) -> Option<bool> {
    let mut search = Search::new(history, file, path, most, 1)?;
    for (i, name) in history.snapshots().ok()?.into_iter().rev().take(newest).enumerate() {
        let Ok(image) = history.image(name) else { continue };
        // Of an older one, only what it added: the newer ones may have replaced it.
        let found = if i == 0 { search.among(image.runs()) } else { search.among(image.update()) };
        if found == Ok(true) {
            return Some(true);
        }
    }
    search.stored.then_some(false)
}

/// Whether `file` holds most of the first pages that the newest snapshot of `history` has stored: files that were made
/// from one template share some.
fn shares_most(history: &History, file: &File, path: &Path) -> bool {
    let search = || {
        let image = history.image(*history.snapshots().ok()?.last()?).ok()?;
        let mut search = Search::new(history, file, path, FEW_PAGES, u64::MAX)?;
        search.among(image.runs()).ok()?;
        Some(search.shared > search.others)
    };
    search() == Some(true)
}

struct Search<'a> {
    packs: &'a PackCache,
    file: &'a File,
    len: u64,
    left: u64,
    /// Shared pages that end the search.
    enough: u64,
    stored: bool,
    shared: u64,
    others: u64,
}

impl<'a> Search<'a> {
    fn new(history: &'a History, file: &'a File, path: &Path, left: u64, enough: u64) -> Option<Search<'a>> {
        let len = open::stamp(file, path).ok()?.len;
        Some(Search { packs: history.packs(), file, len, left, enough, stored: false, shared: 0, others: 0 })
    }

    /// An error ends the search in these runs: what cannot be read is not shared.
    fn among(&mut self, mut runs: impl RunStream) -> std::result::Result<bool, ()> {
        while let Some(run) = runs.next_run().map_err(drop)? {
            for page in run.pages.start..run.pages.end {
                let source = run.source.advance(page - run.pages.start);
                if !matches!(source, Source::Pack(..)) {
                    break;
                }
                self.stored = true;
                if page * PAGE64 >= self.len || self.left == 0 {
                    return Ok(false);
                }
                self.left -= 1;
                let digest = self.packs.page_digest(source).map_err(drop)?;
                let bytes = read_zero_extended(self.file, page * PAGE64, self.len).map_err(drop)?;
                if page_digest(&bytes) == digest {
                    self.shared += 1;
                } else {
                    self.others += 1;
                }
                if self.shared >= self.enough {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
