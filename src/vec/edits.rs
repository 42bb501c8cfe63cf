//! What `Vec<T>` can do, done to a persistent vector in memory.

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

    /// Takes the last element away.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.len.checked_sub(1)?;
        let value = self.value(last);
        self.len = last;
        Some(value)
    }

    /// Appends what `values` gives; up to the one at which it fails, if it does.
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

    /// Puts an element at `index`; those from there on move up.
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

    /// Takes the element at `index` away; those behind it move down.
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

    /// Takes the element at `index` away; the last takes its place.
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

    /// Takes the first element away; those behind it move down. Takes time for all of them.
    pub fn pop_front(&mut self) -> Option<T> {
        (self.len > 0).then(|| self.remove(0))
    }

    /// Takes the first `n` elements away; those behind them move down. Takes time for those, and the next commit writes
    /// all of them: many at a time cost no more than one.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn remove_front(&mut self, n: usize) {
        assert!(n <= self.len, "{n} elements cannot be taken from {}", self.len);
        let (at, end) = (n * Self::SIZE, self.len * Self::SIZE);
        self.bytes_mut().copy_within(at..end, 0);
        self.len -= n;
    }

    /// Takes all elements but the first `len` away; nothing when there are fewer.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Takes all elements away.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Makes `len` the number of elements; new ones are clones of `value`.
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
