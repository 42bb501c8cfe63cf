//! `stat --json`.

use std::collections::BTreeMap;
use std::path::Path;

use memsnap::ops::HowRead;
use memsnap::ops::stat::{Aspect, Cache, Cell, Content, Extents, Format, Layout, Report, SinceLatest, Unseen};
use memsnap::sys::extents::Extent;
use memsnap::sys::openers::{FileUse, Opener, Openers};
use memsnap::sys::proc_maps::{MappedRange, Mapper, Mappers};
use serde::Serialize;

use super::super::hints;
use super::super::json::{JsonPath, object};
use super::full;
use super::locks;

/// The JSON object for `file`.
pub(super) fn of(file: &Path, report: &Report) -> impl Serialize {
    // Why an aspect is null, by its name; also `file`, `processes` and `locks`, if some could not be inspected.
    let mut unseen = BTreeMap::new();
    if let Some(why) = &report.closed {
        unseen.insert("file", why.clone());
    }
    if let Some(which) = full::users_unseen(report) {
        unseen.insert("processes", which);
    }
    if !report.locks.complete {
        unseen.insert("locks", "there may be other locks, or other holders".into());
    }
    let stamp = &report.stamp;
    object! {
        schema: "memsnap.stat.1",
        #[serde(flatten)] path: JsonPath::of(file),
        leads_to: report.is_link.then(|| JsonPath::of(&report.path)),
        len: stamp.len,
        allocated: stamp.blocks * 512,
        inode: stamp.ino,
        links: stamp.nlink,
        mode: stamp.mode,
        uid: stamp.uid,
        gid: stamp.gid,
        mtime_ns: stamp.mtime_ns,
        fs: object! {
            kind: &report.fs.kind,
            mount: report.fs.mount.as_deref().map(JsonPath::of),
            device: report.fs.device.map(|(major, minor)| format!("{major}:{minor}")),
            read_only: report.fs.read_only,
            reflink: report.fs.reflink,
        },
        layout: aspect("layout", &report.layout, &mut unseen).map(layout),
        extents: aspect("extents", &report.extents, &mut unseen).map(extents),
        cache: aspect("cache", &report.cache, &mut unseen).map(cache),
        // Null, like `openers`, if no process is visible but there may be one.
        mappers: report.mappers.as_ref().and_then(mappers),
        openers: report.openers.as_ref().and_then(openers),
        users_complete: report.openers.as_ref().map(|openers| !openers.unseen.may_use_files()),
        locks: locks::of(&report.locks),
        unfinished: report.unfinished.as_ref().map(hints::joined),
        format: report.format.as_ref().map(format),
        content: aspect("content", &report.content, &mut unseen).map(content),
        changes: aspect("changes", &report.changes, &mut unseen).map(|found| changes(found.as_ref())),
        cells: report.cells.iter().map(cell).collect::<Vec<_>>(),
        unseen,
    }
}

fn aspect<'a, T>(
    name: &'static str,
    aspect: &'a Option<Aspect<T>>,
    unseen: &mut BTreeMap<&'static str, String>,
) -> Option<&'a T> {
    match aspect.as_ref()? {
        Ok(found) => return Some(found),
        Err(Unseen::Hidden(why)) => unseen.insert(name, why.clone()),
        Err(Unseen::Failed(e)) => unseen.insert(name, e.to_string()),
    };
    None
}

fn layout(layout: &Layout) -> impl Serialize {
    let run = |run: &std::ops::Range<u64>| object! { start: run.start, end: run.end };
    object! {
        data: layout.data,
        hole: layout.hole_bytes,
        runs: layout.runs,
        holes: layout.holes,
        list: layout.list.iter().map(run).collect::<Vec<_>>(), // the first of them
    }
}

