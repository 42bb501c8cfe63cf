//! Who else has a target open when it is to be changed, and what can be done about it.

use std::fs::File;
use std::path::Path;

use crate::error::{At, Error, Result, shell_word};
use crate::ops::Note;
use crate::ops::change::Options;
use crate::ops::change::plan::open_in;
use crate::sys::fs as sysfs;
use crate::sys::lease::{Lease, LeaseAnswer};
use crate::sys::procs::{self, Opener, Openers};

/// Makes sure that nobody else has the target open: a write lease proves it.
pub(super) fn alone<'a>(
    live: &'a File,
    path: &Path,
    options: &Options,
    family: &[u32],
    cautions: &mut Vec<Note>,
) -> Result<Option<Lease<'a>>> {
    let excludes = sysfs::kind(live).is_ok_and(|k| k.leases_exclude());
    let answer =
        if excludes { Lease::write(live).at("asking for a lease on", path)? } else { LeaseAnswer::Unsupported };
    let mut openers = match answer {
        LeaseAnswer::Granted(lease) => return Ok(Some(lease)),
        LeaseAnswer::Refused => procs::openers(live),
        LeaseAnswer::NotOwner | LeaseAnswer::Unsupported => {
            let openers = procs::openers(live);
            if openers.list.is_empty() {
                cautions.push(Note::new("whether others have it open could not be proven here"));
                return Ok(None);
            }
            openers
        }
    };
    let all = openers.list.len();
    openers.list.retain(|o| !family.contains(&o.pid));
    if openers.list.is_empty() && all > 0 {
        return Ok(None);
    }
    let holder = open_in(openers.list.iter()).unwrap_or_else(|| "open in a process not visible here".into());
    if options.live {
        cautions.push(Note::new(format!("it was {holder} while it was changed")));
        return Ok(None);
    }
    let hint = format!("{}, or go on with --live: {}", how_to_end(&openers), what_live_risks(&openers));
    Err(Error::Busy { path: path.into(), holder, hint })
}

/// What makes those who have the target open give it up.
fn how_to_end(openers: &Openers) -> String {
    let device = |o: &Opener| o.command.strip_prefix("loop device ").filter(|_| o.pid == 0).map(shell_word);
    let devices: Vec<_> = openers.list.iter().filter_map(device).map(|device| device.to_string()).collect();
    match openers.list.len() {
        0 => "end the process that has it open".into(),
        all if all == devices.len() => format!("detach it (`losetup -d {}`)", devices.join(" ")),
        1 => "end it".into(),
        _ => "end them".into(),
    }
}

/// What may become of a change that others see.
fn what_live_risks(openers: &Openers) -> &'static str {
    match openers.any_writer() || openers.list.is_empty() {
        true => {
            "a program that has the file open may then see a mixture of old and new pages, and write its own over them"
        }
        false => "a program that has the file open may then see a mixture of old and new pages",
    }
}
