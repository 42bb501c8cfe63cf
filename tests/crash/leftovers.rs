//! What an interrupted command may leave, and what it may not.

use std::path::Path;

use crate::case::PAGE;

/// Whether each page is that before or that after, with zeros past an end.
pub(crate) fn is_mixture(now: &[u8], before: &[u8], after: &[u8]) -> bool {
    let zero = [0; PAGE];
    let of = |image: &[u8], at: usize, len: usize| -> Vec<u8> {
        let mut page = zero[..len].to_vec();
        let there = image.get(at..).unwrap_or_default();
        let n = there.len().min(len);
        page[..n].copy_from_slice(&there[..n]);
        page
    };
    now.chunks(PAGE).enumerate().all(|(i, page)| {
        let (at, len) = (i * PAGE, page.len());
        page == of(before, at, len) || page == of(after, at, len)
    })
}

/// Temporary files anywhere in a directory.
pub(crate) fn temporary_files(dir: &Path) -> Vec<String> {
    fn walk(dir: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() {
                walk(&entry.path(), found);
            } else if name.starts_with("tmp-") {
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, &mut found);
    found
}
