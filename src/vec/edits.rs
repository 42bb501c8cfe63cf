//! The methods of `Vec<T>` on a persistent vector: they change it in memory.

use zerocopy::IntoBytes;

use super::typed::Plain;
use super::writer::PersistentVec;
use crate::Result;

impl<T: Plain> PersistentVec<T> {
    /// Appends an element.
    ///
    /// # Errors
    /// As [`PersistentVec::reserve`].
    #[inline]
    pub fn push(&mut self, value: T) -> Result<()> {
        if self.len == self.capacity {
            self.grow(1)?;
        }
        let at = self.len * Self::SIZE;
        self.bytes_mut()[at..at + Self::SIZE].copy_from_slice(value.as_bytes());
        self.len += 1;
        Ok(())
    }

    /// Removes and returns the last element.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.len.checked_sub(1)?;
        let value = self.value(last);
        self.len = last;
        Some(value)
    }

    /// Appends `values`; when that fails, those before the failure are appended.
    ///
    /// # Errors
    /// As [`PersistentVec::reserve`].
    pub fn extend(&mut self, values: impl IntoIterator<Item = T>) -> Result<()> {
        values.into_iter().try_for_each(|value| self.push(value))
    }

    /// Appends copies of `values`.
    ///
    /// # Errors
    /// As [`PersistentVec::reserve`].
    pub fn extend_from_slice(&mut self, values: &[T]) -> Result<()>
    where
        T: Copy,
    {
        self.reserve(values.len())?;
        let bytes = values.as_bytes();
        let at = self.len * Self::SIZE;
        self.bytes_mut()[at..at + bytes.len()].copy_from_slice(bytes);
        self.len += values.len();
        Ok(())
    }

    /// Inserts an element at `index`; those from there on move up.
    ///
    /// # Errors
    /// As [`PersistentVec::reserve`].
    ///
    /// # Panics
    /// When `index` is past the end.
    pub fn insert(&mut self, index: usize, value: T) -> Result<()> {
        assert!(index <= self.len, "index {index} is past the end of {} elements", self.len);
        self.reserve(1)?;
        let (at, end) = (index * Self::SIZE, self.len * Self::SIZE);
        let bytes = self.bytes_mut();
        bytes.copy_within(at..end, at + Self::SIZE);
        bytes[at..at + Self::SIZE].copy_from_slice(value.as_bytes());
        self.len += 1;
        Ok(())
    }

    /// Removes and returns the element at `index`; those after it move down.
    ///
    /// # Panics
    /// When there is none.
    pub fn remove(&mut self, index: usize) -> T {
        let value = self.value(index);
        let (at, end) = (index * Self::SIZE, self.len * Self::SIZE);
        self.bytes_mut().copy_within(at + Self::SIZE..end, at);
        self.len -= 1;
        value
    }

    /// Removes and returns the element at `index`; the last one takes its place.
    ///
    /// # Panics
    /// When there is none.
    pub fn swap_remove(&mut self, index: usize) -> T {
        let value = self.value(index);
        let (at, last) = (index * Self::SIZE, (self.len - 1) * Self::SIZE);
        self.bytes_mut().copy_within(last..last + Self::SIZE, at);
        self.len -= 1;
        value
    }

    /// Removes and returns the first element; those after it move down, which takes time for all of them.
    pub fn pop_front(&mut self) -> Option<T> {
        (self.len > 0).then(|| self.remove(0))
    }

    /// Removes the first `n` elements; those after them move down. That takes time for those, and the next commit
    /// writes all of them: removing many at once costs no more than one.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn remove_front(&mut self, n: usize) {
        assert!(n <= self.len, "{n} elements cannot be removed from {}", self.len);
        let (at, end) = (n * Self::SIZE, self.len * Self::SIZE);
        self.bytes_mut().copy_within(at..end, 0);
        self.len -= n;
    }

    /// Keeps the first `len` elements, and removes all others.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Removes all elements.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Sets the number of elements to `len`; new ones are clones of `value`.
    ///
    /// # Errors
    /// As [`PersistentVec::reserve`].
    pub fn resize(&mut self, len: usize, value: T) -> Result<()>
    where
        T: Clone,
    {
        self.truncate(len);
        let old = self.len;
        self.reserve(len - old)?;
        self.bytes_mut()[old * Self::SIZE..len * Self::SIZE]
            .chunks_exact_mut(Self::SIZE)
            .for_each(|bytes| bytes.copy_from_slice(value.clone().as_bytes()));
        self.len = len;
        Ok(())
    }

    fn value(&self, index: usize) -> T {
        assert!(index < self.len, "index {index} is past the last of {} elements", self.len);
        T::read_from_bytes(&self.bytes()[index * Self::SIZE..(index + 1) * Self::SIZE]).expect("the size of an element")
    }
}
