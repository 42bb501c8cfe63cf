//! The program as a whole, one file per verb, and one per promise that all verbs share.
#![allow(clippy::print_stderr, reason = "reasons for skipping are for whoever runs the tests")]

mod adopt;
mod attack;
mod attack_forged;
mod attack_powers;
mod attack_store;
mod attack_swap;
mod case;
mod clock;
mod delta;
mod diff;
mod edit;
mod eyes;
mod flips;
mod forge;
mod golden;
mod grades;
mod help;
mod lock;
mod lock_table;
mod log;
mod losses;
mod names;
mod output;
mod races;
mod recover;
mod restore;
mod revert;
mod salvage;
mod snap;
mod stat;
mod stat_peers;
mod stat_views;
mod store_rules;
mod storm;
mod targets;
#[allow(dead_code, reason = "tests/crash needs more of it")]
mod trace;
mod undo;
mod vec;
mod verify;
mod view;
mod within;
