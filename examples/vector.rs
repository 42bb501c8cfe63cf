//! A vector of numbers in a file, consistent after each commit: `cargo run --example vector`.
#![allow(unsafe_code, reason = "who opens a persistent vector promises that only programs that lock it write to it")]

use std::io::Write;

use memsnap::vec::{Options, PersistentVec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("numbers.vec");

    // SAFETY: no other process writes to this file while it is open.
    let mut numbers = unsafe { PersistentVec::<u64>::create(&path, &Options::default()) }?;
    numbers.extend(1..=1000)?;
    numbers.commit()?;
    numbers[0] = 7; // never committed
    drop(numbers);

    // SAFETY: as above.
    let numbers = unsafe { PersistentVec::<u64>::open(&path, &Options::default()) }?;
    assert_eq!((numbers.len(), numbers[0]), (1000, 1));
    writeln!(std::io::stdout(), "{} numbers, {} in all", numbers.len(), numbers.iter().sum::<u64>())?;
    Ok(())
}
