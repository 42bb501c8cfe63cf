//! Every verb that writes, as a scene: what it works on, and what it leaves.

use crate::grounds::{
    changed, damaged, grown, interrupted, interrupted_with_log, moved, pages, reverted, reverted_with_log, three,
    vector, with_delta, with_log, with_output,
};
use crate::scene::{Again, Kind, Scene};

const NEW: Scene = Scene {
    name: "",
    words: "",
    ground: |_| (),
    watched: "f",
    beside: &[],
    kind: Kind::Target,
    histories: &["f"],
    together: &[],
    again: Again::Same,
};

/// Every verb that writes.
pub(crate) fn scenes() -> Vec<Scene> {
    let mut scenes = of_snapshots();
    scenes.extend(of_changes());
    scenes.extend(of_several());
    scenes.extend(of_outputs());
    scenes.extend(of_vectors());
    scenes
}

/// The one of that name.
pub(crate) fn scene(name: &str) -> Scene {
    scenes().into_iter().find(|scene| scene.name == name).unwrap_or_else(|| panic!("no scene {name}"))
}

fn of_snapshots() -> Vec<Scene> {
    vec![
        Scene { name: "snap first", words: "snap f", ground: pages, ..NEW },
        Scene {
            name: "snap later",
            words: "snap -m why --tag gold f",
            ground: changed,
            again: Again::Refused(2),
            ..NEW
        },
        Scene { name: "repair", words: "verify --repair f", ground: damaged, kind: Kind::Damaged, ..NEW },
        Scene {
            name: "adopt",
            words: "adopt f g",
            ground: moved,
            watched: "g",
            kind: Kind::Output,
            histories: &["f", "g"],
            again: Again::Refused(2),
            ..NEW
        },
        Scene { name: "snap a set", words: "snap --set f g h", ground: three, together: &["f", "g", "h"], ..NEW },
    ]
}

fn of_changes() -> Vec<Scene> {
    vec![
        Scene { name: "revert", words: "revert --yes f@1", ground: grown, ..NEW },
        Scene { name: "revert without undo", words: "revert --yes --no-undo f@1", ground: grown, ..NEW },
        Scene { name: "undo", words: "undo --yes f", ground: reverted, again: Again::Further, ..NEW },
        Scene { name: "apply", words: "apply --yes f d", ground: with_delta, again: Again::Refused(5), ..NEW },
        Scene {
            name: "edit",
            words: "edit --yes f --at page:3 --text new --at 100000 --zero 9000 --at 500000 --hex ff --grow",
            ground: changed,
            ..NEW
        },
        Scene { name: "recover", words: "recover --yes f", ground: interrupted, ..NEW },
        Scene { name: "roll back", words: "recover --rollback --yes f", ground: interrupted, ..NEW },
    ]
}

fn of_several() -> Vec<Scene> {
    let new = Scene { beside: &["f-journal"], ..NEW };
    vec![
        Scene { name: "revert with log", words: "revert --yes f@1", ground: with_log, ..new },
        Scene { name: "undo with log", words: "undo --yes f", ground: reverted_with_log, again: Again::Further, ..new },
        Scene { name: "recover with log", words: "recover --yes f", ground: interrupted_with_log, ..new },
        Scene { name: "roll back with log", words: "recover --rollback --yes f", ground: interrupted_with_log, ..new },
    ]
}

fn of_outputs() -> Vec<Scene> {
    let new = Scene { watched: "out", kind: Kind::Output, ..NEW };
    vec![
        Scene { name: "restore", words: "restore f@1 -o out", ground: changed, again: Again::Refused(2), ..new },
        Scene { name: "restore over", words: "restore f@1 --force --yes -o out", ground: with_output, ..new },
        Scene {
            name: "delta make",
            words: "delta make f@1 f -o out",
            ground: changed,
            again: Again::Refused(2),
            ..new
        },
        Scene { name: "apply to", words: "apply f d -o out", ground: with_delta, again: Again::Refused(2), ..new },
    ]
}

fn of_vectors() -> Vec<Scene> {
    let new = Scene { watched: "v", kind: Kind::Vector, histories: &[], again: Again::Further, ..NEW };
    vec![
        Scene { name: "vec create", words: "vec create v --type u64", again: Again::Refused(2), ..new },
        Scene { name: "vec push", words: "vec push v 1 2 3", ground: vector, ..new },
        Scene { name: "vec set", words: "vec set v 510 9 8 7 6", ground: vector, again: Again::Same, ..new },
        Scene { name: "vec truncate", words: "vec truncate v 600", ground: vector, again: Again::Same, ..new },
        Scene { name: "vec pop front", words: "vec pop v --front -n 300", ground: vector, ..new },
        Scene { name: "vec import", words: "vec import v more", ground: vector, ..new },
    ]
}
