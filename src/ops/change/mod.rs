//! Changing a target in place: plan, then commit.
//!
//! A verb (`revert`, `undo`, `apply`, `edit`, `recover`, [`super::memory::write`]) returns a [`Request`]. Its
//! [`Request::plan`] scans the target, and stores and writes nothing: the [`Plan`] that it returns can be dropped.
//! [`Plan::commit`] takes the locks, proves that the plan still holds, and makes the change; if the target was changed
//! meanwhile, it returns the new plan. [`Request::run`] does both under the locks, with one scan.
//!
//! All go one way, "bring the target from image X to image Y", whose steps docs/design.md explains. Each has a file:
//!
//! | step | file |
//! |---|---|
//! | what is asked for, planned and reported | `request`, `plan` |
//! | 1 locks and lease; which processes have the target open | `hold` |
//! | 2 X is captured, and stored for undo | `capture` |
//! | 3 Y is made, by the verb | `in_place` (`Goal`) |
//! | 4 both directions are proven | `prove` |
//! | 5 space is reserved | `space` |
//! | 6 intent and change marker; their withdrawal | `record` |
//! | 7 pages, holes and length are written | `write` |
//! | 8, 9 flush, read back | `check` |
//! | 10, 11 metadata, record of the last change | `finish`, `metadata`, `set_uid` |
//! | the steps from 4 on, in order | `steps` |
//! | a change without undo | `unstored` |
//! | a change that was interrupted | `interrupted`, `recover`, `recover_several` |
//! | a change of several targets | `several` |
//!
//! At any moment the target is X, or Y, or known to be between. A file imports only from those further down in the
//! order `in_place`, `recover`, `recover_several`, `several`, `interrupted`, `unstored`, `steps`, `finish`, `write`, `record`, `check`, `prove`,
//! `capture`, `hold`, `space`, `request`, `plan`, `metadata`, `set_uid`.

mod capture;
mod check;
mod finish;
pub(crate) mod hold;
pub(crate) mod in_place;
mod interrupted;
pub(crate) mod look;
pub(crate) mod metadata;
mod plan;
mod prove;
mod record;
pub(crate) mod recover;
mod recover_several;
pub(crate) mod request;
mod set_uid;
pub(crate) mod several;
mod space;
mod steps;
pub(crate) mod unstored;
mod write;

#[doc(hidden)]
pub use plan::Fate;
pub use plan::{Obstacle, Options, Replaced, Report, Summary};
pub use request::{Outcome, Plan, Request};
