//! Temporary bytes: in memory while they are few, then in an unnamed file in the history.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::pack::ReadAt;

/// Most bytes kept in memory.
const MOST_MEMORY: usize = 1 << 20;

/// Bytes written once, in order, and read at any offset.
#[derive(Debug)]
pub struct Spool {
    memory: Vec<u8>,
    disk: Option<File>,
    dir: PathBuf,
    len: u64,
}

impl Spool {
    /// An empty spool, whose file will be in `dir`.
    pub fn new(dir: &Path) -> Spool {
        Spool { memory: Vec::new(), disk: None, dir: dir.into(), len: 0 }
    }

    /// Number of bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Write for Spool {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.disk.is_none() && self.memory.len() + buf.len() > MOST_MEMORY {
            let mut file = tempfile::tempfile_in(&self.dir)?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.disk = Some(file);
        }
        let n = match &mut self.disk {
            Some(file) => file.write(buf)?,
            None => self.memory.write(buf)?,
        };
        self.len += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for Spool {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.disk {
            Some(file) => file.read_at(buf, offset),
            None => self.memory.read_at(buf, offset),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }
}
