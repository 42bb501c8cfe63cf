//! `--map`: the file as a map of cells.

use memsnap::ops::stat::{Cell, Report};
use memsnap::page::PAGE64;

use super::super::cell_map::{CellClass, CellMap};
use super::super::screen::Screen;
use super::output::Line;

/// Most rows of a map.
const ROWS: u64 = 4;

const CLASSES: [CellClass; 6] = [
    CellClass { mark: '#', color: "1;31", name: "changed" },
    CellClass { mark: '*', color: "33", name: "dirty" },
    CellClass { mark: '=', color: "32", name: "cached" },
    CellClass { mark: '-', color: "", name: "not cached" },
    CellClass { mark: '.', color: "2", name: "hole" },
    CellClass { mark: '?', color: "2", name: "unknown" },
];

/// How a file of `len` bytes is cut into cells.
pub(super) fn cell_map(len: u64, screen: &Screen) -> CellMap {
    CellMap::new(len, PAGE64, screen.columns(), ROWS)
}

/// Adds the map and a legend of the marks that occur in it.
pub(super) fn draw(map: &CellMap, report: &Report, screen: &Screen, lines: &mut Vec<Line>) {
    let colored = screen.colors().0;
    let classes: Vec<usize> = report.cells.iter().map(class).collect();
    let used: Vec<usize> = (0..CLASSES.len()).filter(|class| classes.contains(class)).collect();
    let used_classes: Vec<CellClass> = used.iter().map(|class| CLASSES[*class]).collect();
    if used.is_empty() {
        return; // no bytes
    }
    let mut next = classes.iter();
    let rows = map.rows(&CLASSES, colored, |_| next.next().copied().unwrap_or(CLASSES.len() - 1));
    lines.extend(rows.into_iter().map(Line::Own));
    lines.push(Line::Own(map.legend(&used_classes, colored, &screen.sizes.show(map.cell()))));
}

/// The first class that a cell has something of.
fn class(cell: &Cell) -> usize {
    match cell {
        Cell { changed: Some(1..), .. } => 0,
        Cell { cached: Some((_, 1..)), .. } => 1,
        Cell { cached: Some((1.., _)), .. } => 2,
        Cell { data: Some(0), .. } => 4,
        Cell { cached: Some((0, _)), data: Some(_), .. } => 3,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cell_shows() {
        let mark = |data, cached, changed| CLASSES[class(&Cell { span: 0..1, data, cached, changed })].mark;
        assert_eq!(mark(Some(4096), Some((1, 1)), Some(1)), '#');
        assert_eq!(mark(Some(4096), Some((1, 1)), Some(0)), '*');
        assert_eq!(mark(Some(4096), Some((1, 0)), None), '=');
        assert_eq!(mark(Some(4096), Some((0, 0)), None), '-');
        assert_eq!(mark(Some(0), Some((9, 0)), Some(0)), '=', "zeros of a hole that were read");
        assert_eq!(mark(Some(0), Some((0, 0)), Some(0)), '.');
        assert_eq!(mark(Some(4096), None, None), '?');
        assert_eq!(mark(None, None, None), '?');
    }
}
