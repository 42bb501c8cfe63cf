//! Work on many threads, with results taken in any order ([`spread`]) or in that of the jobs ([`in_order`]).

use std::num::NonZero;
use std::path::Path;
use std::sync::{Mutex, PoisonError, mpsc};
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
    (n, ahead): (usize, usize),
    path: &Path,
    next: impl FnMut() -> Result<Option<J>> + Send,
    worker: impl Fn() -> W + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()>
where
    T: Send,
    W: FnMut(J) -> Result<T>,
{
    // A channel for each result, queued in the order of the jobs.
    let (queue, results) = mpsc::sync_channel::<mpsc::Receiver<Result<T>>>((ahead + 1) * n);
    let next = Mutex::new(next);
    let run = |queue: mpsc::SyncSender<_>| {
        let mut work = worker();
        loop {
            let (sender, result) = mpsc::sync_channel(1);
            let job = {
                // Locked until the result is queued, for the order.
                let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(job) = next().transpose() else { return };
                if queue.send(result).is_err() {
                    return; // no more are wanted
                }
                job
            };
            let done = job.and_then(&mut work);
            let failed = done.is_err();
            if sender.send(done).is_err() || failed {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let run = &run;
        for started in 0..n {
            let queue = queue.clone();
            // One is sufficient.
            if let Err(e) = thread::Builder::new().spawn_scoped(scope, move || run(queue)) {
                if started == 0 {
                    return Err(Error::Thread { path: path.into(), source: e });
                }
                break;
            }
        }
        drop(queue);
        for result in results {
            // A thread that panicked sends nothing; the scope panics too.
            let Ok(done) = result.recv() else { break };
            take(done?)?;
        }
        Ok(())
    })
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
