//! Work on many threads, with results taken in any order ([`spread`]) or in that of the jobs ([`in_order`]).

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::error::{Error, Result};

/// Most threads that are used.
const MOST_WORKERS: usize = 8;

/// The number of threads for long work.
pub(crate) fn workers() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MOST_WORKERS)
}

/// Runs `work` on `n` threads, this one among them, or on as many as can be started; returns the first error.
pub(crate) fn spread(n: usize, work: &(dyn Fn() -> Result<()> + Sync)) -> Result<()> {
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..n).map_while(start).collect();
        let mine = work();
        others.into_iter().fold(mine, |all, other| {
            let done = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.and(done)
        })
    })
}

/// Runs jobs on `n` threads, or on as many as can be started: `next` returns them one at a time, `worker` makes the
/// closure that runs them on one thread, and `take` gets the results on this thread, in the order of the jobs. At most
/// `ahead` results for each thread wait to be taken.
///
/// # Errors
/// The first of `next`, the worker or `take`, which ends the work; when no thread can be started (`path` is for the
/// message).
pub(crate) fn in_order<J, T, W>(
    (n, ahead): (usize, u64),
    path: &Path,
    next: impl FnMut() -> Result<Option<J>> + Send,
    worker: impl Fn() -> W + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()>
where
    T: Send,
    W: FnMut(J) -> Result<T>,
{
    let order = Order::new(ahead * n as u64);
    let feed = Mutex::new((0, next));
    let job = || {
        let (number, next) = &mut *feed.lock().unwrap_or_else(PoisonError::into_inner);
        let job = next()?;
        *number += u64::from(job.is_some());
        Ok(job.map(|job| (*number - 1, job)).ok_or(*number))
    };
    let run = || {
        let _guard = StopOnPanic(&order);
        let mut work = worker();
        loop {
            let done = match job() {
                Ok(Ok((number, job))) => work(job).map(|result| order.give(number, result)),
                Ok(Err(total)) => return order.end(total),
                Err(e) => Err(e),
            };
            match done {
                Ok(true) => {}
                Ok(false) => return,
                Err(e) => return order.stop(Some(e)),
            }
        }
    };
    thread::scope(|scope| {
        for started in 0..n {
            // One is sufficient.
            if let Err(e) = thread::Builder::new().spawn_scoped(scope, run) {
                if started == 0 {
                    return Err(Error::Thread { path: path.into(), source: e });
                }
                break;
            }
        }
        let result = loop {
            match order.take() {
                Ok(Some(result)) => {
                    if let Err(e) = take(result) {
                        break Err(e);
                    }
                }
                Ok(None) => break Ok(()),
                Err(e) => break Err(e),
            }
        };
        order.stop(None);
        result
    })
}

/// Results by number, passed on in order; a thread that is too far ahead waits.
struct Order<T> {
    state: Mutex<State<T>>,
    moved: Condvar,
    depth: u64,
}

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
    fn new(depth: u64) -> Order<T> {
        let state = State { next: 0, done: BTreeMap::new(), total: None, error: None, stopped: false };
        Order { state: Mutex::new(state), moved: Condvar::new(), depth }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.moved.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on result `number`; false when no more are wanted.
    fn give(&self, number: u64, result: T) -> bool {
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
    fn end(&self, total: u64) {
        self.lock().total = Some(total);
        self.moved.notify_all();
    }

    /// No more are wanted; the first error counts.
    fn stop(&self, error: Option<Error>) {
        let mut state = self.lock();
        state.stopped = true;
        state.error = state.error.take().or(error);
        self.moved.notify_all();
    }

    /// The next result; `None` after the last.
    fn take(&self) -> Result<Option<T>> {
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

/// Stops the others when the thread that holds it panics, so that none waits forever.
struct StopOnPanic<'a, T>(&'a Order<T>);

impl<T> Drop for StopOnPanic<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn error(what: &str) -> Error {
        Error::damaged(Path::new("f"), what)
    }

    /// Runs `jobs` jobs on `n` threads, of which job `bad` fails: the results that were taken.
    fn run(n: usize, jobs: u64, bad: u64, refused: u64) -> (Vec<u64>, Result<()>) {
        let (mut next, mut taken) = (0, Vec::new());
        let feed = || {
            next += 1;
            Ok((next <= jobs).then_some(next - 1))
        };
        let worker = || move |job| if job == bad { Err(error("worker")) } else { Ok(job * 2) };
        let take = |result| {
            taken.push(result / 2);
            if result / 2 == refused { Err(error("taker")) } else { Ok(()) }
        };
        let done = in_order((n, 2), Path::new("f"), feed, worker, take);
        (taken, done)
    }

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        for (n, jobs) in [(1, 0), (1, 5), (4, 3), (4, 1000)] {
            let (taken, done) = run(n, jobs, u64::MAX, u64::MAX);
            done.unwrap();
            assert_eq!(taken, (0..jobs).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_ends_it() {
        let (taken, done) = run(3, 1000, 500, u64::MAX);
        assert!(done.unwrap_err().to_string().contains("worker") && taken.len() <= 500);
        let (taken, done) = run(3, 1000, u64::MAX, 500);
        assert!(done.unwrap_err().to_string().contains("taker") && taken.len() == 501);
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let caught = std::panic::catch_unwind(|| {
            let mut next = 0..9;
            let worker = || |job: u64| if job == 4 { panic!("of a job") } else { Ok(job) };
            in_order((2, 1), Path::new("f"), || Ok(next.next()), worker, |_| Ok(()))
        });
        assert!(caught.is_err());
    }

    #[test]
    fn every_thread_works_and_the_first_error_stays() {
        let sum = AtomicU64::new(0);
        let each = || {
            sum.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        spread(4, &each).unwrap();
        assert_eq!(sum.into_inner(), 4);
        assert!(spread(4, &|| Err(error("all"))).is_err());
    }
}
