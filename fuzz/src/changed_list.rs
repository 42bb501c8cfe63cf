//! Lists of what changed in a file, as `snap --changed` reads them.

#[path = "../../src/cli/changed_list.rs"]
mod list;

/// A list is refused, or its ranges are whole; written as lines, they are read back.
pub fn check(input: &[u8]) {
    let Ok(ranges) = list::parse(input) else { return };
    assert!(ranges.iter().all(|range| range.start <= range.end), "a range does not end before it begins");
    let lines: String = ranges.iter().map(|range| format!("{},{}\n", range.start, range.end - range.start)).collect();
    assert_eq!(list::parse(lines.as_bytes()), Ok(ranges));
}
