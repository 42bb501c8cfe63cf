//! What a program may do to its process, and a library may not: note how it was started, end it when memory runs out,
//! handle signals, run commands, use descriptors by their number.

pub mod child; // a command run in our place
pub mod heap; // memory that runs out
pub mod signal; // signals that must not kill, end a wait, or are for others
pub(super) mod start; // how this process was started
pub mod stop; // SIGTSTP while a lease is held
pub mod terminal; // its size

pub use super::ext;
