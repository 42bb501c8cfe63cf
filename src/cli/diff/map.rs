//! `memsnap diff --map`: where in the file the changes are.

use memsnap::ops::diff::Compared;
use memsnap::page::{PAGE64, PageRange};

use super::super::cell_map::{CellClass, CellMap};
use super::super::json::object;
use super::super::screen::Screen;

/// Rows of a cells.
const ROWS: u64 = 8;
const CLASSES: [CellClass; 3] = [
    CellClass { mark: '.', color: "90", name: "same" },
    CellClass { mark: '+', color: "33", name: "some pages differ" },
    CellClass { mark: '#', color: "31", name: "all differ" },
];

/// Draws the map of the longer side.
pub(super) fn show(compared: &Compared, screen: &mut Screen) -> anyhow::Result<()> {
    let map = CellMap::new(compared.len(), PAGE64, screen.columns(), ROWS);
    let class_of = |span: std::ops::Range<u64>| {
        let pages = PageRange::of_bytes(span.start, span.end);
        let changed: u64 = compared.pages().runs_within(pages).map(|run| run.len()).sum();
        match changed {
            0 => 0,
            all if all == pages.len() => 2,
            _ => 1,
        }
    };
    if screen.is_json() {
        let cells: String = map.spans().map(|span| CLASSES[class_of(span)].mark).collect();
        return screen.json(&object! { schema: "memsnap.diff.map.1", cell: map.cell(), cells });
    }
    let colored = screen.colors().0;
    for row in map.rows(&CLASSES, colored, class_of) {
        screen.own_text(&(row + "\n"))?;
    }
    let cell = screen.sizes.show(map.cell());
    screen.own_text(&(map.legend(&CLASSES, colored, &cell) + "\n"))
}
