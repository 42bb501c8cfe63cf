//! Page-level history for big files that are changed in place.
pub mod capture;
pub mod error;
pub mod ops;
pub mod pack;
pub mod page;
pub mod store;
pub mod sys;
pub use error::{At, Error, Result};
