//! Work done by many threads, taken in order by one.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// Results by their number, handed over in order; whoever is too far ahead waits.
#[derive(Debug)]
pub(crate) struct Order<T> {
    state: Mutex<State<T>>,
    moved: Condvar,
    depth: u64,
}

#[derive(Debug)]
struct State<T> {
    next: u64,
    done: BTreeMap<u64, T>,
    /// Number of results there will be, once it is known.
    total: Option<u64>,
    error: Option<Error>,
    stopped: bool,
}

impl<T> Order<T> {
    /// At most `depth` results wait to be taken.
    pub(crate) fn new(depth: u64) -> Order<T> {
        let state = State { next: 0, done: BTreeMap::new(), total: None, error: None, stopped: false };
        Order { state: Mutex::new(state), moved: Condvar::new(), depth }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.moved.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over result `number`; false when nobody wants more.
    pub(crate) fn give(&self, number: u64, result: T) -> bool {
        let mut state = self.lock();
        while number >= state.next + self.depth && !state.stopped {
            state = self.wait(state);
        }
        if state.stopped {
            return false;
        }
        state.done.insert(number, result);
        self.moved.notify_all();
        true
    }

    /// There will be `total` results.
    pub(crate) fn end(&self, total: u64) {
        self.lock().total = Some(total);
        self.moved.notify_all();
    }

    /// Nothing more is wanted; the first error stays.
    pub(crate) fn stop(&self, error: Option<Error>) {
        let mut state = self.lock();
        state.stopped = true;
        state.error = state.error.take().or(error);
        self.moved.notify_all();
    }

    /// The next result; `None` after the last.
    pub(crate) fn take(&self) -> Result<Option<T>> {
        let mut state = self.lock();
        loop {
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            let number = state.next;
            if let Some(result) = state.done.remove(&number) {
                state.next += 1;
                self.moved.notify_all();
                return Ok(Some(result));
            }
            if state.stopped || state.total == Some(number) {
                return Ok(None);
            }
            state = self.wait(state);
        }
    }
}

/// Stops the others when the thread that holds it panics, so that none waits for ever.
#[derive(Debug)]
pub(crate) struct Alarm<'a, T>(pub(crate) &'a Order<T>);

impl<T> Drop for Alarm<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop(None);
        }
    }
}
