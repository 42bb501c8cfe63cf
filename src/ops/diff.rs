//! Stub.
#![allow(unused_imports, reason = "stub")]
use super::operand::Operand;
use super::*;
use crate::{Result, pack::*, page::*};
use std::path::{Path, PathBuf};
pub struct Options {
    pub store: Option<PathBuf>,
    pub reading: Reading,
}
pub fn diff(
    a: &Operand,
    b: Option<&Operand>,
    options: &Options,
    progress: &dyn Progress,
    each: &mut dyn FnMut(PageRange),
) -> Result<Report> {
    not_built()
}
pub struct Report {
    pub a: Side,
    pub b: Side,
    pub pages_changed: u64,
    pub ranges: u64,
    pub bytes_changed: u64,
    pub same: bool,
}
pub struct Side {
    pub name: String,
    pub len: u64,
}
