//! The input that is appended to a vector.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use memsnap::Result;
use memsnap::error::At;
use memsnap::sys::fs;

use super::super::input;

/// Opens `path` to read it to its end; `-` is stdin.
///
/// # Errors
/// When it cannot be opened.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let stream = input::stream(path.as_os_str())?;
    let mut file = stream.map_or_else(|| File::open(path).at("opening", path), Ok)?;
    let found = file.metadata().at("inspecting", path)?;
    // A pipe, or a file that the kernel generates, has no length in advance.
    let has_len = found.is_file() && fs::kind(&file).at("inspecting", path)?.has_lengths();
    Ok(match has_len {
        true => {
            let left = found.len().saturating_sub(file.stream_position().at("inspecting", path)?);
            Box::new(BufReader::new(Whole { from: file, left }))
        }
        false => Box::new(BufReader::new(file)),
    })
}

/// Reads a file of known length: an earlier end is an error.
struct Whole<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        if n == 0 && !buf.is_empty() && self.left > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it was truncated while it was read"));
        }
        self.left = self.left.saturating_sub(n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_end_is_no_end() {
        let read = |len| {
            let mut out = Vec::new();
            Whole { from: &b"12345"[..], left: len }.read_to_end(&mut out).map(|_| out)
        };
        assert_eq!(read(5).unwrap(), b"12345");
        assert_eq!(read(3).unwrap(), b"12345", "it grew");
        assert_eq!(read(6).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
