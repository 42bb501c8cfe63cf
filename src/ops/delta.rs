//! Stub.
#![allow(unused_imports, reason = "stub")]
use super::operand::Operand;
use super::*;
use super::{apply::Input, restore::Out};
use crate::{Result, pack::*, page::*};
use std::path::{Path, PathBuf};
pub struct MakeOptions {
    pub store: Option<PathBuf>,
    pub reading: Reading,
    pub reversible: bool,
    pub level: i32,
    pub force: bool,
}
pub struct Stat {
    pub base: Digest,
    pub result: Digest,
    pub base_len: u64,
    pub result_len: u64,
    pub pages: u64,
    pub ranges: u64,
    pub bytes: u64,
    pub reversible: bool,
    pub name: String,
}
pub fn make(a: &Operand, b: &Operand, out: Out<'_>, options: &MakeOptions, progress: &dyn Progress) -> Result<Stat> {
    not_built()
}
pub fn stat(input: Input) -> Result<Stat> {
    not_built()
}
pub fn invert(input: Input, out: Out<'_>, force: bool) -> Result<Stat> {
    not_built()
}
