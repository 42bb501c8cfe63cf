//! Random histories of several views against plain stacks of plain bytes, by every way of tracking.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use memsnap::mem::{ArcView, Options, Root, Snapshot, Tracking, View};
use proptest::prelude::*;

use super::ground::{can, differing, numbers, with};

const PAGE: usize = 4096;

/// What a view should be.
#[derive(Clone)]
pub(crate) struct Model {
    /// The snapshot, and what each checkpoint holds.
    pub(crate) held: Vec<Vec<u8>>,
    pub(crate) names: Vec<Option<String>>,
    pub(crate) now: Vec<u8>,
}

impl Model {
    pub(crate) fn new(base: &[u8]) -> Model {
        Model { held: vec![base.to_vec()], names: vec![None], now: base.to_vec() }
    }

    fn last(&self) -> usize {
        self.held.len() - 1
    }

    fn back_to(&mut self, checkpoint: usize) {
        self.held.truncate(checkpoint + 1);
        self.names.truncate(checkpoint + 1);
        self.now.copy_from_slice(&self.held[checkpoint]);
    }

    fn forget_last(&mut self) {
        if self.last() > 0 {
            self.held.pop();
            self.names.pop();
        }
    }
}

/// A step of one view. Places and lengths are taken modulo what there is.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Write {
        at: usize,
        len: usize,
        byte: u8,
    },
    /// What is there is written again.
    Rewrite {
        at: usize,
        len: usize,
    },
    /// What is there at a checkpoint is written by hand.
    WriteBack {
        at: usize,
        len: usize,
        checkpoint: usize,
    },
    Snap,
    SnapNamed(u8),
    Revert,
    Apply,
    RevertTo(usize),
    Restore,
    RestoreRange {
        at: usize,
        len: usize,
    },
}

fn place(len: usize, at: usize, many: usize) -> std::ops::Range<usize> {
    let at = at % (len + 1);
    at..at + many.min(len - at)
}

impl Step {
    pub(crate) fn take<S: Root>(&self, view: &mut View<S>, model: &mut Model) {
        match self {
            Step::Write { at, len, byte } => {
                let range = place(view.len(), *at, *len);
                view[range.clone()].fill(*byte);
                model.now[range].fill(*byte);
            }
            Step::Rewrite { at, len } => {
                let range = place(view.len(), *at, *len);
                view[range.clone()].copy_from_slice(&model.now[range]);
            }
            Step::WriteBack { at, len, checkpoint } => {
                let range = place(view.len(), *at, *len);
                let old = model.held[checkpoint % model.held.len()][range.clone()].to_vec();
                view[range.clone()].copy_from_slice(&old);
                model.now[range].copy_from_slice(&old);
            }
            Step::Snap => {
                model.held.push(model.now.clone());
                model.names.push(None);
                assert_eq!(view.snap().unwrap(), model.last());
            }
            Step::SnapNamed(name) => {
                model.held.push(model.now.clone());
                model.names.push(Some(name.to_string()));
                assert_eq!(view.snap_named(name.to_string()).unwrap(), model.last());
            }
            Step::Revert => {
                view.revert();
                model.back_to(model.last());
                model.forget_last();
            }
            Step::Apply => {
                view.apply();
                model.forget_last();
            }
            Step::RevertTo(n) => {
                let checkpoint = n % (model.held.len() + 1);
                match view.revert_to(checkpoint) {
                    Ok(()) => model.back_to(checkpoint),
                    Err(e) => assert_eq!((checkpoint, e.kind()), (model.held.len(), std::io::ErrorKind::InvalidInput)),
                }
            }
            Step::Restore => {
                view.restore().unwrap();
                model.now.copy_from_slice(&model.held[0]);
            }
            Step::RestoreRange { at, len } => {
                let range = place(view.len(), *at, *len);
                view.restore_range(range.clone()).unwrap();
                model.now[range.clone()].copy_from_slice(&model.held[0][range]);
            }
        }
    }
}

