//! The medians of a run as a table, each with its ratio to the first of its group.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Where criterion puts what it measured.
fn directory() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join("criterion")
}

struct Row {
    when: SystemTime,
    group: String,
    name: String,
    nanoseconds: f64,
}

fn rows(began: SystemTime) -> Vec<Row> {
    let below =
        |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>();
    let mut rows = Vec::new();
    for dir in below(&directory()).iter().flat_map(|group| below(group)) {
        let new = dir.join("new");
        let (Some(what), Some(found)) = (read(&new.join("benchmark.json")), read(&new.join("estimates.json"))) else {
            continue;
        };
        let when = new.join("estimates.json").metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let word = |key: &str| what[key].as_str().unwrap_or_default().to_string();
        if when >= began {
            let nanoseconds = found["median"]["point_estimate"].as_f64().unwrap_or(f64::NAN);
            rows.push(Row { when, group: word("group_id"), name: word("function_id"), nanoseconds });
        }
    }
    rows.sort_by_key(|row| row.when);
    rows
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e3 => format!("{n:.1} ns"),
        n if n < 1e6 => format!("{:.1} us", n / 1e3),
        n if n < 1e9 => format!("{:.1} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

/// The table of everything that was measured since `began`.
pub(crate) fn since(began: SystemTime) -> String {
    let rows = rows(began);
    let mut out = String::from("\n| what | by | median | of the first |\n|---|---|--:|--:|\n");
    for group in rows.chunk_by(|a, b| a.group == b.group) {
        for (i, row) in group.iter().enumerate() {
            let what = if i == 0 { row.group.as_str() } else { "" };
            let ratio = row.nanoseconds / group[0].nanoseconds;
            let _ = writeln!(out, "| {what} | {} | {} | {ratio:.2} x |", row.name, time(row.nanoseconds));
        }
    }
    out
}
