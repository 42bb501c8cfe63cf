//! A harness that interrupts commands, run through many scenes.

use std::time::Instant;

use crate::points::Findings;
use crate::scene::Scene;
use crate::scenes::scenes;
use crate::util::nightly;

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

/// Runs a harness through scenes, says how often it interrupted each, and fails if anything was wrong.
pub(crate) fn nothing_found(harness: &str, scenes: &[Scene], mut run: impl FnMut(&Scene) -> Findings) {
    let mut all = Findings::default();
    for scene in scenes {
        let begun = Instant::now();
        let found = run(scene);
        let (took, wrong) = (begun.elapsed().as_secs_f64(), found.failures.len());
        eprintln!("{harness}, {}: {} times in {took:.1} s, {wrong} failures", scene.name, found.points);
        assert!(found.points > 0, "{harness}, {}: never interrupted", scene.name);
        all.add(found);
    }
    all.must_be_none();
}
