//! The front end as a whole, on streams in memory.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use clap::{CommandFactory, Parser};

use super::common_flags::Global;
use super::exit::Exit;
use super::screen::{Screen, Terminals};
use super::{Cli, escape, fault};

/// A stream that remembers, or fails with this error number.
#[derive(Clone, Default)]
struct Tape(Rc<RefCell<Vec<u8>>>, Option<i32>);

impl Tape {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.1 {
            Some(number) => Err(io::Error::from_raw_os_error(number)),
            None => self.0.borrow_mut().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn screen(out: &Tape, err: &Tape, global: &Global) -> Screen {
    Screen::new(Box::new(out.clone()), Box::new(err.clone()), Terminals::default(), global)
}

#[test]
fn the_tree_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn global_options_go_anywhere() {
    for args in ["--json -q log", "log --json -q", "--store /s log x", "log x --store /s --bytes"] {
        assert!(Cli::try_parse_from(["memsnap"].into_iter().chain(args.split(' '))).is_ok(), "{args}");
    }
}

#[test]
fn refs_may_start_with_a_dash() {
    assert!(Cli::try_parse_from(["memsnap", "revert", "db", "--at", "-1"]).is_ok());
}

#[test]
fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
    let err = Tape::default();
    let mut gone = screen(&Tape(Rc::default(), Some(32)), &err, &Global::default());
    assert!(gone.line("x").is_ok() && gone.line("y").is_ok() && gone.flush().is_ok());
    let mut full = screen(&Tape(Rc::default(), Some(28)), &err, &Global::default());
    let (message, hint) = fault::text(&full.line("x").unwrap_err(), false, None);
    assert_eq!(message, "writing to stdout: No space left on device");
    assert!(!hint.is_empty() && full.line("y").is_ok(), "said once");
}

#[test]
fn nothing_acts_on_a_terminal() {
    let (out, err) = (Tape::default(), Tape::default());
    for json in [false, true] {
        let mut screen = screen(&out, &err, &Global { json, ..Global::default() });
        let bad = "a\x1b]0;x\x07\u{202e}\nb";
        screen.line(bad).unwrap();
        screen.json(&bad).unwrap();
        screen.say(bad);
        screen.warn(bad);
        screen.fail(&anyhow::anyhow!("{bad}"));
        let usage = Cli::try_parse_from(["memsnap", "sn\x1b[1mp"]).map(drop).unwrap_err();
        screen.usage(&usage, Exit::Trouble).unwrap();
    }
    for text in [out.text(), err.text()] {
        assert!(!text.contains(|c| c != '\n' && escape::acts(c)), "{text:?}");
    }
}

#[test]
fn errors_are_json_where_results_are() {
    let (out, err) = (Tape::default(), Tape::default());
    let mut screen = screen(&out, &err, &Global { json: true, ..Global::default() });
    let usage = Cli::try_parse_from(["memsnap", "log", "--nope"]).map(drop).unwrap_err();
    screen.usage(&usage, Exit::Trouble).unwrap();
    screen.warn("careful");
    screen.say("a progress message");
    let lines: Vec<serde_json::Value> = err.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["schema"], "memsnap.error.1");
    assert_eq!(lines[0]["code"], 2);
    assert!(lines[0]["error"].as_str().unwrap().starts_with("unexpected argument '--nope' found"));
    assert_eq!(lines[1]["warning"], "careful");
    assert_eq!(out.text(), "");
}
