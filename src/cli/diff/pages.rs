//! `memsnap diff`: ranges of pages; `--pages`: their numbers.

use memsnap::ops::diff::Compared;
use memsnap::page::{PAGE64, PageRange};

use super::super::json::{JsonRange, object};
use super::super::screen::Screen;
use super::super::units::count;
use super::common::{columns, while_read};
use super::tally::Tally;

/// Shows the ranges, or all pages one by one.
pub(super) fn show(compared: &Compared, one_by_one: bool, mut tally: Tally, screen: &mut Screen) -> anyhow::Result<()> {
    let last = compared.pages().runs().last().map_or(0, |range| range.end);
    for range in compared.pages().runs() {
        if one_by_one && !screen.is_json() {
            let shown = tally.take_part(range.len());
            (range.start..range.start + shown).try_for_each(|page| screen.line(&page.to_string()))?;
        } else if tally.take(1) {
            show_range(&range, (last, compared.len()), screen)?;
        }
        while_read(screen)?;
    }
    match tally.left_out() {
        // stdout has numbers, and nothing else.
        more if one_by_one && more > 0 && !screen.is_json() => {
            screen.tell(&format!("and {}", count(more, "more page")));
            Ok(())
        }
        _ => tally.tell_rest("range", screen),
    }
}

/// `last`: the end of the last range.
fn show_range(range: &PageRange, (last, len): (u64, u64), screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_json() {
        return screen.json(&object! { schema: "memsnap.diff.range.1", #[serde(flatten)] range: JsonRange::of(range) });
    }
    let (pages, place) = columns(range, last);
    let bytes = (range.len() * PAGE64).min(len.saturating_sub(range.offset()));
    let noun = if range.len() == 1 { "page " } else { "pages" };
    screen.line(&format!("{noun} {pages} {place} {:>8}", screen.sizes.show(bytes)))
}
