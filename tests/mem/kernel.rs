//! What the kernel does behind our back: pages go to the swap and come back, equal pages become one. In processes of
//! their own, and as root, as system-wide settings are changed for it and restored.
#![allow(unsafe_code, reason = "advice about memory")]

use std::path::PathBuf;
use std::process::Command;

use memsnap::mem::{CowView, Snapshot};
use rustix::mm::{Advice, madvise};

use super::ground::{methods, noise, skip, with};
use super::history::{Model, Step, agree};
use super::process::alone;
use super::util::chmod;

const PAGE: usize = 4096;
const PAGES: usize = 64;

fn runs(command: &str, argument: &PathBuf) -> bool {
    Command::new(command).arg(argument).output().is_ok_and(|done| done.status.success())
}

/// A swap of some MiB; taken away when dropped.
struct Swap(PathBuf);

impl Swap {
    fn on(dir: &tempfile::TempDir) -> Option<Swap> {
        let path = dir.path().join("swap");
        std::fs::write(&path, vec![0; 32 << 20]).unwrap();
        chmod(&path, 0o600);
        (runs("mkswap", &path) && runs("swapon", &path)).then(|| Swap(path))
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        runs("swapoff", &self.0);
    }
}

fn advise(view: &mut CowView<'_>, advice: Advice) -> std::io::Result<()> {
    let (start, len) = (view.as_mut_ptr(), view.len());
    // SAFETY: the whole pages of a view; none of the advice given here changes what they hold.
    Ok(unsafe { madvise(start.cast(), len, advice) }?)
}

/// KiB of this process that are in the swap.
fn swapped() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSwap:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn a_history_with(mut between: impl FnMut(&mut CowView<'_>)) {
    for tracking in methods() {
        for snapshot in [Snapshot::zeroed(PAGES * PAGE), Snapshot::from_slice(&noise(1, PAGES * PAGE))] {
            let snapshot = snapshot.unwrap();
            let mut view = snapshot.view_with(&with(tracking)).unwrap();
            let mut model = Model::new(&snapshot);
            for step in [
                Step::Write { at: 0, len: 40 * PAGE, byte: 1 },
                Step::Snap,
                Step::Write { at: 10 * PAGE, len: 20 * PAGE, byte: 2 },
                Step::Write { at: 30 * PAGE, len: 10 * PAGE, byte: 0 },
                Step::Snap,
                Step::Write { at: 15 * PAGE, len: 10 * PAGE, byte: 0 },
                Step::Apply,
                Step::Revert,
                Step::Write { at: 50 * PAGE, len: 9 * PAGE, byte: 0 },
                Step::Revert,
            ] {
                step.take(&mut view, &mut model);
                between(&mut view);
                agree(&view, &model);
            }
        }
    }
}

#[test]
fn pages_go_to_the_swap() {
    if !rustix::process::geteuid().is_root() {
        return skip("not root: no swap can be made");
    }
    if !alone("kernel::pages_go_to_the_swap") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(_swap) = Swap::on(&dir) else { return skip("no swap can be made here") };
    let mut most = 0;
    a_history_with(|view| {
        advise(view, Advice::LinuxPageOut).unwrap();
        most = most.max(swapped());
    });
    assert!(most >= ((20 * PAGE) >> 10) as u64, "only {most} KiB went to the swap");
}

const KSM: &str = "/sys/kernel/mm/ksm";

/// A system-wide setting; restored when dropped.
struct Set(&'static str, String);

impl Set {
    fn to(name: &'static str, value: &str) -> std::io::Result<Set> {
        let path = format!("{KSM}/{name}");
        let before = std::fs::read_to_string(&path)?;
        std::fs::write(&path, value)?;
        Ok(Set(name, before))
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        let _ = std::fs::write(format!("{KSM}/{}", self.0), self.1.trim());
    }
}

/// Pages of zeros that were written become the page of zeros, which was never written.
#[test]
fn equal_pages_become_one() {
    if !rustix::process::geteuid().is_root() {
        return skip("not root: KSM cannot be set");
    }
    if !alone("kernel::equal_pages_become_one") {
        return;
    }
    let settings = [("use_zero_pages", "1"), ("sleep_millisecs", "1"), ("pages_to_scan", "10000"), ("run", "1")];
    let set: Result<Vec<Set>, _> = settings.into_iter().map(|(name, value)| Set::to(name, value)).collect();
    let _set = match set {
        Ok(set) => set,
        Err(e) => return skip(&format!("no KSM here: {e}")),
    };
    let scans = || std::fs::read_to_string(format!("{KSM}/full_scans")).unwrap().trim().parse::<u64>().unwrap();
    let zeros = || std::fs::read_to_string(format!("{KSM}/ksm_zero_pages")).map_or(0, |n| n.trim().parse().unwrap());
    let mut most: u64 = 0;
    a_history_with(|view| {
        advise(view, Advice::LinuxMergeable).unwrap();
        let begun = scans();
        while scans() < begun + 3 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        most = most.max(zeros());
    });
    assert!(most >= 10, "only {most} pages became the page of zeros");
}
