//! `stat --json`.

use std::collections::BTreeMap;
use std::path::Path;

use memsnap::ops::stat::{Cache, Cell, Changes, Content, Extents, Format, Layout, Report, Seen, Unseen};
use memsnap::sys::extents::Extent;
use memsnap::sys::openers::{FileUse, Openers};
use memsnap::sys::proc_maps::{MappedRange, Mappers};
use serde::Serialize;

use super::super::json::JsonPath;
use super::locks::{self, JsonLock};
use super::show;

#[derive(Serialize)]
pub(super) struct JsonStat {
    schema: &'static str,
    #[serde(flatten)]
    path: JsonPath,
    /// The target, if it is a symbolic link.
    leads_to: Option<JsonPath>,
    len: u64,
    allocated: u64,
    inode: u64,
    links: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime_ns: i128,
    fs: JsonFs,
    layout: Option<JsonLayout>,
    extents: Option<JsonExtents>,
    cache: Option<JsonCache>,
    /// Null, like `openers`, if no process is visible but there may be one.
    mappers: Option<Vec<JsonMapper>>,
    openers: Option<Vec<JsonOpener>>,
    /// Whether no other process of this system or container can have the file open.
    users_complete: Option<bool>,
    locks: Vec<JsonLock>,
    /// That a change of it was interrupted, or is running.
    unfinished: Option<String>,
    format: Option<JsonFormat>,
    content: Option<JsonContent>,
    changes: Option<JsonChanges>,
    cells: Vec<JsonCell>,
    /// Why an aspect is null, by its name; also `file`, `processes` and `locks`, if some could not be inspected.
    unseen: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct JsonFs {
    kind: Option<String>,
    mount: Option<JsonPath>,
    device: Option<String>,
    read_only: bool,
    reflink: Option<bool>,
}

#[derive(Serialize)]
struct JsonRun {
    start: u64,
    end: u64,
}

#[derive(Serialize)]
struct JsonLayout {
    data: u64,
    hole: u64,
    runs: u64,
    holes: u64,
    /// The first of them.
    list: Vec<JsonRun>,
}

#[derive(Serialize)]
struct JsonExtent {
    start: u64,
    end: u64,
    physical: Option<u64>,
    shared: bool,
    unwritten: bool,
    flags: u32,
}

#[derive(Serialize)]
struct JsonExtents {
    count: u64,
    fragments: u64,
    shared: u64,
    unwritten: u64,
    unplaced: u64,
    encoded: u64,
    inline: u64,
    /// The first of them.
    list: Vec<JsonExtent>,
}

#[derive(Serialize)]
struct JsonCache {
    resident: u64,
    dirty: Option<u64>,
    writeback: Option<u64>,
    evicted: Option<u64>,
    recently_evicted: Option<u64>,
    page: u64,
    source: &'static str,
}

#[derive(Serialize)]
struct JsonMapped {
    start: u64,
    end: u64,
    shared: bool,
    readable: bool,
    writable: bool,
    executable: bool,
}

#[derive(Serialize)]
struct JsonMapper {
    pid: u32,
    command: String,
    ranges: Vec<JsonMapped>,
}

#[derive(Serialize)]
struct JsonOpener {
    /// 0: the kernel itself, such as for a loop device.
    pid: u32,
    command: String,
    writes: bool,
}

#[derive(Serialize)]
struct JsonFormat {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    len: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
}

#[derive(Serialize)]
struct JsonContent {
    pages: u64,
    hole_pages: u64,
    zero_pages: u64,
    duplicate_pages: u64,
    exact: bool,
    sampled: u64,
    compressed: u64,
}

#[derive(Serialize)]
struct JsonChanges {
    snapshots: u64,
    latest: Option<u64>,
    id: Option<String>,
    time_ns: Option<i64>,
    pages: u64,
    ranges: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct JsonCell {
    start: u64,
    end: u64,
    data: Option<u64>,
    cached_pages: Option<u64>,
    dirty_pages: Option<u64>,
    changed_pages: Option<u64>,
}

/// The JSON object for `file`.
pub(super) fn of(file: &Path, report: &Report) -> JsonStat {
    let mut unseen = BTreeMap::new();
    if let Some(why) = &report.closed {
        unseen.insert("file", why.clone());
    }
    if let Some(which) = show::users_unseen(report) {
        unseen.insert("processes", which);
    }
    if !report.locks.complete {
        unseen.insert("locks", "there may be other locks, or other holders".into());
    }
    let stamp = &report.stamp;
    JsonStat {
        schema: "memsnap.stat.1",
        path: JsonPath::of(file),
        leads_to: report.is_link.then(|| JsonPath::of(&report.path)),
        len: stamp.len,
        allocated: stamp.blocks * 512,
        inode: stamp.ino,
        links: stamp.nlink,
        mode: stamp.mode,
        uid: stamp.uid,
        gid: stamp.gid,
        mtime_ns: stamp.mtime_ns,
        fs: JsonFs {
            kind: report.fs.kind.clone(),
            mount: report.fs.mount.as_deref().map(JsonPath::of),
            device: report.fs.device.map(|(major, minor)| format!("{major}:{minor}")),
            read_only: report.fs.read_only,
            reflink: report.fs.reflink,
        },
        layout: aspect("layout", &report.layout, &mut unseen).map(layout),
        extents: aspect("extents", &report.extents, &mut unseen).map(extents),
        cache: aspect("cache", &report.cache, &mut unseen).map(cache),
        mappers: report.mappers.as_ref().and_then(mappers),
        openers: report.openers.as_ref().and_then(openers),
        users_complete: report.openers.as_ref().map(|openers| !openers.unseen.may_use_files()),
        locks: locks::of(&report.locks),
        unfinished: report.unfinished.as_ref().map(|unfinished| format!("{unfinished}; {}", unfinished.hint())),
        format: report.format.as_ref().map(format),
        content: aspect("content", &report.content, &mut unseen).map(content),
        changes: aspect("changes", &report.changes, &mut unseen).map(|found| changes(found.as_ref())),
        cells: report.cells.iter().map(cell).collect(),
        unseen,
    }
}

fn aspect<'a, T>(
    name: &'static str,
    aspect: &'a Option<Seen<T>>,
    unseen: &mut BTreeMap<&'static str, String>,
) -> Option<&'a T> {
    match aspect.as_ref()? {
        Ok(found) => return Some(found),
        Err(Unseen::Hidden(why)) => unseen.insert(name, why.clone()),
        Err(Unseen::Failed(e)) => unseen.insert(name, e.to_string()),
    };
    None
}

