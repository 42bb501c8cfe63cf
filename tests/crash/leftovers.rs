//! What an interrupted command may leave, and what it may not.

use std::path::Path;

use crate::case::PAGE;
use crate::util::walk;

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

/// Temporary files anywhere in a directory, which may be missing.
pub(crate) fn temporary_files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    if dir.is_dir() {
        walk(dir, &mut |path, meta| {
            let name = path.file_name().unwrap().to_string_lossy();
            if !meta.is_dir() && name.starts_with("tmp-") {
                found.push(name.into());
            }
        });
    }
    found
}
