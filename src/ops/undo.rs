//! Stub.
#![allow(unused_imports, reason = "stub")]
use super::change::{self, Confirm};
use super::operand::Operand;
use super::*;
use crate::{Result, pack::*, page::*};
use std::path::{Path, PathBuf};
pub fn undo(
    file: &Path,
    options: &change::Options,
    confirm: Confirm<'_>,
    progress: &dyn Progress,
) -> Result<change::Report> {
    not_built()
}
