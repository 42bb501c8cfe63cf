//! Killed (-9) at moments that have nothing to do with system calls, for a long time, in one long-lived directory; an
//! oracle knows what may be there afterwards.
//!
//! `MEMSNAP_KILLS=n` sets how many kills; the seed is fixed, the moments are not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::case::{Case, PAGE, noise, start};
use crate::directory::in_memory;
use crate::util::{Dice, by_size};

/// So many kills in one directory; then a new one, or its history would outgrow what is asked here.
const LIFE: usize = 500;
/// So often all that is stored is looked at.
const LOOK: usize = 100;

/// A directory, and what must be in it.
struct World<'a> {
    case: Case,
    dice: &'a mut Dice,
    live: Vec<u8>,
    /// Of every snapshot, by id, what it holds.
    stored: BTreeMap<String, Vec<u8>>,
    /// What the last change led from and to.
    last: Option<(Vec<u8>, Vec<u8>)>,
    /// What `out` holds.
    out: Option<Vec<u8>>,
    /// How long a command of this verb takes.
    times: BTreeMap<&'static str, Duration>,
    kills: usize,
    commands: usize,
}

/// A command, and what the file (or, of a restore, `out`) holds after it.
struct Op {
    verb: &'static str,
    words: String,
    after: Vec<u8>,
}

