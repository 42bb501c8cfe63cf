//! Inputs that are read from front to back: stdin, other descriptors, FIFOs.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use memsnap::error::At;
use memsnap::program::descriptor;
use memsnap::program::ext::AsFd;
use memsnap::{Error, Result};

/// Opens stdin at its current position. A closed stdin is an error, not an empty input.
pub(crate) fn stdin() -> Result<File> {
    if !descriptor::stdin_is_open() {
        return Err(Error::refused("stdin is closed, or not open for reading", "redirect it: memsnap ... - < INPUT"));
    }
    io::stdin().as_fd().try_clone_to_owned().map(File::from).at("opening", Path::new("stdin"))
}

/// Opens what `arg` names if it can only be read from front to back: `-`, a descriptor (`/dev/fd/3`), a FIFO.
pub(crate) fn stream(arg: &OsStr) -> Result<Option<File>> {
    match is_stdin(arg) {
        true => stdin().map(Some),
        false => descriptor::source(Path::new(arg)),
    }
}

/// Whether `arg` names stdin.
pub(crate) fn is_stdin(arg: &OsStr) -> bool {
    arg == "-" || descriptor::number(Path::new(arg)) == Some(0)
}
