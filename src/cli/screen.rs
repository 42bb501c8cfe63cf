//! Where output goes: results to stdout, everything else to stderr, all of it escaped.
//!
//! If the reader closes the pipe, output ends; the work and the exit code do not change. Any other error of stdout is
//! reported. Errors of stderr are ignored.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use clap::error::ErrorKind;
use memsnap::ops::Note;
use memsnap::program::descriptor;
use memsnap::program::terminal;
use serde::Serialize;

use super::common_flags::{Global, When};
use super::exit::Exit;
use super::pager::Paged;
use super::progress::Bar;
use super::units::Sizes;
use super::{escape, fault, hints, json};

/// Rows and columns of a terminal that does not report them.
const SIZE: (usize, usize) = (24, 80);

/// Which standard streams are terminals.
#[derive(Clone, Copy, Default)]
pub(crate) struct Terminals {
    /// Whether stdin is one: a question can be answered.
    pub(crate) stdin: bool,
    /// Whether stdout is one: it must not get binary.
    pub(crate) stdout: bool,
    /// Whether stderr is one: questions and progress can be shown.
    pub(crate) stderr: bool,
}

/// The two outputs of the program, and how to write to them.
pub(crate) struct Screen {
    out: Pipe,
    err: Box<dyn Write>,
    /// An error of stdout found while stderr was written; reported at the end.
    late: Option<anyhow::Error>,
    /// The store, for hints.
    store: Option<PathBuf>,
    json: bool,
    quiet: bool,
    verbose: bool,
    progress: When,
    color_out: bool,
    color_err: bool,
    /// The pager, if there is a terminal for it.
    pager: Option<String>,
    /// Whether the pager is in use.
    paged: bool,
    /// Which streams are terminals.
    pub(crate) terminals: Terminals,
    /// How sizes are shown.
    pub(crate) sizes: Sizes,
}

/// stdout, which may have been closed by its reader.
struct Pipe {
    to: Box<dyn Write>,
    /// Whether nothing is written any more.
    ended: bool,
    /// Whether that is because the reader is gone.
    closed: bool,
}

impl Screen {
    /// Creates one on the streams of this process.
    pub(crate) fn of_process(global: &Global) -> Screen {
        let terminals = Terminals {
            stdin: io::stdin().is_terminal(),
            stdout: io::stdout().is_terminal(),
            stderr: io::stderr().is_terminal(),
        };
        let out: Box<dyn Write> = match descriptor::stdout_is_open() {
            true => Box::new(BufWriter::with_capacity(1 << 16, io::stdout())),
            false => Box::new(NotOpen),
        };
        Screen::new(out, Box::new(io::stderr()), terminals, global)
    }

    /// Creates one on any two streams.
    pub(crate) fn new(out: Box<dyn Write>, err: Box<dyn Write>, terminals: Terminals, global: &Global) -> Screen {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let plain = set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let color = |terminal| match global.color {
            When::Auto => terminal && !plain,
            When::Always => true,
            When::Never => false,
        };
        Screen {
            out: Pipe { to: out, ended: false, closed: false },
            err,
            late: None,
            store: global.store.clone(),
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            progress: global.progress,
            color_out: color(terminals.stdout),
            color_err: color(terminals.stderr),
            pager: pager(),
            paged: false,
            terminals,
            sizes: Sizes { exact: global.bytes },
        }
    }

    /// Fails if no result could be written, before any work is done.
    #[allow(clippy::unused_self, reason = "only a process with a screen has a stdout")]
    pub(crate) fn must_be_open(&self) -> anyhow::Result<()> {
        if descriptor::stdout_is_open() {
            return Ok(());
        }
        let hint = "redirect it to a file, or to /dev/null";
        Err(memsnap::Error::refused("stdout is closed, or not open for writing", hint).into())
    }

    /// Writes a line of a result.
    pub(crate) fn line(&mut self, text: &str) -> anyhow::Result<()> {
        let text = escape::text(text) + "\n";
        self.out.put(text.as_bytes())
    }

    /// Writes a heading.
    pub(crate) fn heading(&mut self, text: &str) -> anyhow::Result<()> {
        let text = paint(self.color_out, "1", &escape::text(text)) + "\n";
        self.out.put(text.as_bytes())
    }

