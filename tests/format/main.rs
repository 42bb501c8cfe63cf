//! Format 1: stores and a delta that were made once and stay readable forever, and the format document against them.

mod document;
mod golden;
mod images;
mod vec;
