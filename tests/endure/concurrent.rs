//! Eight processes at once, with all verbs, on the same target and on different targets of one store: each succeeds or
//! reports that the store is busy, none waits forever, and the result is that of some serial order.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::case::{Case, Ran, start};
use super::serial::{Act, image, stamp_of};
use super::util::{Dice, by_size};

const WORKERS: u64 = 8;
/// All work on the first; the others are there to be disturbed.
const TARGETS: [&str; 3] = ["all", "some", "few"];
/// Longer than anything takes, on a computer that is busy with other things.
const LIMIT: Duration = Duration::from_secs(120);

/// What runs: process id, since when, what.
type Running = Mutex<BTreeMap<u64, (u32, Instant, String)>>;

/// One of eight.
struct Worker<'a> {
    case: &'a Case,
    number: u64,
    dice: Dice,
    running: &'a Running,
    stamps: &'a AtomicU64,
    acts: Vec<Act>,
}

impl Worker<'_> {
    fn run(&self, words: &[&str]) -> Ran {
        let mut command = self.case.memsnap(["--store", "store", "--json"]);
        command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped());
        let what: String = words.join(" ").chars().take(100).collect();
        let child = start(&mut command);
        self.running.lock().unwrap().insert(self.number, (child.id(), Instant::now(), what.clone()));
        let output = child.wait_with_output().unwrap();
        self.running.lock().unwrap().remove(&self.number);
        Ran::of(output, what)
    }

    /// Does one thing; it must end as it may.
    fn act(&mut self) {
        let target = TARGETS[[0, 0, 0, 0, 1, 2][self.dice.roll(6)]];
        let known = self.acts.iter().filter(|act| act.target == target).filter_map(|act| act.snapshot());
        let known: Vec<u64> = known.map(|(number, _)| number).collect();
        let number = if known.is_empty() { 1 } else { known[self.dice.roll(known.len())] };
        let at = format!("{target}@{number}");
        let wait = ["0", "1", "30"][self.dice.roll(3)];
        let stamp = self.stamps.fetch_add(1, Ordering::Relaxed);
        let mut written = None;
        let verb = self.dice.roll(20);
        let ran = match verb {
            0..4 => self.run(&["snap", "--always", "--require", "none", "--wait", wait, target]),
            4 => self.run(&["snap", "--require", "none", "--tag", &format!("t{stamp}"), "--wait", wait, target]),
            5..9 => {
                written = Some(stamp);
                let bytes: String = image(stamp).iter().map(|byte| format!("{byte:02x}")).collect();
                self.run(&["edit", "--yes", "--wait", wait, target, "--at", "0", "--hex", &bytes])
            }
            9..11 => self.run(&["revert", "--yes", "--wait", wait, &at]),
            11..13 => self.run(&["undo", "--yes", "--wait", wait, target]),
            13 => self.run(&["recover", "--yes", "--wait", wait, target]),
            14 => self.run(&["diff", &at, target]),
            15 => self.run(&["diff", &format!("{target}@1..latest")]),
            16 => self.run(&["log", target]),
            17 => self.run(&["stat", target]),
            18 => self.run(&["verify", target]),
            _ => self.restore(&at),
        };
        let legitimate = match ran.code {
            Some(0) => true,
            Some(1) => matches!(verb, 14 | 15), // they differ
            Some(75) => ran.err.contains("busy"),
            // What it shows is what it writes over: no other change may have come between.
            Some(2) => written.is_some() && ran.err.contains("not what it was when the edits were made"),
            _ => false,
        };
        assert!(legitimate, "a verdict that may not be: {ran:?}");
        self.acts.push(Act { target, written, ran });
    }

    /// What is stored is whole, while others write.
    fn restore(&self, at: &str) -> Ran {
        let out = format!("out-{}", self.number);
        let ran = self.run(&["restore", "--force", "--yes", at, "-o", &out]);
        if ran.code == Some(0) {
            assert!(stamp_of(&self.case.read(&out)).is_some(), "{at} is torn: {ran:?}");
        }
        ran
    }
}

/// Ends what has not ended by itself; gives the list of it when all is over.
fn watch(running: &Running, over: &AtomicBool) -> Vec<String> {
    let mut hung = Vec::new();
    while !over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(100));
        for (pid, since, what) in running.lock().unwrap().values() {
            if since.elapsed() > LIMIT {
                hung.push(format!("{what} (process {pid})"));
                let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
            }
        }
    }
    hung
}

#[test]
fn eight_processes_at_once() {
    let each = by_size(12, 30, 10_000 / WORKERS);
    let case = Case::new();
    let stamps = AtomicU64::new(1);
    for target in TARGETS {
        case.write(target, &image(0));
        case.ok(&format!("--store store snap {target}"));
        let byte = image(stamps.fetch_add(1, Ordering::Relaxed));
        case.write("patch", &byte);
        case.ok(&format!("--store store edit -q --yes {target} --at 0 --from patch"));
    }
    let (running, over) = (Running::default(), AtomicBool::new(false));
    let began = Instant::now();
    let (acts, hung) = thread::scope(|scope| {
        let work = |number: u64| {
            let (case, running, stamps) = (&case, &running, &stamps);
            scope.spawn(move || {
                let dice = Dice(0x9E37_79B9_7F4A_7C15 ^ (number + 1));
                let mut worker = Worker { case, number, dice, running, stamps, acts: Vec::new() };
                (0..each).for_each(|_| worker.act());
                worker.acts
            })
        };
        let watchdog = scope.spawn(|| watch(&running, &over));
        let workers: Vec<_> = (0..WORKERS).map(work).collect();
        let ended: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        over.store(true, Ordering::Relaxed);
        (ended, watchdog.join().unwrap())
    });
    assert!(hung.is_empty(), "these did not end: {hung:#?}");
    let acts: Vec<Act> = acts.into_iter().flat_map(|ended| ended.expect("see above")).collect();
    let done = acts.iter().filter(|act| act.ran.code == Some(0)).count();
    eprintln!("{} operations, {done} done, the others were busy; {:.1?}", acts.len(), began.elapsed());
    assert!(done > acts.len() / 4, "nearly all were busy");
    for (i, target) in TARGETS.into_iter().enumerate() {
        let acts: Vec<&Act> = acts.iter().filter(|act| act.target == target).collect();
        super::serial::check(&case, target, i as u64 + 1, &acts);
    }
    case.ok("--store store verify").shows("all good");
    super::serial::no_leftovers(&case.path("store"));
}
