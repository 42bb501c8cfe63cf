//! What the program took to do something: memory, bytes read.

use std::fs::File;
use std::process::{Child, Output};
use std::time::Duration;

use super::case::{Case, Ran, start};

/// At its end, while the process is still there to be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// Most memory it had, in KiB (VmHWM).
    pub(crate) memory: u64,
    /// Bytes that it asked to read, of files in the page cache too (rchar).
    pub(crate) read: u64,
}

impl Took {
    /// Whether it stayed below the memory that any verb may take for a file of any length.
    #[track_caller]
    pub(crate) fn is_small(self) -> Took {
        assert!(self.memory < 96 << 10, "{} KiB of memory", self.memory);
        self
    }
}

fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a field of /proc");
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Runs the program to its end, with what it took. It must end with `code`.
#[track_caller]
pub(crate) fn measured(case: &Case, words: &str, code: i32) -> (Ran, Took) {
    let mut command = case.memsnap(words.split_whitespace());
    let file = |name: &str| File::create(case.path(name)).unwrap();
    command.stdout(file("shown")).stderr(file("said"));
    let mut child = start(&mut command);
    let took = at_end(&child);
    let status = child.wait().unwrap();
    let output = Output { status, stdout: case.read("shown"), stderr: case.read("said") };
    let ran = Ran::of(output, words.into()).exits(code);
    (ran, took.expect("it ended before it could be asked"))
}

/// Asks until the process is a zombie. Its memory is gone then, but what it was at most a moment before is known.
fn at_end(child: &Child) -> Option<Took> {
    let dir = format!("/proc/{}", child.id());
    let (mut last, mut memory) = (None, 0);
    loop {
        let status = std::fs::read_to_string(format!("{dir}/status")).ok()?;
        if let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
            memory = line.split_whitespace().next()?.parse().ok()?;
        }
        if let Ok(io) = std::fs::read_to_string(format!("{dir}/io")) {
            last = Some(Took { memory, read: number(&io, "rchar:") });
        }
        if status.contains("State:\tZ") {
            return last.map(|took| Took { memory, ..took });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
