//! How the plan of a change is shown, and asked about.

use memsnap::ops::change::{Fate, Replaced, Summary};

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
    if !changes.members.is_empty() && !changes.is_empty() {
        let words = of_members(changes, screen).join(", ");
        return (format!("changing {name} ({words})"), format!("Change {name}: {words}?"));
    }
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

/// What is done to several files, in words: `3 pages (12 KiB) in 2 files`, `1 file made`.
pub(crate) fn of_members(changes: &Summary, screen: &Screen) -> Vec<String> {
    let of = |fate: Fate| changes.members.iter().filter(move |m| m.fate == fate && !m.is_empty()).count() as u64;
    let stays = |m: &&Summary| m.fate == Fate::Stays;
    let pages: u64 = changes.members.iter().filter(stays).map(|m| m.pages).sum();
    let bytes: u64 = changes.members.iter().filter(stays).map(|m| m.bytes).sum();
    let mut words = Vec::new();
    if of(Fate::Stays) > 0 {
        let (pages, files) = (count(pages, "page"), count(of(Fate::Stays), "file"));
        words.push(format!("{pages} ({}) in {files}", screen.sizes.show(bytes)));
    }
    for (fate, done) in [(Fate::Made, "made"), (Fate::Removed, "removed")] {
        if of(fate) > 0 {
            words.push(format!("{} {done}", count(of(fate), "file")));
        }
    }
    words
}

/// The lines that show a plan for several files.
fn member_lines(changes: &Summary, action: &Action, screen: &Screen) -> Vec<String> {
    let mut lines = vec![format!("{}: from {} to {}", action.name, changes.from, changes.to)];
    for member in changes.members.iter().filter(|member| !member.is_empty()) {
        let name = escape::path(&member.path);
        match member.fate {
            Fate::Made => lines.push(format!("{name}: made, {}, as {}", screen.sizes.show(member.to_len), member.to)),
            Fate::Removed => lines.push(format!("{name}: removed, {}", screen.sizes.show(member.from_len))),
            Fate::Stays => {
                let action = Action { name, ..Action::new(action.schema, "", &member.path) };
                lines.extend(plan_lines(member, &action, screen));
            }
        }
        if member.fate != Fate::Stays {
            lines.extend(obstacle_line(member));
        }
    }
    lines
}

fn obstacle_line(changes: &Summary) -> Option<String> {
    changes.obstacle.as_ref().map(|why| format!("  refused  {}", escape::text(&hints::of_obstacle(why))))
}

/// The lines that show a plan.
pub(crate) fn plan_lines(changes: &Summary, action: &Action, screen: &Screen) -> Vec<String> {
    if !changes.members.is_empty() {
        return member_lines(changes, action, screen);
    }
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
    lines.extend(obstacle_line(changes));
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
