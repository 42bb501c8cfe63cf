//! What a program does with big state in its own memory.

pub mod vec;