fn layout(layout: &Layout) -> JsonLayout {
    let list = layout.list.iter().map(|run| JsonRun { start: run.start, end: run.end }).collect();
    JsonLayout { data: layout.data, hole: layout.hole_bytes, runs: layout.runs, holes: layout.holes, list }
}

fn extents(extents: &Extents) -> JsonExtents {
    let one = |e: &Extent| JsonExtent {
        start: e.logical,
        end: e.logical.saturating_add(e.len),
        physical: (!e.is_unplaced() && !e.is_inline()).then_some(e.physical),
        shared: e.is_shared(),
        unwritten: e.is_unwritten(),
        flags: e.flags,
    };
    JsonExtents {
        count: extents.count,
        fragments: extents.fragments,
        shared: extents.shared,
        unwritten: extents.unwritten,
        unplaced: extents.unplaced,
        encoded: extents.encoded,
        inline: extents.inline,
        list: extents.list.iter().map(one).collect(),
    }
}

fn cache(cache: &Cache) -> JsonCache {
    let state = cache.state.as_ref();
    JsonCache {
        resident: cache.resident,
        dirty: state.map(|s| s.dirty),
        writeback: state.map(|s| s.writeback),
        evicted: state.map(|s| s.evicted),
        recently_evicted: state.map(|s| s.recently_evicted),
        page: cache.page,
        source: if state.is_some() { "cachestat" } else { "mincore" },
    }
}

fn mappers(mappers: &Mappers) -> Option<Vec<JsonMapper>> {
    let range = |r: &MappedRange| JsonMapped {
        start: r.start,
        end: r.end,
        shared: r.shared,
        readable: r.readable,
        writable: r.writable,
        executable: r.executable,
    };
    let one = |m: &memsnap::sys::proc_maps::Mapper| JsonMapper {
        pid: m.pid,
        command: m.command.clone(),
        ranges: m.ranges.iter().map(range).collect(),
    };
    let hidden = mappers.list.is_empty() && mappers.unseen.may_use_files();
    (!hidden).then(|| mappers.list.iter().map(one).collect())
}

fn openers(openers: &Openers) -> Option<Vec<JsonOpener>> {
    let one = |o: &memsnap::sys::openers::Opener| JsonOpener {
        pid: o.pid,
        command: o.command.clone(),
        writes: o.how == FileUse::OpenWrite,
    };
    let hidden = openers.list.is_empty() && openers.unseen.may_use_files();
    (!hidden).then(|| openers.list.iter().map(one).collect())
}

fn format(format: &Format) -> JsonFormat {
    let plain = |kind| JsonFormat { kind, r#type: None, len: None, broken: None };
    match format {
        Format::Vec { kind, len } => JsonFormat { r#type: Some(kind.describe()), len: Some(*len), ..plain("vector") },
        Format::BrokenVec(what) => JsonFormat { broken: Some(what.clone()), ..plain("vector") },
        Format::Delta => plain("delta"),
        Format::Stored(what) => plain(what),
    }
}

fn content(content: &Content) -> JsonContent {
    JsonContent {
        pages: content.pages,
        hole_pages: content.hole_pages,
        zero_pages: content.zero_pages,
        duplicate_pages: content.duplicate_pages,
        exact: content.exact,
        sampled: content.sampled,
        compressed: content.compressed,
    }
}

fn changes(found: Option<&Changes>) -> JsonChanges {
    let latest = found.map(|found| &found.latest);
    JsonChanges {
        snapshots: found.map_or(0, |found| found.snapshots),
        latest: latest.map(|latest| latest.number),
        id: latest.map(|latest| latest.id.to_hex()),
        time_ns: latest.map(|latest| latest.time_ns),
        pages: found.map_or(0, |found| found.pages),
        ranges: found.map_or(0, |found| found.ranges),
        bytes: found.map_or(0, |found| found.bytes),
    }
}

fn cell(cell: &Cell) -> JsonCell {
    JsonCell {
        start: cell.span.start,
        end: cell.span.end,
        data: cell.data,
        cached_pages: cell.cached.map(|(cached, _)| cached),
        dirty_pages: cell.cached.map(|(_, dirty)| dirty),
        changed_pages: cell.changed,
    }
}
