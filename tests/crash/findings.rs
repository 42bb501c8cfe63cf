//! What a machine that interrupts scenes has seen, and the run of one through many scenes.

use std::time::Instant;

use crate::scene::{Scene, scenes};

/// What was tried, and what was wrong afterwards.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// How often the victim was interrupted.
    pub(crate) points: usize,
    /// What was wrong, and after which interruption.
    pub(crate) failures: Vec<String>,
}

impl Findings {
    /// Notes what was said of the wreck that `what` left.
    pub(crate) fn note(&mut self, what: &str, said: Result<(), String>) {
        self.points += 1;
        self.failures.extend(said.err().map(|why| format!("{what}: {why}")));
    }
}

/// Whether everything is to be run, at full size.
pub(crate) fn nightly() -> bool {
    std::env::var_os("MEMSNAP_NIGHTLY").is_some()
}

/// All scenes, or those of these names when not everything is run. `MEMSNAP_SCENE` picks one.
pub(crate) fn chosen(quick: &[&str]) -> Vec<Scene> {
    let one = std::env::var("MEMSNAP_SCENE").ok();
    let mut chosen = scenes();
    chosen.retain(|scene| match &one {
        Some(one) => scene.name == one,
        None => nightly() || quick.contains(&scene.name),
    });
    assert!(!chosen.is_empty(), "no such scene");
    chosen
}

/// Runs a machine through scenes, says how often it interrupted each, and fails if anything was wrong.
pub(crate) fn nothing_found(machine: &str, scenes: &[Scene], mut run: impl FnMut(&Scene) -> Findings) {
    let mut failures = Vec::new();
    for scene in scenes {
        let begun = Instant::now();
        let found = run(scene);
        let (took, wrong) = (begun.elapsed().as_secs_f64(), found.failures.len());
        eprintln!("{machine}, {}: {} times in {took:.1} s, {wrong} failures", scene.name, found.points);
        assert!(found.points > 0, "{machine}, {}: never interrupted", scene.name);
        failures.extend(found.failures);
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
