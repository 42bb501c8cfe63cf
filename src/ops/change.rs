//! Stub.
#![allow(unused_imports, reason = "stub")]
use super::operand::Operand;
use super::*;
use crate::{Result, pack::*, page::*};
use std::path::{Path, PathBuf};
pub struct Options {
    pub store: Option<PathBuf>,
    pub reading: Reading,
    pub dry_run: bool,
    pub live: bool,
    pub force: bool,
    pub compress: Compress,
    pub reserve: Reserve,
}
pub struct Plan {
    pub path: PathBuf,
    pub from: String,
    pub to: String,
    pub from_len: u64,
    pub to_len: u64,
    pub pages: u64,
    pub bytes: u64,
    pub ranges: Vec<PageRange>,
    pub ranges_total: u64,
}
pub type Confirm<'a> = &'a mut dyn FnMut(&Plan) -> bool;
pub struct Report {
    pub plan: Plan,
    pub done: bool,
    pub undo: Option<(u64, Digest)>,
    pub notes: Vec<String>,
    pub bytes_written: u64,
    pub elapsed: Duration,
}
