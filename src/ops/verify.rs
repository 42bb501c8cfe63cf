//! Stub.
#![allow(unused_imports, reason = "stub")]
use super::operand::Operand;
use super::*;
use crate::{Result, pack::*, page::*};
use std::path::{Path, PathBuf};
pub struct Options {
    pub store: Option<PathBuf>,
    pub quick: bool,
    pub repair: bool,
}
pub struct Report {
    pub targets: u64,
    pub snapshots: u64,
    pub files: u64,
    pub pages: u64,
    pub bytes: u64,
    pub faults: Vec<Fault>,
    pub garbage: u64,
    pub notes: Vec<String>,
}
pub struct Fault {
    pub path: PathBuf,
    pub what: String,
    pub snapshots: Vec<u64>,
    pub ranges: Vec<PageRange>,
    pub repaired: bool,
}
pub fn verify(what: Option<&Operand>, options: &Options, progress: &dyn Progress) -> Result<Report> {
    not_built()
}
