//! The options of a view.

use super::track::Tracking;

/// Returns the size of the smallest page of a view in bytes: the larger of 4096 and the system's page.
pub fn page_size() -> usize {
    crate::sys::region::system_page().max(crate::page::PAGE)
}

/// Options of a view.
///
/// ```
/// use memsnap::mem::{Options, Snapshot, Tracking};
///
/// # fn main() -> std::io::Result<()> {
/// let options = Options::default().page_size(65536).tracking(Tracking::Compare);
/// let snapshot = Snapshot::zeroed(1 << 20)?;
/// assert_eq!(snapshot.view_with(&options)?.page_size(), 65536);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub(super) page_size: Option<usize>,
    pub(super) tracking: Option<Tracking>,
}

impl Options {
    /// Sets the bytes of a page, a multiple of [`page_size`], which is the default.
    pub fn page_size(self, bytes: usize) -> Options {
        Options { page_size: Some(bytes), ..self }
    }

    /// Sets how writes are tracked; the default is the best method that the system has.
    pub fn tracking(self, method: Tracking) -> Options {
        Options { tracking: Some(method), ..self }
    }
}
