//! What can be interrupted: the directory that is prepared, the command that is stopped somewhere, and what must hold
//! afterwards, wherever it was stopped.

use crate::case::Case;
use crate::leftovers::{is_mixture, temporary_files};

/// A command that writes, and what it works on.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// The command that is stopped.
    pub(crate) words: &'static str,
    pub(crate) ground: fn(&Case),
    /// The file that the command changes or makes.
    pub(crate) watched: &'static str,
    /// Files that it changes, makes or removes with it: all or none.
    pub(crate) beside: &'static [&'static str],
    pub(crate) kind: Kind,
    /// Paths whose history is kept; at any moment one of them has it.
    pub(crate) histories: &'static [&'static str],
    /// Files whose snapshots appear together, or not at all.
    pub(crate) together: &'static [&'static str],
    /// What the same command does when it had been completed.
    pub(crate) again: Again,
}

/// What the watched file holds, and what lies between its two states.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Pages, changed in place: `recover` brings a mixture to one of the two.
    Target,
    /// Made or replaced at once: never anything between.
    Output,
    /// A persistent vector: its elements are those of one commit.
    Vector,
    /// As a target; and the store is damaged until the command ends.
    Damaged,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The same state.
    Same,
    /// Goes on from there: it succeeds, and leaves something else.
    Further,
    /// It is refused with this code.
    Refused(i32),
}

/// What is known of a ground before anything is stopped; it is the same each time it is laid.
pub(crate) struct Known {
    before: State,
    after: State,
    /// What snapshot 1, 2, ... hold.
    kept: Vec<Vec<u8>>,
    snapshots_after: usize,
}

/// What the watched file holds, and those beside it; none where there is no file.
type State = Vec<Option<Vec<u8>>>;

/// On which side of the command the watched file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is as it was, whatever else is there.
    Old,
    /// It is as the command leaves it, and so is the number of snapshots.
    New,
    /// Neither, or unknown.
    Neither,
}

impl Scene {
    /// Lays the ground in an empty directory.
    pub(crate) fn prepare(&self, case: &Case) {
        (self.ground)(case);
    }

    /// Lays the ground once elsewhere, and runs the command to its end.
    pub(crate) fn know(&self) -> Known {
        let case = Case::new();
        self.prepare(&case);
        let before = self.state(&case).unwrap();
        let snapshots = match self.kind {
            Kind::Vector => 0,
            _ if !self.beside.is_empty() => (1..).take_while(|n| self.restored(&case, *n).is_ok()).count(),
            _ => case.snapshots(),
        };
        let restore = |n: usize| self.restored(&case, n).unwrap();
        let kept = if self.kind == Kind::Damaged { Vec::new() } else { (1..=snapshots).map(restore).collect() };
        case.ok(self.words);
        let after = self.state(&case).unwrap();
        let snapshots_after = if self.kind == Kind::Vector { 0 } else { case.snapshots() };
        let kept = if self.kind == Kind::Damaged {
            (1..=snapshots).map(|n| self.restored(&case, n).unwrap()).collect()
        } else {
            kept
        };
        Known { before, after, kept, snapshots_after }
    }

    /// Returns the first thing that is wrong with what the command left. With `acknowledged`, the command had
    /// ended with success. The program that looks is the sound one.
    pub(crate) fn check(&self, case: &Case, known: &Known, acknowledged: bool) -> Result<(), String> {
        if acknowledged {
            self.is_done(case, known)?;
        }
        self.is_old_or_new(case, known)?;
        self.is_whole(case)?;
        if self.kind != Kind::Damaged {
            self.store_is_sound(case)?;
            self.keeps(case, known)?;
        }
        self.goes_on(case, known)?;
        self.store_is_sound(case)?;
        self.keeps(case, known)?;
        // A file takes the place of another by way of a name of its own, which a kill leaves beside it; never in a
        // store.
        let place = if self.kind == Kind::Output { case.path(".memsnap") } else { case.dir().into() };
        let left = temporary_files(&place);
        if left.is_empty() { Ok(()) } else { Err(format!("left: {left:?}")) }
    }

