//! Page-level history for big files that are changed in place.
pub mod error;
pub mod pack;
pub mod page;
pub mod sys;
pub use error::{At, Error, Result};
