//! Progress on stderr: a bar on a terminal, a line now and then elsewhere. Short work shows nothing.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use memsnap::ops::Progress;

use super::units::Sizes;
use super::{escape, units};

/// Work that ends sooner shows no progress.
const QUIET_FOR: Duration = Duration::from_millis(150);
/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Redraws a second.
const HZ: u8 = 10;

/// The [`Progress`] of this program.
pub(crate) struct Bar {
    shown: bool,
    terminal: bool,
    sizes: Sizes,
    step: Mutex<Option<Step>>,
    /// Bytes not yet told to the step: workers add here, and only one in a while takes the lock.
    pending: AtomicU64,
}

struct Step {
    what: String,
    bar: ProgressBar,
    begun: Instant,
    said: Option<Instant>,
}

impl Bar {
    /// One that is `shown`, on a `terminal` or not.
    pub(crate) fn new(shown: bool, terminal: bool, sizes: Sizes) -> Bar {
        Bar { shown, terminal, sizes, step: Mutex::new(None), pending: AtomicU64::new(0) }
    }

    /// Runs `print`, which writes to the same terminal, with the bar out of its way.
    pub(crate) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match self.step.lock() {
            Ok(step) => match step.as_ref() {
                Some(step) => step.bar.suspend(print),
                None => print(),
            },
            Err(_) => print(),
        }
    }

    fn with_step(&self, act: impl FnOnce(&mut Option<Step>)) {
        if let Ok(mut step) = self.step.lock() {
            act(&mut step);
        }
    }

    fn draw(&self, step: &mut Step) {
        let now = Instant::now();
        let due = match step.said {
            None => now - step.begun >= if self.terminal { QUIET_FOR } else { LINE_EVERY },
            Some(said) => !self.terminal && now - said >= LINE_EVERY,
        };
        if !due {
            return;
        }
        step.said = Some(now);
        if self.terminal {
            step.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(HZ));
            step.bar.enable_steady_tick(Duration::from_millis(1000 / u64::from(HZ)));
        } else {
            let _ = writeln!(std::io::stderr(), "{}", self.line(step));
        }
    }

    fn line(&self, step: &Step) -> String {
        let (done, total) = (step.bar.position(), step.bar.length().unwrap_or(0));
        let speed = (done as f64 / step.begun.elapsed().as_secs_f64().max(0.001)) as u64;
        let mut line = format!("{}: {}", step.what, self.sizes.show(done));
        if total > 0 {
            line += &format!(" of {}", self.sizes.show(total));
        }
        line += &format!(", {}/s", self.sizes.show(speed));
        if speed > 0 && total > done {
            line += &format!(", {} left", units::duration(Duration::from_secs((total - done) / speed)));
        }
        line
    }
}

impl Progress for Bar {
    fn begin(&self, what: &str, total_bytes: u64) {
        if !self.shown {
            return;
        }
        self.end();
        let what = escape::text(what);
        let bar = ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::hidden());
        let form = if total_bytes > 0 {
            "{msg}  {wide_bar} {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left"
        } else {
            "{msg}  {spinner} {binary_bytes}  {binary_bytes_per_sec}"
        };
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.set_message(what.clone());
        self.with_step(|step| *step = Some(Step { what, bar, begun: Instant::now(), said: None }));
    }

    fn advance(&self, bytes: u64) {
        if !self.shown {
            return;
        }
        self.pending.fetch_add(bytes, Ordering::Relaxed);
        // Whoever finds the lock taken leaves its bytes to the next one.
        if let Ok(mut step) = self.step.try_lock()
            && let Some(step) = step.as_mut()
        {
            step.bar.inc(self.pending.swap(0, Ordering::Relaxed));
            self.draw(step);
        }
    }

    fn end(&self) {
        self.pending.store(0, Ordering::Relaxed);
        self.with_step(|step| {
            if let Some(step) = step.take() {
                step.bar.finish_and_clear();
            }
        });
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end();
    }
}
