//! Takes two snapshots of a file, compares them and lists them: `cargo run --example history`.

use std::io::Write;

use memsnap::ops::{Operand, Quiet, diff, log, snap};
use memsnap::store::Ref;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.bin");
    let mut bytes = vec![7; 1 << 20];
    std::fs::write(&path, &bytes)?;
    let first = snap::snap(&path, &snap::Options::default(), &Quiet)?;

    bytes[10 * 4096] = 8;
    std::fs::write(&path, &bytes)?;
    let second = snap::snap(&path, &snap::Options::default(), &Quiet)?;
    assert_eq!((first.number, second.number, second.pages_changed), (1, 2, 1));

    let mut out = std::io::stdout();
    let at = |number| Operand::new(path.clone(), Ref::Number(number));
    let compared = diff::diff(&at(1), Some(&at(2)), &diff::Options::default(), &Quiet)?;
    let ranges: Vec<_> = compared.pages().runs().collect();
    writeln!(out, "@1 and @2 differ in pages {ranges:?}")?;
    for listing in log::log(Some(&path), &log::Options::default())? {
        writeln!(out, "{} snapshots of {}", listing.snapshots.len(), listing.path.display())?;
    }
    Ok(())
}