/// Everything that a view can be asked, against what is so.
pub(crate) fn agree<S: Root>(view: &View<S>, model: &Model) {
    let (unit, last) = (view.page_size(), model.last());
    assert_eq!(view.checkpoints(), last);
    assert!(view[..] == model.now[..], "the bytes differ on pages {:?}", differing(view, &model.now, unit));
    let maybe = view.maybe_dirty();
    for (n, held) in model.held.iter().enumerate() {
        let dirty = differing(held, &model.now, unit);
        assert_eq!(numbers(&view.dirty_since(n)), dirty, "since {n} of {last}");
        let mut found = Vec::new();
        for page in view.dirty_pages_since(n) {
            let start = page.number as usize * unit;
            let bytes = start..(start + unit).min(held.len());
            assert!(page.now == &model.now[bytes.clone()] && page.before == &held[bytes], "page {}", page.number);
            found.push(page.number);
        }
        assert_eq!(found, dirty);
        if n == last {
            assert_eq!(numbers(&view.dirty()), dirty);
            assert!(view.dirty_pages().map(|page| page.number).eq(dirty.iter().copied()));
            assert!(dirty.iter().all(|page| maybe.contains(*page)), "{dirty:?} dirty, {maybe:?} may be");
            let set = view.dirty();
            let held = |page: u64| &model.now[page as usize * unit..(page as usize * unit + unit).min(held.len())];
            assert!(view.page_bytes(&set).eq(dirty.iter().map(|page| (*page, held(*page)))));
            let (from, to) = (view.len() / 3, view.len() / 2);
            let within = dirty.into_iter().filter(|n| from / unit <= *n as usize && (*n as usize) < to.div_ceil(unit));
            assert!(numbers(&view.dirty_within(from..to).unwrap()).into_iter().eq(within));
        }
        let other = (n * 7 + 1) % model.held.len();
        assert_eq!(numbers(&view.diff(n, other)), differing(held, &model.held[other], unit), "{n} and {other}");
        assert_eq!(view.checkpoint_name(n), model.names[n].as_deref());
        if let Some(name) = &model.names[n] {
            assert_eq!(view.checkpoint(name), model.names.iter().position(|m| m.as_ref() == Some(name)));
        }
    }
}

/// Where a snapshot comes from.
#[derive(Clone, Debug)]
enum Base {
    Zeros,
    Slice,
    Parts(Vec<(usize, usize, bool)>),
}

/// Few different bytes, so that what is written is now and then what was there.
fn plain(len: usize) -> Vec<u8> {
    (0..len).map(|i| ((i / PAGE) % 4) as u8).collect()
}

impl Base {
    fn make(&self, len: usize) -> (Snapshot, Vec<u8>) {
        let bytes = plain(len);
        match self {
            Base::Zeros => (Snapshot::zeroed(len).unwrap(), vec![0; len]),
            Base::Slice => (Snapshot::from_slice(&bytes).unwrap(), bytes),
            Base::Parts(parts) => {
                let file: File = tempfile::tempfile().unwrap();
                file.write_all_at(&bytes, 0).unwrap();
                let (mut compose, mut all, mut from) = (Snapshot::compose(len), vec![0; len], 0);
                for (skip, many, is_file) in parts {
                    let start = (from + skip).min(len);
                    let end = (start + many).min(len);
                    compose = if *is_file {
                        compose.file(start, &file, 0, end - start).unwrap()
                    } else {
                        compose.bytes(start, &bytes[..end - start]).unwrap()
                    };
                    all[start..end].copy_from_slice(&bytes[..end - start]);
                    from = end;
                }
                (compose.build().unwrap(), all)
            }
        }
    }
}

/// A step of the whole history.
#[derive(Clone, Debug)]
enum Act {
    /// Of the view of that number.
    Of(usize, Step),
    /// Takes a snapshot of a view.
    Take(usize),
    /// The view is replaced by one of a snapshot that was taken, if there is one.
    OnTaken(usize, usize),
    /// The view is replaced by one of a snapshot into which another view wrote these.
    Keep(usize, Vec<Step>),
}

