//! Stub.
#![allow(unused_imports, reason = "stub")]
use super::operand::Operand;
use super::*;
use crate::{Result, pack::*, page::*};
use std::path::{Path, PathBuf};
pub struct Options {
    pub store: Option<PathBuf>,
    pub range: Option<(u64, u64)>,
}
pub fn log(file: Option<&Path>, options: &Options) -> Result<Vec<History>> {
    not_built()
}
pub struct History {
    pub path: PathBuf,
    pub snapshots: Vec<Entry>,
    pub faults: Vec<String>,
    pub interrupted: bool,
}
pub struct Entry {
    pub number: u64,
    pub id: Digest,
    pub parent: Option<Digest>,
    pub time_ns: i64,
    pub len: u64,
    pub pages_changed: u64,
    pub bytes_stored: u64,
    pub grade: Grade,
    pub reason: String,
    pub automatic: bool,
    pub tags: Vec<String>,
    pub message: String,
    pub host: String,
    pub version: String,
}
