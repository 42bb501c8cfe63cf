//! A pager for long output on a terminal, started only when the output does not fit the screen.
//!
//! While it runs, Ctrl-C is for the pager. Leaving it early closes its pipe, which is not an error. If it cannot be
//! started, a warning says so, and the output is written without it.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use memsnap::program::signal::IgnoreInterrupts;
use unicode_width::UnicodeWidthChar;

use super::escape;

/// Output that is held back until it ends, or is longer than the screen.
pub(crate) struct Paged {
    direct: Box<dyn Write>,
    size: (usize, usize),
    command: String,
    state: State,
}

enum State {
    Held(Vec<u8>, RowCount),
    Piped(Box<Pager>),
    Direct,
}

struct Pager {
    child: Child,
    to: BufWriter<ChildStdin>,
    _interrupts: IgnoreInterrupts,
}

/// Counts the rows that text takes on a screen.
#[derive(Default)]
struct RowCount {
    full: usize,
    column: usize,
    /// Within an escape sequence, which takes no column.
    escape: bool,
}

impl RowCount {
    fn count(&mut self, bytes: &[u8], columns: usize) {
        for c in String::from_utf8_lossy(bytes).chars() {
            match c {
                '\n' => {
                    self.full += self.column.max(1).div_ceil(columns.max(1));
                    self.column = 0;
                }
                '\x1b' => self.escape = true,
                _ if self.escape => self.escape = !c.is_ascii_alphabetic(),
                _ => self.column += c.width().unwrap_or(0),
            }
        }
    }
}

impl Paged {
    /// Creates output to `direct`, or to `command` if it has more rows than a terminal of this `size` (rows, columns).
    pub(crate) fn new(direct: Box<dyn Write>, size: (usize, usize), command: String) -> Paged {
        Paged { direct, size, command, state: State::Held(Vec::new(), RowCount::default()) }
    }

    fn overflow(&mut self, held: &[u8]) -> io::Result<()> {
        match Pager::start(&self.command) {
            Ok(mut pager) => {
                let done = pager.to.write_all(held);
                self.state = State::Piped(Box::new(pager));
                done
            }
            Err(e) => {
                // Written here, because the screen's stderr waits for stdout.
                let pager = escape::text(&self.command);
                let _ = writeln!(io::stderr(), "memsnap: warning: the pager {pager} cannot be started: {e}");
                self.state = State::Direct;
                self.direct.write_all(held)
            }
        }
    }
}

impl Pager {
    fn start(command: &str) -> io::Result<Pager> {
        let mut words = command.split_whitespace();
        // A shell is used only if the command needs one, so that a missing pager is noticed here.
        let mut command = match command.contains(['\'', '"', '$', '|', '&', ';', '<', '>', '(', '`', '\\', '*', '=']) {
            true => {
                let mut shell = Command::new("sh");
                shell.args(["-c", command]);
                shell
            }
            false => {
                let mut plain = Command::new(words.next().unwrap_or("less"));
                plain.args(words);
                plain
            }
        };
        // less must always pass colours through (-R).
        let less = match std::env::var_os("LESS") {
            None => "FRX".into(),
            Some(own) => {
                let mut less = OsString::from("-R ");
                less.push(own);
                less
            }
        };
        command.env("LESS", less);
        // Before it starts: Ctrl-C must never end this process and leave the pager behind.
        let interrupts = IgnoreInterrupts::begin();
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        let to = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Pager { child, to: BufWriter::new(to), _interrupts: interrupts })
    }

    /// Waits until the pager ends.
    fn end(self: Box<Pager>) -> io::Result<()> {
        let Pager { mut child, to, _interrupts } = *self;
        let written = match to.into_inner() {
            Ok(stdin) => {
                drop(stdin);
                Ok(())
            }
            Err(e) => Err(e.into_parts().0),
        };
        child.wait()?;
        written
    }
}

impl Write for Paged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Direct => return self.direct.write(bytes),
            State::Piped(pager) => return pager.to.write(bytes),
            State::Held(held, rows) => {
                held.extend_from_slice(bytes);
                rows.count(bytes, self.size.1);
                // The last row is for the shell prompt that follows.
                if rows.full + 1 > self.size.0 {
                    let held = std::mem::take(held);
                    self.overflow(&held)?;
                }
            }
        }
        Ok(bytes.len())
    }

    /// Ends the output so far.
    fn flush(&mut self) -> io::Result<()> {
        let fresh = State::Held(Vec::new(), RowCount::default());
        match std::mem::replace(&mut self.state, fresh) {
            State::Held(held, _) => self.direct.write_all(&held)?,
            State::Piped(pager) => return pager.end(),
            State::Direct => self.state = State::Direct,
        }
        self.direct.flush()
    }
}

impl Drop for Paged {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Tape(Rc<RefCell<Vec<u8>>>);

    impl Write for Tape {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(lines: usize, command: &str) -> (String, io::Result<()>) {
        let tape = Tape::default();
        let mut paged = Paged::new(Box::new(tape.clone()), (5, 10), command.into());
        let done = (0..lines).try_for_each(|n| writeln!(paged, "{n}")).and_then(|()| paged.flush());
        drop(paged);
        let text = String::from_utf8(tape.0.borrow().clone()).unwrap();
        (text, done)
    }

    #[test]
    fn a_pager_only_for_what_is_longer_than_the_screen() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let command = format!("cat > {}", out.display());
        assert_eq!(shown(4, &command).0, "0\n1\n2\n3\n");
        assert!(!out.exists());
        let (text, done) = shown(5, &command);
        assert!(text.is_empty() && done.is_ok());
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "0\n1\n2\n3\n4\n");
    }

    #[test]
    fn one_that_is_missing_is_done_without() {
        assert_eq!(shown(7, "no-such-pager -R").0, "0\n1\n2\n3\n4\n5\n6\n");
    }

    #[test]
    fn one_that_is_left_early_is_a_closed_pipe() {
        let (_, done) = shown(100_000, "true");
        assert_eq!(done.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn rows_as_a_terminal_counts_them() {
        let count = |text: &str| {
            let mut rows = RowCount::default();
            rows.count(text.as_bytes(), 10);
            rows.full
        };
        assert_eq!((count("\n"), count("0123456789\n"), count("0123456789a\n\n")), (1, 1, 3));
        assert_eq!((count("\x1b[1;31m0123456789\x1b[0m\n"), count("ééééé ééé\n")), (1, 1));
    }
}
