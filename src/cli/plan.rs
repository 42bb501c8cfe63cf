//! How the plan of a change is shown, and asked about.

use memsnap::ops::change::{Replaced, Summary};

use super::action::Action;
use super::diff::columns;
use super::screen::Screen;
use super::units::count;
use super::{escape, hex, hints, metadata};

/// Ranges shown of a plan before the rest is only counted.
const SHOWN: usize = 20;
/// Bytes of an edit that are shown in one line, old and new.
const SHORT: usize = 8;

/// What is done, as a gerund and as a question.
pub(crate) fn task(changes: &Summary, action: &Action, screen: &Screen) -> (String, String) {
    let name = &action.name;
    if changes.is_empty() && action.in_place {
        return match changes.no_undo {
            true => (format!("ending the change of {name}"), format!("End the change of {name}?")),
            false => (format!("forgetting the change of {name}"), format!("Forget the interrupted change of {name}?")),
        };
    }
    let extent = match changes.pages {
        0 if changes.from_len == changes.to_len => metadata::words(&changes.metadata).join(", "),
        0 => format!("the length {}", screen.sizes.show(changes.to_len)),
        n => format!("{} ({})", count(n, "page"), screen.sizes.show(changes.bytes)),
    };
    let undo = if changes.no_undo { ", without undo" } else { "" };
    (format!("writing {extent} to {name}"), format!("Write {extent} to {name}{undo}?"))
}

/// What is stored before anything is written, where nothing was before.
pub(crate) fn first_line(changes: &Summary, action: &Action, screen: &Screen) -> Option<String> {
    let bytes = changes.stores_first.filter(|_| action.in_place && !changes.is_empty())?;
    Some(format!("there is no snapshot yet: all of it is stored for undo (up to {})", screen.sizes.show(bytes)))
}

/// The lines that show a plan.
pub(crate) fn plan_lines(changes: &Summary, action: &Action, screen: &Screen) -> Vec<String> {
    let sizes = screen.sizes;
    let mut lines = vec![format!("{}: from {} to {}", action.name, changes.from, changes.to)];
    if let Some(stored) = first_line(changes, action, screen) {
        lines.push(format!("  first    {stored}"));
    }
    if changes.no_undo {
        lines.push("  final    the current content is not stored and cannot be restored".into());
    }
    if changes.from_len != changes.to_len {
        lines.push(format!("  length   {}", sizes.change(changes.from_len, changes.to_len)));
    }
    lines.extend(metadata::words(&changes.metadata).iter().map(|words| format!("  sets     {words}")));
    lines.extend(changes.edits.iter().take(SHOWN).flat_map(edit_lines));
    if let Some(rest) = changes.edits.len().checked_sub(SHOWN).filter(|rest| *rest > 0) {
        lines.push(format!("  and      {} more", count(rest as u64, "edit")));
    }
    let (pages, ranges) = (count(changes.pages, "page"), count(changes.ranges_total, "range"));
    lines.push(format!("  writes   {pages} in {ranges} ({})", sizes.show(changes.bytes)));
    let last = changes.ranges.iter().take(SHOWN).next_back().map_or(0, |range| range.end);
    for range in changes.ranges.iter().take(SHOWN) {
        let (pages, bytes) = columns(range, last);
        lines.push(format!("  pages    {pages} {}", bytes.trim_end()));
    }
    let rest = changes.ranges_total.saturating_sub(changes.ranges.len().min(SHOWN) as u64);
    if rest > 0 {
        lines.push(format!("  and      {} more", count(rest, "range")));
    }
    lines.extend(changes.obstacle.iter().map(|why| format!("  refused  {}", escape::text(&hints::of_obstacle(why)))));
    lines
}

/// `  at       0x1000  00 00 -> de ad`
fn edit_lines(edit: &Replaced) -> Vec<String> {
    let side = |bytes: &[u8]| match bytes {
        [] => "nothing".into(),
        _ if edit.len > bytes.len() as u64 && bytes.len() == edit.new.len() => format!("{} ...", hex::show(bytes)),
        _ => hex::show(bytes),
    };
    let (at, old, new) = (edit.at, side(&edit.old), side(&edit.new));
    if edit.new.len() <= SHORT && edit.len == edit.new.len() as u64 {
        return vec![format!("  at       {at:#x}  {old} -> {new}")];
    }
    let len = count(edit.len, "byte");
    vec![format!("  at       {at:#x}, {len}"), format!("  was      {old}"), format!("  now      {new}")]
}
