//! The program as a whole, one file per verb, and one per promise that all verbs share.
#![allow(clippy::print_stderr, reason = "tests say why they are skipped")]

mod adopt;
mod attack;
mod attack_forged;
mod attack_set_uid;
mod attack_store;
mod attack_swap;
#[path = "../util/case.rs"]
mod case;
mod changed;
mod clock;
mod companions;
mod delta;
mod diff;
mod diff_views;
mod edit;
mod evidence;
mod filesystems;
mod flips;
mod forge;
mod full;
mod golden;
mod grades;
mod help;
mod hints;
mod json;
mod leases;
#[cfg(feature = "dev")]
#[allow(dead_code, reason = "shared")]
#[path = "../util/lmdb.rs"]
mod lmdb;
mod lock;
mod lock_signals;
mod lock_table;
mod log;
mod losses;
mod metadata;
mod moment;
#[allow(dead_code, reason = "shared")]
#[path = "../util/mount.rs"]
mod mount;
mod names;
mod newer;
mod numbers;
mod output;
mod owners;
mod quiet;
#[allow(dead_code, reason = "shared")]
#[path = "../util/quiet.rs"]
mod quiet_util;
mod races;
mod recover;
mod restore;
mod revert;
mod salvage;
mod set_changes;
mod sets;
mod snap;
mod stat;
mod stat_peers;
mod stat_views;
mod stops;
mod store_rules;
mod storm;
mod streams;
mod targets;
#[allow(dead_code, reason = "shared")]
#[path = "../util/trace.rs"]
mod trace;
mod undo;
mod users;
#[allow(dead_code, reason = "shared")]
#[path = "../util/mod.rs"]
mod util;
mod vec;
mod verify;
mod view;
mod within;
mod wording;
