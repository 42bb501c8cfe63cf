//! The traits by which a view is a slice of bytes.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::root::Root;
use super::view::View;

impl<S: Root> fmt::Debug for View<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, page_size, checkpoints) = (self.len(), self.unit, self.checkpoints());
        let (tracking, mut view) = (self.tracking(), f.debug_struct("View"));
        view.field("len", &len).field("page_size", &page_size).field("checkpoints", &checkpoints);
        view.field("tracking", &tracking).finish_non_exhaustive()
    }
}

impl<S: Root> Deref for View<S> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl<S: Root> DerefMut for View<S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.as_mut_slice()
    }
}

impl<S: Root> AsRef<[u8]> for View<S> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<S: Root> AsMut<[u8]> for View<S> {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}
