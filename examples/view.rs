//! A view of a file in memory that is changed and reverted to its checkpoints: `cargo run --example view [FILE]`.

use std::io::Write;

use memsnap::mem::Snapshot;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let snapshot = match std::env::args_os().nth(1) {
        Some(path) => Snapshot::open(path.as_ref())?,
        None => Snapshot::from_slice(&[7; 100_000])?,
    };
    let mut view = snapshot.view()?;
    let before = view[0];

    view[0] = before.wrapping_add(1);
    view.snap()?; // checkpoint 1
    view[0] = before.wrapping_add(2);
    writeln!(std::io::stdout(), "{} page differs from the last checkpoint", view.dirty().len())?;

    view.revert();
    assert_eq!(view[0], before.wrapping_add(1));
    assert_eq!(snapshot[0], before, "a snapshot does not change");
    Ok(())
}
