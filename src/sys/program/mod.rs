//! What a program may do to its process, and a library may not: note how it was started, end it when memory runs out,
//! handle signals, run commands, use descriptors by their number. Only the feature `program` compiles it.

pub mod around; // commands before and after something
pub mod child; // a command run in our place
pub mod descriptor; // descriptors by their number
pub mod guard; // SIGBUS, so that files can be mapped that others may cut
pub mod heap; // memory that runs out
pub mod limits; // how many files can be open
pub mod lockable; // what the verb `lock` locks
mod orders; // the end of a pipe that keeps others stopped
pub mod repeat; // doing something at set times
pub mod signal; // signals that must not kill, end a wait, or are for others
mod start; // how this process was started
pub mod stop; // SIGTSTP while a lease is held
pub mod terminal; // its size
pub mod watchdog; // a process that lets stopped ones go on

pub use super::ext;