    /// The file that the command changes or makes.
    pub(crate) fn watched(&self) -> &'static str {
        self.watched
    }

    /// On which side of the command the watched file is.
    pub(crate) fn held(&self, case: &Case, known: &Known) -> Held {
        match self.state(case) {
            _ if self.is_done(case, known).is_ok() => Held::New,
            Ok(now) if now == known.before => Held::Old,
            _ => Held::Neither,
        }
    }

    /// Whether the two sides differ.
    pub(crate) fn has_sides(&self, known: &Known) -> bool {
        known.before != known.after || known.snapshots_after > known.kept.len()
    }

    /// Whether a change was begun and not ended.
    pub(crate) fn can_be_recovered(&self, case: &Case) -> bool {
        match self.kind {
            Kind::Vector => case.path(self.watched).exists(),
            Kind::Target if !self.beside.is_empty() => has_unfinished_set(case),
            Kind::Target => case.path(".memsnap").is_dir() && case.stored("/intent").len() == 1,
            Kind::Output | Kind::Damaged => false,
        }
    }

    /// What ends it, and changes nothing else.
    pub(crate) fn recovery(&self) -> &'static str {
        match self.kind {
            // The next writer of a vector recovers it; this one takes nothing away.
            Kind::Vector => "vec pop v -n 0",
            _ if self.words.starts_with("recover") => self.words,
            // What it has not written yet cannot be distinguished from what other programs have written since.
            _ if self.words.contains("--no-undo") => "recover --finish --yes f",
            _ => "recover --yes f",
        }
    }

    /// All that success promises.
    fn is_done(&self, case: &Case, known: &Known) -> Result<(), String> {
        if self.state(case)? != known.after {
            return Err("it was acknowledged, and is not there".into());
        }
        // There may be one more, made by itself where it could not be seen that there was one.
        if self.kind != Kind::Vector && case.snapshots() < known.snapshots_after {
            return Err(format!("{} snapshots, not the {} acknowledged", case.snapshots(), known.snapshots_after));
        }
        if self.words.contains("--tag gold") { expect(case, "-q restore f@gold -o -", 0) } else { Ok(()) }
    }

    /// The watched file is that before or that after; a target between the two can be recovered.
    fn is_old_or_new(&self, case: &Case, known: &Known) -> Result<(), String> {
        let now = self.state(case)?;
        if now == known.before || now == known.after {
            return Ok(());
        }
        if self.kind != Kind::Target {
            return Err("it is neither old nor new".into());
        }
        for ((now, before), after) in now.iter().zip(&known.before).zip(&known.after) {
            let (Some(held), Some(before), Some(after)) = (now, before, after) else {
                // One that is made or removed is there or not, as a whole.
                if self.beside.is_empty() || now != before && now != after {
                    return Err("it is gone".into());
                }
                continue;
            };
            if !is_mixture(held, before, after) {
                return Err("a page is that of neither".into());
            }
        }
        expect(case, self.recovery(), 0)?;
        let now = self.state(case)?;
        if now == known.before || now == known.after { Ok(()) } else { Err("recovered to neither".into()) }
    }

    /// Files that are captured together have as many snapshots.
    fn is_whole(&self, case: &Case) -> Result<(), String> {
        let count = |file: &&str| case.run(["log", "--json", file]).out.lines().count();
        let counts: Vec<_> = self.together.iter().map(count).collect();
        match counts.iter().all(|n| *n == counts[0]) {
            true => Ok(()),
            false => Err(format!("snapshots of {:?}: {counts:?}", self.together)),
        }
    }

    fn store_is_sound(&self, case: &Case) -> Result<(), String> {
        if !case.path(".memsnap/format").exists() {
            return Ok(());
        }
        let ran = case.run(["verify"]);
        match ran.code {
            // Numbers without a snapshot would be those of snapshots that are lost.
            Some(0) if !ran.err.contains("snapshots are missing") => Ok(()),
            _ => Err(format!("verify: {ran:?}")),
        }
    }

    /// Every snapshot that was there is there.
    fn keeps(&self, case: &Case, known: &Known) -> Result<(), String> {
        for (i, image) in known.kept.iter().enumerate() {
            if self.restored(case, i + 1)? != *image {
                return Err(format!("@{} is not what it was", i + 1));
            }
        }
        Ok(())
    }

    fn restored(&self, case: &Case, number: usize) -> Result<Vec<u8>, String> {
        let mut said = String::new();
        for file in self.histories {
            let ran = case.run(["restore", &format!("{file}@{number}"), "-o", "-"]);
            if ran.code == Some(0) {
                return Ok(ran.bytes);
            }
            said = format!("{ran:?}");
        }
        Err(said)
    }

    /// The next try succeeds.
    fn goes_on(&self, case: &Case, known: &Known) -> Result<(), String> {
        // What is not the same when it is done twice is not done over a change that was begun: that is ended first.
        let ends_first = self.again != Again::Same || !self.beside.is_empty();
        if self.kind == Kind::Target && ends_first && self.can_be_recovered(case) {
            expect(case, self.recovery(), 0)?;
        }
        let done = self.state(case)? == known.after;
        let ran = case.run(self.words.split_whitespace());
        match (ran.code, self.again) {
            (Some(0), Again::Further) if done => Ok(()),
            (Some(0), _) if self.state(case)? == known.after => Ok(()),
            (Some(0), _) => Err("the next try left something else".into()),
            (Some(code), Again::Refused(refused)) if code == refused => self.is_new(case, known),
            _ => Err(format!("the next try: {ran:?}")),
        }
    }

    fn is_new(&self, case: &Case, known: &Known) -> Result<(), String> {
        let done = self.state(case)? == known.after;
        if done { Ok(()) } else { Err("the next try was refused, and the first had not been completed".into()) }
    }

    /// What the watched files hold; of a vector, its elements.
    fn state(&self, case: &Case) -> Result<State, String> {
        std::iter::once(&self.watched).chain(self.beside).map(|file| self.held_by(case, file)).collect()
    }

    fn held_by(&self, case: &Case, file: &str) -> Result<Option<Vec<u8>>, String> {
        if !case.path(file).exists() {
            return Ok(None);
        }
        if self.kind != Kind::Vector {
            return Ok(Some(case.read(file)));
        }
        let ran = case.run(["vec", "dump", file]);
        if ran.code == Some(0) { Ok(Some(ran.bytes)) } else { Err(format!("{ran:?}")) }
    }
}

/// Whether a change of several files was begun and not ended.
fn has_unfinished_set(case: &Case) -> bool {
    let sets = std::fs::read_dir(case.path(".memsnap/sets"));
    sets.is_ok_and(|sets| sets.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".intent")))
}

fn expect(case: &Case, words: &str, code: i32) -> Result<(), String> {
    let ran = case.run(words.split_whitespace());
    if ran.code == Some(code) { Ok(()) } else { Err(format!("{words}: {ran:?}")) }
}