fn step() -> impl Strategy<Value = Step> {
    let at = || prop_oneof![0..90 * PAGE, (0..90_usize).prop_map(|n| n * PAGE)];
    let len = || prop_oneof![4 => 1..3 * PAGE, 2 => Just(PAGE), 1 => 1..40 * PAGE, 1 => Just(usize::MAX)];
    let byte = 0..4_u8;
    prop_oneof![
        12 => (at(), len(), byte).prop_map(|(at, len, byte)| Step::Write { at, len, byte }),
        2 => (at(), len()).prop_map(|(at, len)| Step::Rewrite { at, len }),
        2 => (at(), len(), 0..9_usize).prop_map(|(at, len, checkpoint)| Step::WriteBack { at, len, checkpoint }),
        6 => Just(Step::Snap),
        1 => (0..4_u8).prop_map(Step::SnapNamed),
        4 => Just(Step::Revert),
        4 => Just(Step::Apply),
        2 => (0..9_usize).prop_map(Step::RevertTo),
        1 => Just(Step::Restore),
        2 => (at(), len()).prop_map(|(at, len)| Step::RestoreRange { at, len }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let view = || 0..3_usize;
    prop_oneof![
        40 => (view(), step()).prop_map(|(view, step)| Act::Of(view, step)),
        3 => view().prop_map(Act::Take),
        1 => (view(), 0..9_usize).prop_map(|(view, taken)| Act::OnTaken(view, taken)),
        1 => (view(), prop::collection::vec(step(), 0..6)).prop_map(|(v, s)| Act::Keep(v, s)),
    ]
}

fn base() -> impl Strategy<Value = Base> {
    let part = (prop_oneof![Just(0), 0..9 * PAGE], 0..9 * PAGE, any::<bool>());
    prop_oneof![Just(Base::Zeros), Just(Base::Slice), prop::collection::vec(part, 0..6).prop_map(Base::Parts),]
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![1 => 0..3_usize, 8 => 0..30 * PAGE, 4 => (1..30_usize).prop_map(|n| n * PAGE), 4 => 60 * PAGE..90 * PAGE]
}

struct Subject {
    /// A clone of what the view stands on.
    snapshot: Snapshot,
    view: ArcView,
    model: Model,
}

impl Subject {
    fn new(snapshot: &Snapshot, bytes: &[u8], options: &Options) -> Subject {
        assert!(snapshot[..] == *bytes);
        let view = Arc::new(snapshot.clone()).view_arc_with(options).unwrap();
        Subject { snapshot: snapshot.clone(), view, model: Model::new(bytes) }
    }
}

/// Lets a mutable view of a clone write, and gives the clone and its bytes.
fn keep(subject: &Subject, steps: &[Step], options: &Options) -> (Snapshot, Vec<u8>) {
    let mut snapshot = subject.snapshot.clone();
    let mut view = snapshot.view_mut_with(options).unwrap();
    let mut model = Model::new(&subject.model.held[0]);
    for step in steps {
        step.take(&mut view, &mut model);
        agree(&view, &model);
    }
    drop(view);
    assert!(snapshot[..] == model.now[..] && subject.snapshot[..] == model.held[0][..]);
    (snapshot, model.now)
}

fn run(base: &Base, len: usize, acts: &[Act], tracking: Tracking, options: &Options) {
    let (snapshot, bytes) = base.make(len);
    let mut subjects: Vec<Subject> = (0..3).map(|_| Subject::new(&snapshot, &bytes, options)).collect();
    let mut taken: Vec<(Snapshot, Vec<u8>)> = Vec::new();
    for act in acts {
        let touched = match act {
            Act::Of(n, step) => {
                let Subject { view, model, .. } = &mut subjects[*n];
                step.take(view, model);
                n
            }
            Act::Take(n) => {
                taken.push((subjects[*n].view.take_snapshot().unwrap(), subjects[*n].model.now.clone()));
                n
            }
            Act::OnTaken(n, which) => {
                if !taken.is_empty() {
                    let (snapshot, bytes) = &taken[which % taken.len()];
                    subjects[*n] = Subject::new(snapshot, bytes, options);
                }
                n
            }
            Act::Keep(n, steps) => {
                let (snapshot, bytes) = keep(&subjects[*n], steps, options);
                subjects[*n] = Subject::new(&snapshot, &bytes, options);
                n
            }
        };
        agree(&subjects[*touched].view, &subjects[*touched].model);
    }
    // No view disturbed another.
    for subject in &subjects {
        assert_eq!(subject.view.tracking(), tracking);
        agree(&subject.view, &subject.model);
        assert!(subject.snapshot[..] == subject.model.held[0][..]);
    }
    assert!(snapshot[..] == bytes[..] && taken.iter().all(|(snapshot, bytes)| snapshot[..] == bytes[..]));
}

fn histories(tracking: Tracking) {
    if !can(tracking) {
        return;
    }
    let config = ProptestConfig {
        cases: if super::process::is_part() { 40 } else { 500 },
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let unit = prop_oneof![2 => Just(None), 1 => Just(Some(3 * PAGE))];
    proptest!(config, |(base in base(), len in len(), unit in unit, acts in prop::collection::vec(act(), 1..40))| {
        run(&base, len, &acts, tracking, &unit.into_iter().fold(with(tracking), Options::page_size));
    });
}

#[test]
fn histories_by_write_protection() {
    histories(Tracking::WriteProtect);
}

#[test]
fn histories_by_write_protection_of_all() {
    histories(Tracking::WriteProtectAll);
}

#[test]
fn histories_by_the_pagemap() {
    histories(Tracking::Pagemap);
}

#[test]
fn histories_by_comparing() {
    histories(Tracking::Compare);
}
