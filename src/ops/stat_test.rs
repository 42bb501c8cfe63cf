//! Of a file in a directory of its own.

use super::*;
use crate::ops::Quiet;
use crate::ops::fixture::Fixture;
use crate::sys::ext::FileExt;

const ALL: Aspects = Aspects { layout: true, cache: true, users: true, format: true, content: true, changes: true };

fn look(path: &Path, aspects: Aspects) -> Report {
    let subject = Subject::find(path).unwrap();
    let cells = (0..subject.len().div_ceil(65536)).map(|n| n * 65536..((n + 1) * 65536).min(subject.len())).collect();
    subject.look(&Options::default().aspects(aspects).cells(cells), &Quiet)
}

fn seen<T>(aspect: Option<Aspect<T>>) -> T {
    aspect.expect("asked for").expect("seen")
}

#[test]
fn what_is_not_asked_for_is_not_told() {
    let f = Fixture::new();
    f.pages(0, 4, 1);
    let report = look(&f.target(), Aspects::default());
    assert!(report.layout.is_none() && report.cache.is_none() && report.mappers.is_none() && report.changes.is_none());
    assert_eq!((report.stamp.len, report.closed, report.locks.locks.len()), (16384, None, 0));
    assert_eq!(report.cells[0].data, Some(16384), "cells were asked for");
    assert!(Subject::find(&f.target().with_file_name("none")).is_err());
    assert!(Subject::find(f.target().parent().unwrap()).is_err(), "a directory");
}

#[test]
fn every_aspect_of_a_sparse_file() {
    let f = Fixture::new();
    f.pages(0, 16, 1);
    f.snap();
    f.cut(1 << 20);
    f.pages(128, 2, 2);
    let report = look(&f.target(), ALL);
    let changes = seen(report.changes).unwrap();
    assert_eq!((changes.snapshots, changes.latest.number, changes.latest.len), (1, 1, 65536));
    assert_eq!((changes.pages, changes.ranges, changes.bytes), (2, 1, 8192));
    let changed: Vec<_> = report.cells.iter().filter(|cell| cell.changed > Some(0)).collect();
    assert_eq!((changed.len(), changed[0].span.clone(), changed[0].changed), (1, 0x80000..0x90000, Some(2)));
    let content = seen(report.content);
    assert_eq!((content.pages, content.hole_pages + content.zero_pages), (256, 238));
    let layout = seen(report.layout);
    assert_eq!(layout.data + layout.hole_bytes, 1 << 20);
    assert_eq!(report.cells.iter().map(|cell| cell.data.unwrap()).sum::<u64>(), layout.data);
    if layout.holes > 0 {
        assert_eq!((layout.runs, layout.holes, &layout.list[0]), (2, 2, &(0..65536)));
    }
    assert!(report.format.is_none() && report.fs.kind.is_some());
}

#[test]
fn without_snapshots_there_are_no_changes() {
    let f = Fixture::new();
    f.pages(0, 1, 1);
    let report = look(&f.target(), ALL);
    assert!(seen(report.changes).is_none() && report.cells[0].changed.is_none());
}

#[test]
fn a_file_that_shrinks_is_a_failure_of_that_aspect() {
    let f = Fixture::new();
    f.pages(0, 64, 1);
    let subject = Subject::find(&f.target()).unwrap();
    f.cut(4096);
    let report = subject.look(&Options::default().aspects(ALL), &Quiet);
    assert!(matches!(report.content, Some(Err(Unseen::Failed(Error::Changed { .. })))), "{:?}", report.content);
}

#[test]
fn own_formats_are_known() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("v");
    let kind = crate::vec::ElementType::of_scalar(crate::ops::vec::Scalar::named("u16").unwrap());
    crate::ops::vec::create(&path, &kind).unwrap();
    let format = Aspects { format: true, ..Aspects::default() };
    assert_eq!(look(&path, format).format, Some(Format::Vec { kind, len: 0 }));
    File::options().write(true).open(&path).unwrap().write_all_at(&[1], 20).unwrap();
    assert!(matches!(look(&path, format).format, Some(Format::BrokenVec(_))));
    File::options().write(true).open(&path).unwrap().write_all_at(&[2], 8).unwrap();
    assert!(matches!(look(&path, format).format, Some(Format::NewerVec(_))));
    for (kind, expected) in
        [(crate::pack::FileKind::Delta, Format::Delta), (crate::pack::FileKind::Pack, Format::Stored("pack"))]
    {
        std::fs::write(&path, kind.head(0)).unwrap();
        assert_eq!(look(&path, format).format, Some(expected));
    }
    std::fs::write(&path, "plain").unwrap();
    assert_eq!(look(&path, format).format, None);
}