fn extents(extents: &Extents) -> impl Serialize {
    let extent = |e: &Extent| {
        object! {
            start: e.logical,
            end: e.logical.saturating_add(e.len),
            physical: (!e.is_unplaced() && !e.is_inline()).then_some(e.physical),
            shared: e.is_shared(),
            unwritten: e.is_unwritten(),
            flags: e.flags,
        }
    };
    object! {
        count: extents.count,
        fragments: extents.fragments,
        shared: extents.shared,
        unwritten: extents.unwritten,
        unplaced: extents.unplaced,
        encoded: extents.encoded,
        inline: extents.inline,
        list: extents.list.iter().map(extent).collect::<Vec<_>>(), // the first of them
    }
}

fn cache(cache: &Cache) -> impl Serialize {
    let state = cache.state.as_ref();
    object! {
        resident: cache.resident,
        dirty: state.map(|s| s.dirty),
        writeback: state.map(|s| s.writeback),
        evicted: state.map(|s| s.evicted),
        recently_evicted: state.map(|s| s.recently_evicted),
        page: cache.page,
        source: if state.is_some() { "cachestat" } else { "mincore" },
    }
}

fn mappers(mappers: &Mappers) -> Option<impl Serialize> {
    let range = |r: &MappedRange| {
        object! {
            start: r.start,
            end: r.end,
            shared: r.shared,
            readable: r.readable,
            writable: r.writable,
            executable: r.executable,
        }
    };
    let mapper = |m: &Mapper| {
        let ranges = m.ranges.iter().map(range).collect::<Vec<_>>();
        object! { pid: m.pid, command: m.command.clone(), ranges }
    };
    let hidden = mappers.list.is_empty() && mappers.unseen.may_use_files();
    (!hidden).then(|| mappers.list.iter().map(mapper).collect::<Vec<_>>())
}

fn openers(openers: &Openers) -> Option<impl Serialize> {
    // Process 0 is the kernel itself, such as for a loop device.
    let opener = |o: &Opener| object! { pid: o.pid, command: o.command.clone(), writes: o.how == FileUse::OpenWrite };
    let hidden = openers.list.is_empty() && openers.unseen.may_use_files();
    (!hidden).then(|| openers.list.iter().map(opener).collect::<Vec<_>>())
}

fn format(format: &Format) -> impl Serialize {
    let (kind, elements, broken) = match format {
        Format::Vec { kind, len } => ("vector", Some((kind.describe(), *len)), None),
        Format::BrokenVec(what) | Format::NewerVec(what) => ("vector", None, Some(what)),
        Format::Delta => ("delta", None, None),
        Format::Stored(what) => (*what, None, None),
    };
    object! {
        kind,
        #[serde(flatten)] elements: elements.map(|(kind, len)| object! { r#type: kind, len }),
        #[serde(flatten)] broken: broken.map(|broken| object! { broken }),
    }
}

fn content(content: &Content) -> impl Serialize {
    object! {
        pages: content.pages,
        hole_pages: content.hole_pages,
        zero_pages: content.zero_pages,
        duplicate_pages: content.duplicate_pages,
        exact: content.exact,
        sampled: content.sampled,
        compressed: content.compressed,
    }
}

fn changes(found: Option<&SinceLatest>) -> impl Serialize {
    let latest = found.map(|found| &found.latest);
    object! {
        snapshots: found.map_or(0, |found| found.snapshots),
        latest: latest.map(|latest| latest.number),
        id: latest.map(|latest| latest.id.to_string()),
        time_ns: latest.map(|latest| latest.time_ns),
        pages: found.map_or(0, |found| found.pages),
        ranges: found.map_or(0, |found| found.ranges),
        bytes: found.map_or(0, |found| found.bytes),
        read: found.and_then(|found| found.how.as_ref()).map(HowRead::word),
    }
}

fn cell(cell: &Cell) -> impl Serialize + use<> {
    object! {
        start: cell.span.start,
        end: cell.span.end,
        data: cell.data,
        cached_pages: cell.cached.map(|(cached, _)| cached),
        dirty_pages: cell.cached.map(|(_, dirty)| dirty),
        changed_pages: cell.changed,
    }
}
