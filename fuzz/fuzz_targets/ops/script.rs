//! What an input says is to be done.
//!
//! Four bytes say where a blow falls: on which step of the script, on which system call of it, which blow, and on which
//! system call of the recovery after it (0 for none). Then come three bytes for each step.

use super::crash::Blow;

/// Most steps of a script: with more, each input takes too long.
const MOST: usize = 8;

/// Everything that an input says.
#[derive(Debug)]
pub(crate) struct Script {
    /// The step that is struck.
    pub(crate) struck: usize,
    /// The system call of it, from 1 on.
    pub(crate) at: u8,
    pub(crate) blow: Blow,
    /// The system call of the recovery that is struck.
    pub(crate) again: u8,
    /// Whether pages are compressed.
    pub(crate) compress: bool,
    pub(crate) steps: Vec<Step>,
}

/// One step. Offsets and lengths are bytes; snapshots and elements are counted round.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Another process writes to the target, in place.
    Write {
        at: u64,
        len: u64,
        seed: u8,
    },
    /// Another process makes it longer or shorter.
    SetLen(u64),
    /// Another process makes a hole.
    Punch {
        at: u64,
        len: u64,
    },
    Snap {
        tag: bool,
    },
    Revert(usize),
    RevertRange {
        which: usize,
        at: u64,
        len: u64,
    },
    Undo,
    Edit {
        at: u64,
        len: u64,
        seed: u8,
    },
    Restore(usize),
    Apply {
        from: usize,
        to: usize,
    },
    Vec {
        set: Option<usize>,
        push: usize,
        cut: usize,
        seed: u8,
    },
}

impl Script {
    pub(crate) fn of(input: &[u8]) -> Option<Script> {
        let ([struck, at, blow, again], rest) = input.split_first_chunk()?;
        let steps: Vec<_> = rest.as_chunks().0.iter().take(MOST).map(|bytes| Step::of(*bytes)).collect();
        let (compress, blow) = (blow & 0x80 != 0, Blow::of(blow & 0x7f));
        Some(Script {
            struck: usize::from(*struck) % steps.len().max(1),
            at: *at,
            blow,
            again: *again,
            compress,
            steps,
        })
    }
}

impl Step {
    fn of([what, a, b]: [u8; 3]) -> Step {
        // On the edges of pages and groups, and around them.
        let at = u64::from(a % 18) * 4096 + u64::from(a / 64) * 1000;
        let len = [1, 100, 4096, 5000, 9000, 20_000][usize::from(b) % 6];
        let (seed, which) = (b / 6 % 4, usize::from(a));
        match what % 14 {
            0 | 1 => Step::Write { at, len, seed },
            2 => Step::SetLen(at + u64::from(b % 3)),
            3 => Step::Punch { at, len },
            4 | 5 => Step::Snap { tag: b % 2 == 1 },
            6 | 7 => Step::Revert(which),
            8 => Step::RevertRange { which: which / 18, at, len },
            9 => Step::Undo,
            10 => Step::Edit { at, len, seed },
            11 => Step::Restore(which),
            12 => Step::Apply { from: which, to: usize::from(b) },
            _ => Step::Vec {
                set: (a % 2 == 1).then_some(which / 2),
                push: [0, 1, 3, 3000][usize::from(b) % 4],
                cut: [0, 1, 2, 5000][usize::from(b / 4) % 4],
                seed: b / 16,
            },
        }
    }
}
