//! `memsnap diff --elements`.

use std::ops::Range;

use memsnap::ops::diff::elements::Report;

use super::super::exit::Exit;
use super::super::json::object;
use super::super::screen::Screen;
use super::super::units::{count, differ};

/// Shows that these elements differ.
pub(crate) fn show(Range { start, end }: Range<u64>, screen: &mut Screen) -> anyhow::Result<()> {
    match screen.is_json() {
        true => screen.json(&object! { schema: "memsnap.diff.element.1", start, end }),
        false if end - start == 1 => screen.line(&format!("element {start}")),
        false => screen.line(&format!("elements {start}..{end}")),
    }
}

/// Shows the summary.
pub(crate) fn summary(report: &Report, screen: &mut Screen) -> anyhow::Result<Exit> {
    let (changed, ranges) = (report.changed(), report.ranges().count() as u64);
    let same = changed == 0;
    let (a, b) = (&report.a, &report.b);
    if screen.is_json() {
        screen.json(&object! {
            schema: "memsnap.diff.elements.1",
            a: object! { name: &a.name, len: a.len },
            b: object! { name: &b.name, len: b.len },
            r#type: report.kind.scalar.map_or("other", |scalar| scalar.name()),
            elements_changed: changed,
            ranges,
            same,
        })?;
    } else if same {
        screen.say(&format!("{} and {} have the same {}", a.name, b.name, count(a.len, "element")));
    } else {
        let (kind, differ) = (report.kind.describe(), differ(changed));
        let (changed, ranges) = (count(changed, "element"), count(ranges, "range"));
        let lengths = if a.len == b.len { a.len.to_string() } else { format!("{} -> {}", a.len, b.len) };
        screen.line(&format!("{} -> {}: {changed} ({kind}) in {ranges} {differ}, length {lengths}", a.name, b.name))?;
    }
    Ok(if same { Exit::Done } else { Exit::Differs })
}
