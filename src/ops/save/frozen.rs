//! The moment while those who write to the targets are stopped.
//!
//! First the targets are read as always: that brings them to the disk and into memory, takes the locks, and is enough if
//! nothing writes just then. Only if something did are the writers stopped, for one more reading, which finds what has
//! changed since in memory.

use std::time::{Duration, Instant};

use super::moment::{Graded, Moment};
use crate::capture::CaptureWatch;
use crate::error::Result;
use crate::sys::freeze::{Freeze, Frozen};

/// The first pause before they are stopped again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

impl Moment<'_> {
    /// Reads all, while their writers are stopped for `bound` at most if that is needed; again as long as there is
    /// patience.
    pub(super) fn frozen(&self, bound: Duration) -> Result<Graded> {
        let until = Instant::now() + self.how.patience;
        let watches = self.watch(Instant::now())?;
        let writes = watches.iter().any(CaptureWatch::is_written);
        let (mut taken, was_written) = self.read(Some(watches), || {})?;
        if !(writes || was_written) {
            return Ok(taken);
        }
        let (mut pause, longest) = PAUSES;
        loop {
            let freeze = match Freeze::begin(&self.files(), bound) {
                Ok(freeze) => freeze,
                Err(why) => return Ok(told(taken, &why)),
            };
            let (again, frozen) = self.read_stopped(freeze)?;
            let done = again.is_some();
            taken = again.unwrap_or(taken);
            for (reading, _) in &mut taken {
                reading.frozen = Some(frozen.clone());
            }
            if done {
                return Ok(taken);
            }
            if frozen.cut_short {
                let why = format!(
                    "its writers were to be stopped for at most {} ms, too short to read it",
                    bound.as_millis()
                );
                return Ok(told(taken, &why));
            }
            if Instant::now() + pause > until {
                let left = frozen.left.join(", ");
                let why =
                    if left.is_empty() { "it was written although its visible writers were stopped" } else { &left };
                return Ok(told(taken, why));
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(longest);
        }
    }

    /// Reads all while their writers are stopped, and lets them go on. None: all the same, one was written.
    fn read_stopped(&self, freeze: Freeze) -> Result<(Option<Graded>, Frozen)> {
        let names: Vec<_> = freeze.state().stopped.iter().map(|(pid, name)| format!("{name} ({pid})")).collect();
        let watches = self.watch_stopped(&match names.len() {
            0 => "no process that writes to it could be stopped".into(),
            _ => format!("stopped meanwhile: {}", names.join(", ")),
        });
        if !watches.iter().all(CaptureWatch::sees) {
            return Ok((None, freeze.end()));
        }
        let mut freeze = Some(freeze);
        let mut frozen = Frozen::default();
        let end = || frozen = freeze.take().map(Freeze::end).unwrap_or_default();
        let (taken, was_written) = self.silent().read(Some(watches), end)?;
        Ok(((!was_written).then_some(taken), frozen))
    }
}

/// The readings, and why there are no better ones.
fn told(mut taken: Graded, why: &str) -> Graded {
    for (_, (_, reason)) in &mut taken {
        *reason = format!("{reason}; {why}");
    }
    taken
}
