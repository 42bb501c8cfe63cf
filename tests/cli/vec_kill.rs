//! Killed at every call that changes something, and at every one of the recovery after it: a persistent vector is that
//! of the last commit, or that of the one in flight, whole.

use super::case::{Case, Ran, finish, program};
use super::trace::needs_strace;

/// Calls that change files, or the order in which changes reach the disk.
const CALLS: [&str; 6] = ["pwrite64", "write", "ftruncate", "fallocate", "fdatasync", "fsync"];

struct Scene {
    /// Elements before, as text.
    before: Vec<u64>,
    words: &'static str,
    after: Vec<u64>,
}

impl Scene {
    fn case(&self) -> Case {
        let case = Case::new();
        case.ok("vec create v --type u64");
        let text: String = self.before.iter().map(|n| format!("{n}\n")).collect();
        case.write("numbers", text.as_bytes());
        case.ok("vec import v numbers");
        case
    }

    /// Runs the command, killed at entry of the `n`th `call`; whether there was one.
    fn kill(&self, case: &Case, words: &str, call: &str, n: usize) -> bool {
        let ran = inject(case, words, call, &format!("signal=SIGKILL:when={n}"));
        let killed = ran.signal == Some(9) || ran.code == Some(137);
        assert!(killed || ran.code == Some(0), "{call} {n}: {ran:?}");
        killed
    }

    /// Each call fails once, as on a disk that is full or breaks.
    fn fail(&self) {
        if !needs_strace() {
            return;
        }
        let mut failures = 0;
        for (call, error) in
            [("fallocate", "ENOSPC"), ("pwrite64", "ENOSPC"), ("fdatasync", "EIO"), ("ftruncate", "EIO")]
        {
            for n in 1.. {
                let case = self.case();
                let what = format!("{}, {error} from {call} {n}", self.words);
                let ran = inject(&case, self.words, call, &format!("error={error}:when={n}"));
                let told = ran.code == Some(2);
                assert!(told || ran.code == Some(0), "{what}: {ran:?}");
                if !told {
                    break;
                }
                failures += 1;
                let found = self.check(&case, &what);
                assert!(call != "fallocate" || found == self.before, "{what}: something was changed");
                case.ok("vec push v 5");
                assert_eq!(case.ok("vec pop v").out, "5\n", "{what}");
                assert!(self.check(&case, &what) == found);
            }
        }
        assert!(failures > 5, "{}: {failures} failures", self.words);
    }

    /// Reads, without writing, and finds one of the two.
    fn check(&self, case: &Case, what: &str) -> Vec<u64> {
        let ran: Ran = case.run(["vec", "dump", "v"]);
        assert!(ran.code == Some(0), "{what}: {ran:?}");
        let found: Vec<u64> = ran.out.lines().map(|line| line.parse().unwrap()).collect();
        assert!(found == self.before || found == self.after, "{what}: neither the last commit nor the new one");
        found
    }

    fn run(&self) {
        if !needs_strace() {
            return;
        }
        let (mut kills, mut recovered, mut news) = (0, 0, 0);
        for call in CALLS {
            for n in 1.. {
                let case = self.case();
                let what = format!("{} killed at {call} {n}", self.words);
                if !self.kill(&case, self.words, call, n) {
                    break;
                }
                kills += 1;
                let found = self.check(&case, &what);
                news += usize::from(found == self.after);
                recovered += self.kill_recovery(&case, &found, &what);
                // And it goes on: one more element at the end.
                case.ok("vec push v 5");
                assert_eq!(case.ok("vec pop v").out, "5\n", "{what}");
                assert!(self.check(&case, &what) == found);
                assert_eq!(case.read("v").len(), 4096 + found.len() * 8, "{what}");
            }
        }
        let words = self.words;
        eprintln!("{words}: {kills} kills, {news} after the commit point; {recovered} more in recoveries");
        assert!(kills > 5 && news > 0 && news < kills, "{words}: {kills} kills, {news} after the commit point");
    }

    /// Kills the next writer at each of its calls, from the same wreck.
    fn kill_recovery(&self, case: &Case, found: &[u64], what: &str) -> usize {
        let wreck = case.read("v");
        let mut kills = 0;
        for call in ["pwrite64", "ftruncate", "fdatasync"] {
            for n in 1.. {
                case.write("v", &wreck);
                // A change of nothing: only the recovery writes.
                if !self.kill(case, "vec pop v -n 0", call, n) {
                    break;
                }
                kills += 1;
                let now = self.check(case, &format!("{what}, its recovery at {call} {n}"));
                assert!(now == found, "{what}: what was there is gone after a kill at {call} {n}");
            }
        }
        case.write("v", &wreck);
        kills
    }
}

/// Runs the program with a fault in one of its system calls.
fn inject(case: &Case, words: &str, call: &str, fault: &str) -> Ran {
    let (trace, fault) = (format!("trace={call}"), format!("inject={call}:{fault}"));
    let mut command = case.command("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &fault]);
    finish(command.arg(program()).args(words.split(' ')))
}

fn numbers(len: u64) -> Vec<u64> {
    (0..len).map(|n| n * 0x0101_0101_0101).collect()
}

#[test]
fn push() {
    let before = numbers(700);
    let after = [&before[..], &[1, 2, 3]].concat();
    let scene = Scene { before, words: "vec push v 1 2 3", after };
    scene.run();
    scene.fail();
}

#[test]
fn commit_over_elements() {
    let before = numbers(1500);
    let mut after = before.clone();
    after[510..514].copy_from_slice(&[9, 8, 7, 6]);
    let scene = Scene { before, words: "vec set v 510 9 8 7 6", after };
    scene.run();
    scene.fail();
}

#[test]
fn shrink() {
    let before = numbers(1500);
    let after = before[..600].to_vec();
    Scene { before, words: "vec truncate v 600", after }.run();
}
