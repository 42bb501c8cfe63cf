//! Stored files made by hand: bytes are changed, and every check and id that covers them is made right again.
//!
//! An attacker who can write to a store, or who sends one, can do the same. Offsets are those of memsnap-store(5).

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::attack::clear;
use super::case::{Case, PAGE, noise};
use super::util::chmod;

/// Bytes of a snapshot before its texts.
pub(crate) const SNAP_FIXED: usize = 320;
/// Bytes of the end of a pack, and of that of a delta.
const TAIL: usize = 64;
const END: usize = 104;

/// A store of one target with two snapshots of a few pages, to be forged and restored.
pub(crate) struct Forge {
    pub(crate) case: Case,
    /// What the two snapshots hold.
    pub(crate) images: [Vec<u8>; 2],
}

impl Forge {
    pub(crate) fn new() -> Forge {
        Forge::of(Case::in_memory())
    }

    /// In the directory of `case`.
    pub(crate) fn of(case: Case) -> Forge {
        let mut bytes = noise(1, 20 * PAGE);
        bytes[3 * PAGE..9 * PAGE].fill(7);
        case.write("f", &bytes);
        case.ok("snap -m first f");
        let first = bytes.clone();
        bytes[5 * PAGE..][..9].copy_from_slice(b"something");
        bytes[17 * PAGE] ^= 1;
        case.write("f", &bytes);
        case.ok("snap -m second f");
        case.ok("delta make --reversible f@1 f@2 -o d");
        case.ok("restore f@1 -o base");
        fs::rename(case.path(".memsnap"), case.path("pattern")).unwrap();
        let forge = Forge { case, images: [first, bytes] };
        forge.renew();
        forge
    }

    /// The store as it was.
    pub(crate) fn renew(&self) {
        clear(&self.case.path(".memsnap"));
        let copied = self.case.command("cp").args(["-a", "pattern", ".memsnap"]).status().unwrap();
        assert!(copied.success());
    }

    /// The file of the second snapshot.
    pub(crate) fn second(&self) -> PathBuf {
        self.case.stored(".snap").remove(1)
    }

    /// Changes a snapshot, and gives it the id that it then has.
    pub(crate) fn snapshot(&self, path: &Path, edit: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
        let mut bytes = fs::read(path).unwrap();
        edit(&mut bytes);
        let number = &path.file_name().unwrap().to_str().unwrap()[..8];
        let new = path.with_file_name(format!("{number}-{}.snap", blake3::hash(&bytes)));
        fs::remove_file(path).unwrap();
        put(&new, &bytes);
        new
    }

    /// Puts a hole of `n` bytes into the second snapshot where `edit`, which changes the numbers before it, says.
    pub(crate) fn snapshot_with_hole(&self, n: u64, edit: impl FnOnce(&mut Vec<u8>) -> usize) {
        let path = self.second();
        let mut bytes = fs::read(&path).unwrap();
        let (head, tail) = {
            let at = edit(&mut bytes);
            bytes.split_at(at)
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(head);
        (0..n >> 20).for_each(|_| _ = hasher.update(&[0; 1 << 20]));
        let id = hasher.update(tail).finalize();
        fs::remove_file(&path).unwrap();
        let path = path.with_file_name(format!("00000002-{id}.snap"));
        put(&path, head);
        fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(tail, head.len() as u64 + n).unwrap();
    }

    /// Changes the pack of the second snapshot before its tail; the tail's check, the pack's id and the snapshot that
    /// names it follow.
    pub(crate) fn pack(&self, edit: impl FnOnce(&mut Vec<u8>)) {
        let snap = self.second();
        let old: [u8; 32] = fs::read(&snap).unwrap()[112..144].try_into().unwrap();
        let hex = |id: &[u8; 32]| blake3::Hash::from_bytes(*id).to_hex();
        let path = self.case.history().join(format!("{}.pack", hex(&old)));
        let mut bytes = fs::read(&path).unwrap();
        edit(&mut bytes);
        let new = seal_pack(&mut bytes);
        fs::remove_file(&path).unwrap();
        put(&self.case.history().join(format!("{}.pack", hex(&new))), &bytes);
        self.snapshot(&snap, |snap| {
            for at in 0..snap.len() - 31 {
                if snap[at..at + 32] == old {
                    snap[at..at + 32].copy_from_slice(&new);
                }
            }
        });
    }

    /// The delta with other bytes before its end marker's check, which is made right.
    pub(crate) fn delta(&self, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = self.case.read("d");
        edit(&mut bytes);
        let at = bytes.len() - 40;
        let check = blake3::hash(&bytes[..at]);
        bytes[at..at + 32].copy_from_slice(check.as_bytes());
        bytes
    }
}

/// Where the end marker of a delta begins.
pub(crate) fn end_of_delta(bytes: &[u8]) -> usize {
    bytes.len() - END
}

/// Writes a file as a store has it.
pub(crate) fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    chmod(path, 0o600);
}

/// Makes the check of a pack's directory right, and gives the id that follows from its rows, where it has any.
fn seal_pack(bytes: &mut [u8]) -> [u8; 32] {
    let tail = bytes.len() - TAIL;
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let (at, pages) = (usize::try_from(number(tail)).unwrap_or(tail).min(tail), number(tail + 16));
    let mut id = blake3::Hasher::new_derive_key("memsnap pack 1");
    id.update(&pages.to_le_bytes());
    bytes[at..tail].chunks_exact(64).for_each(|row| _ = id.update(&row[32..]));
    let check = blake3::hash(&[&bytes[..16], &bytes[at..tail + 24]].concat());
    bytes[tail + 24..tail + 56].copy_from_slice(check.as_bytes());
    *id.finalize().as_bytes()
}
