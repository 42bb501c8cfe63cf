//! Stub.
#![allow(unused_imports, reason = "stub")]
use super::operand::Operand;
use super::*;
use crate::{Result, pack::*, page::*};
use std::path::{Path, PathBuf};
pub struct Options {
    pub store: Option<PathBuf>,
    pub message: String,
    pub tags: Vec<String>,
    pub compress: Compress,
    pub always: bool,
    pub require: Grade,
    pub strict: bool,
    pub reserve: Reserve,
    pub reading: Reading,
}
pub fn snap(file: &Path, options: &Options, progress: &dyn Progress) -> Result<Report> {
    not_built()
}
pub struct Report {
    pub path: PathBuf,
    pub id: Option<Digest>,
    pub number: u64,
    pub new: bool,
    pub len: u64,
    pub pages_changed: u64,
    pub bytes_changed: u64,
    pub bytes_stored: u64,
    pub grade: Grade,
    pub reason: String,
    pub below: bool,
    pub repaired: u64,
    pub warnings: Vec<String>,
    pub elapsed: Duration,
}