impl World<'_> {
    fn new(case: Case, dice: &mut Dice) -> World<'_> {
        let live = noise(1, 40 * PAGE);
        case.write("f", &live);
        case.ok("snap f");
        let mut world = World {
            case,
            dice,
            live,
            stored: BTreeMap::new(),
            last: None,
            out: None,
            times: BTreeMap::new(),
            kills: 0,
            commands: 0,
        };
        world.learn(&[]).unwrap();
        world
    }

    /// A snapshot, at random.
    fn any(&mut self) -> Option<(String, Vec<u8>)> {
        if self.stored.is_empty() {
            return None;
        }
        let n = self.dice.roll(self.stored.len());
        self.stored.iter().nth(n).map(|(id, image)| (id.clone(), image.clone()))
    }

    /// Another program writes into the file, between two commands.
    fn touch(&mut self) {
        for _ in 0..self.dice.roll(4) {
            let len = self.live.len();
            match self.dice.roll(8) {
                0 => self.live.truncate(len.saturating_sub(self.dice.roll(3 * PAGE)).max(PAGE)),
                1 => self.live.resize((len + self.dice.roll(3 * PAGE)).min(60 * PAGE), 7),
                _ => {
                    let at = self.dice.roll(len / PAGE) * PAGE;
                    let seed = self.dice.roll(1 << 30) as u64;
                    let n = PAGE.min(len - at);
                    self.live[at..at + n].copy_from_slice(&noise(seed, n));
                }
            }
        }
        let (case, live) = (&self.case, &self.live);
        case.patch("f", 0, live);
        case.set_len("f", live.len() as u64);
    }

    fn next(&mut self) -> Op {
        let same = self.live.clone();
        let op = |verb, words: String, after| Op { verb, words, after };
        let some = self.any();
        match (self.dice.roll(8), some) {
            (0, Some((id, image))) => op("revert", format!("revert --yes f@{id}"), image),
            (1, Some((id, image))) => op("restore", format!("restore f@{id} --force --yes -o out"), image),
            (2, _) => {
                let (at, value) = (self.dice.roll(same.len() - 9), self.dice.roll(256));
                let mut after = same;
                after[at..at + 4].fill(value as u8);
                op("edit", format!("edit --yes f --at {at} --hex {}", format!("{value:02x}").repeat(4)), after)
            }
            (3, Some((id, image))) => self.apply(&id, image),
            (4, _) => op("verify", "verify --repair f".into(), same),
            (5, _) => match self.last.clone().filter(|(_, to)| *to == self.live) {
                Some((from, _)) => op("undo", "undo --yes f".into(), from),
                None => op("snap", "snap f".into(), same),
            },
            _ => op("snap", "snap -m why f".into(), same),
        }
    }

    /// A delta from the file as it is to a snapshot, to be applied.
    fn apply(&mut self, id: &str, image: Vec<u8>) -> Op {
        let _ = std::fs::remove_file(self.case.path("d"));
        self.case.ok("-q snap --require none f");
        self.learn(&[]).unwrap();
        let made = self.case.ok(&format!("delta make f@latest f@{id} -o d"));
        assert!(made.signal.is_none());
        Op { verb: "apply", words: "apply --yes f d".into(), after: image }
    }

    /// Runs it, and kills it after a time within that which it takes.
    fn killed(&mut self, op: &Op) -> Result<bool, String> {
        let usual = self.times.get(op.verb).copied().unwrap_or(Duration::from_millis(6));
        let wait = Duration::from_micros(self.dice.roll(usual.as_micros() as usize + 1) as u64);
        let mut command = self.case.memsnap(op.words.split_whitespace());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let began = Instant::now();
        let mut child = start(&mut command);
        // Sleeping is not exact enough for what takes some milliseconds.
        while began.elapsed() < wait {
            std::thread::yield_now();
        }
        let _ = child.kill();
        let status = child.wait().unwrap();
        self.commands += 1;
        match status.code() {
            None => self.kills += 1,
            Some(0) => drop(self.times.insert(op.verb, (usual + began.elapsed()) / 2)),
            Some(code) => return Err(format!("ended with {code}")),
        }
        Ok(status.code() == Some(0))
    }

    /// One command, killed or not: what is there is what the oracle allows.
    fn step(&mut self) -> Result<String, String> {
        self.touch();
        let op = self.next();
        let fail = |why: String| format!("{}: {why}", op.words);
        let done = self.killed(&op).map_err(fail)?;
        let ran = self.case.run(["recover", "--yes", "f"]);
        if ran.code != Some(0) {
            return Err(fail(format!("{ran:?}")));
        }
        let now = self.case.read("f");
        if op.verb == "restore" {
            let out = std::fs::read(self.case.path("out")).ok();
            let is_new = out.as_ref() == Some(&op.after);
            if now != self.live || !is_new && (done || out != self.out) {
                return Err(fail("neither the old output nor the new one".into()));
            }
            self.out = out;
        } else {
            let is_new = now == op.after;
            if !is_new && (done || now != self.live) {
                return Err(fail("the file is neither old nor new".into()));
            }
            let changes = !["snap", "verify"].contains(&op.verb) && op.after != self.live;
            if is_new && changes {
                self.last = Some((self.live.clone(), now.clone()));
            }
        }
        let old = std::mem::replace(&mut self.live, now);
        self.learn(&[old, op.after.clone()]).map_err(fail)?;
        // Where nothing had changed it is one that was there before.
        if done && op.verb == "snap" && !self.stored.values().any(|image| *image == self.live) {
            return Err(fail("acknowledged, and not there".into()));
        }
        Ok(op.words)
    }

    /// Asks what is stored: all that was, and what came is one of these images, or the file as it is.
    fn learn(&mut self, may: &[Vec<u8>]) -> Result<(), String> {
        let listed = self.case.run(["--json", "log", "f"]);
        if listed.code != Some(0) {
            return Err(format!("{listed:?}"));
        }
        let ids: Vec<String> = listed.json().iter().map(|line| line["id"].as_str().unwrap().into()).collect();
        if let Some(lost) = self.stored.keys().find(|id| !ids.contains(id)) {
            return Err(format!("lost: {lost}"));
        }
        for id in ids.into_iter().filter(|id| !self.stored.contains_key(id)).collect::<Vec<_>>() {
            let image = self.restored(&id)?;
            if image != self.live && !may.contains(&image) {
                return Err(format!("{id} holds neither the old image nor the new one"));
            }
            self.stored.insert(id, image);
        }
        Ok(())
    }

    fn restored(&self, id: &str) -> Result<Vec<u8>, String> {
        let ran = self.case.run(["restore", &format!("f@{id}"), "-o", "-"]);
        if ran.code == Some(0) { Ok(ran.bytes) } else { Err(format!("{ran:?}")) }
    }

    /// Every snapshot is what it was, and nothing lies about.
    fn look(&self) -> Result<(), String> {
        self.case.ok("verify");
        for (id, image) in &self.stored {
            if self.restored(id)? != *image {
                return Err(format!("{id} is not what it was"));
            }
        }
        match self.case.stored("").iter().find(|path| path.to_string_lossy().contains("/tmp-")) {
            Some(left) if self.case.ok("-q snap --require none f").signal.is_none() && left.exists() => {
                Err(format!("left: {}", left.display()))
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn killed_at_any_moment() {
    let set = std::env::var("MEMSNAP_KILLS").ok().map(|n| n.parse().expect("MEMSNAP_KILLS is a number"));
    let wanted: usize = set.unwrap_or(by_size(25, 100, 10_000));
    let (began, mut dice) = (Instant::now(), Dice(0x9e37_79b9_7f4a_7c15));
    let (mut kills, mut commands) = (0, 0);
    while kills < wanted {
        let (_dir, case) = in_memory();
        let mut world = World::new(case, &mut dice);
        let (mut past, mut looked) = (Vec::new(), 0);
        while world.kills < LIFE.min(wanted - kills) {
            match world.step() {
                Ok(words) => past.push(words),
                Err(why) => {
                    panic!("after {} kills: {why}\nbefore it: {:#?}", kills + world.kills, past.iter().rev().take(8))
                }
            }
            if world.kills >= looked + LOOK {
                looked = world.kills;
                world.look().unwrap_or_else(|why| panic!("after {} kills: {why}", kills + looked));
            }
        }
        world.look().unwrap_or_else(|why| panic!("at the end: {why}"));
        (kills, commands) = (kills + world.kills, commands + world.commands);
    }
    eprintln!("random: {kills} kills of {commands} commands, {:.1} s", began.elapsed().as_secs_f64());
}
