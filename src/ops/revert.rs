//! Stub.
#![allow(unused_imports, reason = "stub")]
use super::change::{self, Confirm};
use super::operand::Operand;
use super::*;
use crate::{Result, pack::*, page::*};
use std::path::{Path, PathBuf};
pub fn revert(
    what: &Operand,
    range: Option<(u64, u64)>,
    options: &change::Options,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
) -> Result<change::Report> {
    not_built()
}