    /// Writes a result as JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        self.out.put(json::line(value)?.as_bytes())
    }

    /// Writes text that is not escaped, such as the manual.
    pub(crate) fn own_text(&mut self, text: &str) -> anyhow::Result<()> {
        self.out.put(text.as_bytes())
    }

    /// Returns stdout for binary; a closed pipe is an error here, so that the work can end early.
    pub(crate) fn stream(&mut self) -> impl Write + '_ {
        Stream(&mut self.out)
    }

    /// From now on, sends output longer than the terminal through a pager, unless `never`. The pager ends when stdout
    /// is flushed: before anything is written to stderr, and at the end.
    pub(crate) fn page(&mut self, never: bool) {
        if self.terminals.stdout && !never && self.pager.is_some() {
            let direct = std::mem::replace(&mut self.out.to, Box::new(io::sink()));
            self.out.to = Box::new(Paged::new(direct, size_of_stdout(), self.pager.take().unwrap_or_default()));
            self.paged = true;
        }
    }

    /// Flushes the output so far, because the rest may take long; not with a pager, which has to collect a screenful.
    pub(crate) fn bring_out(&mut self) -> anyhow::Result<()> {
        if self.paged { Ok(()) } else { self.flush() }
    }

    /// Rows and columns of the terminal that stdout is; 24 and 80 where it is none.
    pub(crate) fn size(&self) -> (usize, usize) {
        if self.terminals.stdout { size_of_stdout() } else { SIZE }
    }

    /// Columns of the same.
    pub(crate) fn columns(&self) -> usize {
        self.size().1
    }

    /// Whether the reader of stdout has closed the pipe.
    pub(crate) fn closed(&self) -> bool {
        self.out.closed
    }

    /// Writes a progress message, for people.
    pub(crate) fn say(&mut self, text: &str) {
        if !self.quiet && !self.json {
            self.tell(text);
        }
    }

    /// Writes a message for people, also with -q.
    pub(crate) fn tell(&mut self, text: &str) {
        self.settle();
        let _ = writeln!(self.err, "{}", escape::text(text));
    }

    /// Writes a JSON report to stderr, because stdout carries binary.
    pub(crate) fn json_aside(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let _ = self.err.write_all(json::line(value)?.as_bytes());
        Ok(())
    }

    /// Writes a warning.
    pub(crate) fn warn(&mut self, text: &str) {
        let line = match self.json {
            true => fault::warning_json(text),
            false => format!("memsnap: {} {}\n", paint(self.color_err, "33", "warning:"), escape::text(text)),
        };
        self.settle();
        let _ = self.err.write_all(line.as_bytes());
    }

    /// Writes the notes and warnings of a report. Warnings are prefixed with `file`, because -q suppresses all else
    /// that names it; empty if the notes name it themselves.
    pub(crate) fn notes(&mut self, notes: &[Note], file: &str) {
        for note in notes {
            let text = hints::of_note(note);
            match (note.warning, file) {
                (false, _) => self.say(&text),
                (true, "") => self.warn(&text),
                (true, file) => self.warn(&format!("{file}: {text}")),
            }
        }
    }

    /// Reports an error, after all results so far, and returns its exit code.
    pub(crate) fn fail(&mut self, error: &anyhow::Error) -> Exit {
        self.settle();
        let text = match self.json {
            true => fault::json(error, self.store.as_deref()),
            false => {
                let (message, hint) = fault::text(error, self.verbose, self.store.as_deref());
                let mut text = format!("{} {message}\n", paint(self.color_err, "1;31", "memsnap:"));
                if !hint.is_empty() {
                    text += &format!("  {} {hint}\n", paint(self.color_err, "36", "hint:"));
                }
                text
            }
        };
        let _ = self.err.write_all(text.as_bytes());
        Exit::of(error)
    }

    /// Shows help and version as results, and all else that clap reports as a usage error with exit code `wrong`.
    pub(crate) fn usage(&mut self, error: &clap::Error, wrong: Exit) -> anyhow::Result<Exit> {
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            let rendered = error.render();
            let text = if self.color_out { rendered.ansi().to_string() } else { rendered.to_string() };
            self.own_text(&text)?;
            return Ok(Exit::Done);
        }
        self.own_error(&fault::usage(error, wrong, self.json, self.color_err));
        Ok(wrong)
    }

    /// Writes text rendered elsewhere to stderr.
    pub(crate) fn own_error(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes());
    }

    /// Shows a question, without an end of line.
    pub(crate) fn ask(&mut self, question: &str) {
        self.settle();
        let _ = write!(self.err, "{}", escape::text(question));
        let _ = self.err.flush();
    }

    /// Whether output is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether stdout, or stderr, may be coloured.
    pub(crate) fn colors(&self) -> (bool, bool) {
        (self.color_out, self.color_err)
    }

    /// Creates a progress bar, which is shown only if it should be.
    pub(crate) fn bar(&self) -> Bar {
        let shown = match self.progress {
            When::Auto => self.terminals.stderr && !self.quiet && !self.json,
            When::Always => true,
            When::Never => false,
        };
        Bar::new(shown, self.terminals.stderr, self.sizes)
    }

    /// Flushes all results.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        match self.late.take() {
            Some(late) => Err(late),
            None => self.out.check(|to| to.flush()),
        }
    }

    /// Flushes results before stderr is written, so that both come in order on a terminal.
    fn settle(&mut self) {
        if let Err(e) = self.flush() {
            self.late = Some(e);
        }
    }
}

impl Pipe {
    fn put(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.check(|to| to.write_all(bytes))
    }

    fn check(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
        if self.ended {
            return Ok(());
        }
        match write(&mut *self.to) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                (self.ended, self.closed) = (true, true);
                Ok(())
            }
            Err(e) => {
                self.ended = true; // reported once
                Err(anyhow::Error::new(e).context("writing to stdout"))
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Stands for a stdout that cannot be written to.
struct NotOpen;

impl Write for NotOpen {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("it is closed, or not open for writing"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Stream<'a>(&'a mut Pipe);

impl Stream<'_> {
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.0.closed |= matches!(&result, Err(e) if e.kind() == io::ErrorKind::BrokenPipe);
        // The caller reports the error: it is not reported again when the rest is flushed.
        self.0.ended |= matches!(&result, Err(e) if e.kind() != io::ErrorKind::Interrupted);
        result
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.0.to.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.0.to.flush();
        self.note(result)
    }
}

/// The pager from the environment: `PAGER`, or less; none if that is empty or `cat`, or the terminal is dumb.
fn pager() -> Option<String> {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let named = std::env::var("PAGER").unwrap_or_else(|_| "less".into());
    Some(named).filter(|name| !dumb && !["", "cat"].contains(&name.trim()))
}

/// Rows and columns of the terminal that stdout is, or the usual ones if it does not report them.
fn size_of_stdout() -> (usize, usize) {
    let size = terminal::size(io::stdout());
    size.map_or(SIZE, |size| (size.rows.unwrap_or(SIZE.0), size.columns.unwrap_or(SIZE.1)))
}

pub(super) fn paint(on: bool, code: &str, text: &str) -> String {
    if on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
}
