//! What a disk holds: its blocks that are not zeros. Cheap to copy and to change, and laid into a file to be mounted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// What the kernel writes at once, mostly; smaller writes are kept as they come.
pub(crate) const BLOCK: usize = 4096;

const ZEROS: [u8; BLOCK] = [0; BLOCK];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blocks(BTreeMap<u64, Arc<[u8; BLOCK]>>);

impl Blocks {
    /// Of a file, whose length is one of whole blocks.
    pub(crate) fn of(file: &File) -> io::Result<Blocks> {
        let (mut blocks, mut bytes) = (Blocks::default(), vec![0; 1 << 20]);
        let len = file.metadata()?.len();
        let mut at = 0;
        while at < len {
            // Past the next hole nothing needs to be read.
            match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
                Ok(data) => at = data / BLOCK as u64 * BLOCK as u64,
                Err(rustix::io::Errno::NXIO) => break,
                Err(e) => return Err(e.into()),
            }
            let n = bytes.len().min((len - at) as usize);
            file.read_exact_at(&mut bytes[..n], at)?;
            bytes[..n].chunks_exact(BLOCK).for_each(|block| {
                blocks.put(at, block);
                at += BLOCK as u64;
            });
        }
        Ok(blocks)
    }

    /// Puts bytes that lie within one block into it.
    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) {
        let (number, within) = (at / BLOCK as u64, at as usize % BLOCK);
        let block = self.0.entry(number).or_insert_with(|| Arc::new(ZEROS));
        Arc::make_mut(block)[within..within + bytes.len()].copy_from_slice(bytes);
        if **block == ZEROS {
            self.0.remove(&number);
        }
    }

    /// Fills `out`, which holds zeros, with what there is from `at`.
    pub(crate) fn read(&self, at: u64, out: &mut [u8]) {
        let end = at + out.len() as u64;
        for (number, block) in self.0.range(at / BLOCK as u64..end.div_ceil(BLOCK as u64)) {
            let start = number * BLOCK as u64;
            let (from, to) = (start.max(at), (start + BLOCK as u64).min(end));
            out[(from - at) as usize..(to - at) as usize]
                .copy_from_slice(&block[(from - start) as usize..(to - start) as usize]);
        }
    }

    /// Makes a file hold this and nothing else, at the length it has.
    pub(crate) fn lay(&self, file: &File) -> io::Result<()> {
        let len = file.metadata()?.len();
        file.set_len(0)?;
        file.set_len(len)?;
        self.0.iter().try_for_each(|(number, block)| file.write_all_at(&block[..], number * BLOCK as u64))
    }

    /// A digest of what differs from `from`: equal digests, equal blocks.
    pub(crate) fn digest(&self, from: &Blocks) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let numbers = self.0.keys().chain(from.0.keys().filter(|number| !self.0.contains_key(number)));
        for number in numbers {
            let (old, new) = (from.0.get(number), self.0.get(number));
            let same = match (old, new) {
                (Some(old), Some(new)) => Arc::ptr_eq(old, new) || old == new,
                _ => false,
            };
            if !same {
                hasher.update(&number.to_le_bytes()).update(new.map_or(&ZEROS[..], |block| &block[..]));
            }
        }
        hasher.finalize()
    }
}
