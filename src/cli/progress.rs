//! Progress on stderr: a bar on a terminal, unless the work is short; with --progress always, a line each second
//! elsewhere.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use memsnap::ops::Progress;
use memsnap::program::terminal;

use super::units::Sizes;
use super::{escape, units};

/// Work that ends sooner shows no progress.
const QUIET_FOR: Duration = Duration::from_millis(150);
/// Time between two lines without a terminal, across all steps.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// When the last such line was written.
static LINE_AT: Mutex<Option<Instant>> = Mutex::new(None);
/// Columns of a terminal that does not report them.
const COLUMNS: usize = 80;
/// Columns of the narrowest and the widest bar.
const BAR: (usize, usize) = (8, 40);
/// Redraws a second.
const HZ: u8 = 10;

/// The [`Progress`] of this program.
pub(crate) struct Bar {
    shown: bool,
    terminal: bool,
    sizes: Sizes,
    step: Mutex<Option<Step>>,
    /// Bytes not yet added to the step: workers add them here, and only rarely take the lock.
    pending: AtomicU64,
}

struct Step {
    what: String,
    bar: ProgressBar,
    begun: Instant,
    drawn: bool,
}

impl Bar {
    /// Creates one that is `shown`, on a `terminal` or not.
    pub(crate) fn new(shown: bool, terminal: bool, sizes: Sizes) -> Bar {
        Bar { shown, terminal, sizes, step: Mutex::new(None), pending: AtomicU64::new(0) }
    }

    fn with_step(&self, act: impl FnOnce(&mut Option<Step>)) {
        if let Ok(mut step) = self.step.lock() {
            act(&mut step);
        }
    }

    fn draw(&self, step: &mut Step) {
        if !self.terminal {
            if line_is_due() {
                let _ = writeln!(std::io::stderr(), "{}", self.line(step));
            }
        } else if !step.drawn && step.begun.elapsed() >= QUIET_FOR {
            step.drawn = true;
            step.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(HZ));
            tick(&step.bar);
        }
    }

    fn line(&self, step: &Step) -> String {
        let now = Now::of(step.bar.position(), step.bar.length(), step.begun);
        let left = now.left.as_ref().map(|left| format!(", {left}")).unwrap_or_default();
        let speed = self.sizes.show(now.speed);
        format!("{}: {}, {speed}/s{left}", step.what, now.extent(self.sizes))
    }
}

/// Redraws `bar` until it ends, also while no progress is reported. Without a thread, only reports redraw it;
/// indicatif's own ticker would panic.
fn tick(bar: &ProgressBar) {
    let weak = bar.downgrade();
    let redraw = move || {
        while let Some(bar) = weak.upgrade().filter(|bar| !bar.is_finished()) {
            bar.tick();
            drop(bar);
            thread::sleep(Duration::from_millis(1000 / u64::from(HZ)));
        }
    };
    let _ = thread::Builder::new().spawn(redraw);
}

/// True at most once in [`LINE_EVERY`].
fn line_is_due() -> bool {
    let Ok(mut at) = LINE_AT.lock() else { return false };
    let due = at.is_none_or(|at| at.elapsed() >= LINE_EVERY);
    if due {
        *at = Some(Instant::now());
    }
    due
}

/// The state of a step.
struct Now {
    done: u64,
    total: u64,
    speed: u64,
    /// The time left, if it can be estimated.
    left: Option<String>,
}

impl Now {
    fn of(done: u64, total: Option<u64>, begun: Instant) -> Now {
        let total = total.unwrap_or(0);
        let speed = (done as f64 / begun.elapsed().as_secs_f64().max(0.001)) as u64;
        let left = (speed > 0 && total > done).then(|| match (total - done) / speed {
            secs @ 0..10 => format!("{secs} s left"), // an estimate has no hundredths
            secs => format!("{} left", units::duration(Duration::from_secs(secs))),
        });
        Now { done, total, speed, left }
    }

    fn extent(&self, sizes: Sizes) -> String {
        match self.total {
            0 => sizes.show(self.done),
            total => format!("{} of {}", sizes.show(self.done), sizes.show(total)),
        }
    }

    /// One line of at most `width` columns. What does not fit is left out: first the bar, then the time, then the
    /// speed.
    fn fit(&self, what: &str, sizes: Sizes, width: usize) -> String {
        let columns = escape::columns;
        let mut line = self.extent(sizes);
        for part in [Some(format!("{}/s", sizes.show(self.speed))), self.left.clone()].into_iter().flatten() {
            if columns(what) + 2 + columns(&line) + 2 + columns(&part) > width {
                break;
            }
            line += &format!("  {part}");
        }
        let cells = width.saturating_sub(columns(what) + 2 + columns(&line) + 2).min(BAR.1);
        let bar = match self.total {
            total if total > 0 && cells >= BAR.0 => {
                let full = (cells as u128 * u128::from(self.done.min(total)) / u128::from(total)) as usize;
                format!("{}{}  ", "\u{2588}".repeat(full), "\u{2591}".repeat(cells - full))
            }
            _ => String::new(),
        };
        escape::cut(&format!("{what}  {bar}{line}"), width).into()
    }
}

/// Columns of the terminal that stderr is.
fn width() -> usize {
    let size = terminal::size(std::io::stderr()).and_then(|size| size.columns);
    // The last column is left free: some terminals wrap when it is written.
    size.map_or(COLUMNS, |columns| columns - 1)
}

impl Progress for Bar {
    fn begin(&self, what: &str, total_bytes: u64) {
        if !self.shown {
            return;
        }
        self.end();
        let what = escape::text(what);
        let bar = ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::hidden());
        let (begun, sizes, label) = (Instant::now(), self.sizes, what.clone());
        let line = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let now = Now::of(state.pos(), state.len(), begun);
            let _ = out.write_str(&now.fit(&label, sizes, width()));
        };
        if let Ok(style) = ProgressStyle::with_template("{line}") {
            bar.set_style(style.with_key("line", line));
        }
        self.with_step(|step| *step = Some(Step { what, bar, begun, drawn: false }));
    }

    fn advance(&self, bytes: u64) {
        if !self.shown {
            return;
        }
        self.pending.fetch_add(bytes, Ordering::Relaxed);
        // If the lock is taken, the next call adds these bytes.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out() {
        let now = Now { done: 3 << 29, total: 6 << 30, speed: 512 << 20, left: Some("9 s left".into()) };
        let sizes = Sizes { exact: false };
        let fit = |width| now.fit("verifying", sizes, width);
        assert_eq!(fit(49), "verifying  1.5 GiB of 6.0 GiB  512 MiB/s");
        assert_eq!(fit(50).chars().count(), 50);
        assert_eq!(fit(54), "verifying  1.5 GiB of 6.0 GiB  512 MiB/s  9 s left");
        assert_eq!(fit(30), "verifying  1.5 GiB of 6.0 GiB");
        assert_eq!(fit(12), "verifying  1");
        assert!(fit(70).contains("\u{2588}\u{2588}\u{2588}\u{2591}"), "{}", fit(70));
        (0..200).for_each(|width| assert!(fit(width).chars().count() <= width));
        let open = Now { total: 0, left: None, ..now };
        assert_eq!(open.fit("reading", sizes, 50), "reading  1.5 GiB  512 MiB/s");
        (0..90)
            .for_each(|width| assert!(escape::columns(&open.fit("\u{6f22}\u{5b57} e\u{301}", sizes, width)) <= width));
    }
}
