//! Where a command can be stopped: its system calls, counted as strace counts them.
//!
//! `when=N` means the Nth call of that name by one thread: each name, and each thread, has a count of its own. So a
//! point is a name and a number. Two threads that make the same call would share its numbers, and the calls of the
//! slower one could not be reached: where that matters, it is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::case::{Case, finish};
use crate::trace::Subject;
use crate::util::nightly;

/// What a harness found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// How often the command was stopped.
    pub(crate) points: usize,
    /// What did not hold.
    pub(crate) failures: Vec<String>,
}

impl Findings {
    pub(crate) fn add(&mut self, other: Findings) {
        self.points += other.points;
        self.failures.extend(other.failures);
    }

    /// Counts a point, and what was wrong there.
    pub(crate) fn note(&mut self, what: impl fmt::Display, result: Result<(), String>) {
        self.points += 1;
        self.failures.extend(result.err().map(|why| format!("{what}: {why}")));
    }

    #[track_caller]
    pub(crate) fn must_be_none(&self) {
        let few: Vec<_> = self.failures.iter().take(20).map(String::as_str).collect();
        assert!(few.is_empty(), "{} of {} points:\n{}", self.failures.len(), self.points, few.join("\n"));
    }
}

/// The `nth` call of this name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) call: String,
    pub(crate) nth: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.call, self.nth)
    }
}

/// The calls of a command, by one run of it.
pub(crate) struct Calls {
    /// How often a thread makes it, at most; and how often before main, where the loader and the runtime are at work.
    counts: BTreeMap<String, (usize, usize)>,
    /// Made by more than one thread.
    shared: BTreeSet<String>,
    /// How the command ended.
    pub(crate) code: Option<i32>,
}

/// The first thing that main does.
const MAIN: &str = "rt_sigaction(SIGXFSZ, {";

impl Calls {
    /// Runs the command to its end, and counts its calls that are in `set`.
    pub(crate) fn of(subject: &Subject, case: &Case, words: &str, set: &str) -> Calls {
        let (log, trace) = (tempfile::NamedTempFile::new().unwrap(), format!("trace={set},rt_sigaction"));
        let mut strace = subject.strace(case, &["-o", log.path().to_str().unwrap(), "-e", &trace], words);
        let code = finish(&mut strace).code;
        let known: BTreeSet<&str> = set.split(',').map(|name| name.trim_start_matches('?')).collect();
        let mut by_thread: BTreeMap<(String, &str), usize> = BTreeMap::new();
        let mut before = BTreeMap::new();
        let text = String::from_utf8_lossy(&std::fs::read(log.path()).unwrap()).into_owned();
        for line in text.lines() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let call = call.trim_start();
            if call.starts_with(MAIN) {
                before = by_thread.iter().map(|((name, _), n)| (name.clone(), *n)).collect();
            }
            // Neither the second half of a call, nor a signal, nor one that strace has no name for.
            let Some((name, _)) = call.split_once('(') else { continue };
            if known.contains(name) {
                *by_thread.entry((name.into(), thread)).or_default() += 1;
            }
        }
        let mut calls = Calls { counts: BTreeMap::new(), shared: BTreeSet::new(), code };
        for ((name, _), n) in by_thread {
            let skipped = before.get(&name).copied().unwrap_or(0);
            match calls.counts.get_mut(&name) {
                Some((most, _)) => {
                    *most = n.max(*most);
                    calls.shared.insert(name);
                }
                None => drop(calls.counts.insert(name, (n, skipped))),
            }
        }
        calls
    }

    /// Every call, of the program and of what brings it to its feet.
    pub(crate) fn all(&self) -> Vec<Point> {
        self.points(|_| 1)
    }

    /// Every call from main on.
    pub(crate) fn of_main(&self) -> Vec<Point> {
        self.points(|before| before + 1)
    }

    fn points(&self, first: impl Fn(usize) -> usize) -> Vec<Point> {
        let of = |(call, (most, before)): (&String, &(usize, usize))| {
            let call = call.clone();
            (first(*before)..=*most).map(move |nth| Point { call: call.clone(), nth }).collect::<Vec<_>>()
        };
        self.counts.iter().flat_map(of).collect()
    }

    /// Fails if several threads made the same call, so that no kill can be counted to it.
    pub(crate) fn shared(&self) -> Result<(), String> {
        match self.shared.is_empty() {
            true => Ok(()),
            false => Err(format!("made by several threads, so that not all can be reached: {:?}", self.shared)),
        }
    }
}

/// One of `step`, beginning with number `from`; all of them at full size.
pub(crate) fn sample<T>(all: Vec<T>, step: usize, from: usize) -> Vec<T> {
    if nightly() {
        return all;
    }
    all.into_iter().skip(from % step).step_by(step).collect()
}

/// As many as `most` of them, evenly, beginning at a place that `from` shifts; all of them at full size.
pub(crate) fn few<T>(all: Vec<T>, most: usize, from: usize) -> Vec<T> {
    let step = all.len().div_ceil(most).max(1);
    sample(all, step, from)
}
