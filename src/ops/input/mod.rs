//! What a verb works on: the file, snapshot or pair that the user named, found and opened.

pub(crate) mod image;
pub(crate) mod operand;
pub(crate) mod renamed;
pub(crate) mod target;
