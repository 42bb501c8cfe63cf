//! Indexes and ranges of elements, before their number is known.

use std::path::Path;

use crate::error::{Error, Result};

/// A place between elements, counted from either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Counted from the start.
    Start(u64),
    /// Counted from the end.
    End(u64),
}

/// A selection of elements, before their number is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// One element.
    One(Place),
    /// The half-open range from one place to another; a missing end is the first or the last.
    Range(Option<Place>, Option<Place>),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Start(n) => write!(f, "{n}"),
            Place::End(n) => write!(f, "-{n}"),
        }
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |place: &Option<Place>| place.map(|place| place.to_string()).unwrap_or_default();
        match self {
            Span::One(place) => write!(f, "element {place}"),
            Span::Range(start, end) => write!(f, "range {}..{}", shown(start), shown(end)),
        }
    }
}

/// `1 element`, `2 elements`.
pub(super) fn elements(n: u64) -> String {
    format!("{n} element{}", if n == 1 { "" } else { "s" })
}

impl Span {
    /// Returns the selected indexes in a vector of `len` elements, as `start..end`.
    ///
    /// # Errors
    /// [`Error::Refused`] when there are no such elements.
    pub fn within(&self, len: u64, path: &Path) -> Result<(u64, u64)> {
        let at = |place: Place| match place {
            Place::Start(n) => Some(n),
            Place::End(n) => len.checked_sub(n),
        };
        let (start, end) = match *self {
            Span::One(place) => (at(place), at(place).and_then(|n| n.checked_add(1))),
            Span::Range(start, end) => (start.map_or(Some(0), at), end.map_or(Some(len), at)),
        };
        match (start, end) {
            (Some(start), Some(end)) if start <= end && end <= len => Ok((start, end)),
            (Some(start), Some(end)) if start <= len && end <= len => Err(Error::refused(
                format!("{self} of {} starts after its end: from {start} to {end}", path.display()),
                "write the smaller index first",
            )),
            _ => Err(Error::refused(
                format!("{} has {}: there is no {self}", path.display(), elements(len)),
                "indexes count from 0, or as -1, -2, ... from the end",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        use Place::{End, Start};
        let table = [
            (Span::One(Start(3)), Some((3, 4))),
            (Span::One(Start(5)), None),
            (Span::One(End(1)), Some((4, 5))),
            (Span::One(End(5)), Some((0, 1))),
            (Span::One(End(6)), None),
            (Span::One(End(0)), None),
            (Span::One(Start(u64::MAX)), None),
            (Span::Range(None, None), Some((0, 5))),
            (Span::Range(Some(Start(2)), Some(Start(2))), Some((2, 2))),
            (Span::Range(Some(Start(3)), Some(Start(2))), None),
            (Span::Range(Some(End(2)), None), Some((3, 5))),
            (Span::Range(None, Some(Start(6))), None),
        ];
        for (span, expected) in table {
            assert_eq!(span.within(5, Path::new("v")).ok(), expected, "{span:?}");
        }
    }
}
