//! Stub.
#![allow(unused_imports, reason = "stub")]
use super::operand::Operand;
use super::*;
use crate::{Result, pack::*, page::*};
use std::path::{Path, PathBuf};
pub struct Report {
    pub from: PathBuf,
    pub to: PathBuf,
    pub snapshots: u64,
}
pub fn adopt(old: &Path, new: &Path, store: Option<&Path>) -> Result<Report> {
    not_built()
}
