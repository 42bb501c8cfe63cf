//! Stub.
#![allow(unused_imports, reason = "stub")]
use super::operand::Operand;
use super::*;
use crate::{Result, pack::*, page::*};
use std::path::{Path, PathBuf};
pub enum Out<'a> {
    Path(&'a Path),
    Stream(&'a mut dyn std::io::Write),
}
pub struct Options {
    pub store: Option<PathBuf>,
    pub force: bool,
    pub limit_rate: Option<u64>,
}
pub struct Report {
    pub len: u64,
    pub bytes_written: u64,
    pub notes: Vec<String>,
    pub elapsed: Duration,
}
pub fn restore(what: &Operand, out: Out<'_>, options: &Options, progress: &dyn Progress) -> Result<Report> {
    not_built()
}
