//! Tables: a heading and rows.

use super::escape;

/// The lines of a table, in columns as wide as their widest cell; those that are `right` are aligned right.
pub(crate) fn lines<Row: AsRef<[String]>>(rows: &[Row], right: impl Fn(usize) -> bool) -> Vec<String> {
    let columns = rows.first().map_or(0, |row| row.as_ref().len());
    let width = |i: usize| rows.iter().map(|row| escape::columns(row.as_ref()[i].as_str())).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Row| {
        let cells = row.as_ref().iter().zip(&widths).enumerate();
        let cells: Vec<_> = cells.map(|(i, (text, width))| escape::padded(text, *width, right(i))).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let table = |rows: &[[&str; 3]]| {
            let rows: Vec<_> = rows.iter().map(|row| row.map(String::from)).collect();
            lines(&rows, |i| i == 0)
        };
        assert_eq!(table(&[["1", "id", ""], ["10", "id", "now"]]), [" 1  id", "10  id  now"]);
        let rows = [["#", "FILE", "LENGTH"], ["1", "\u{6f22}\u{5b57}", "1 B"], ["2", "e\u{301}x", "22 B"]];
        assert_eq!(table(&rows), ["#  FILE  LENGTH", "1  \u{6f22}\u{5b57}  1 B", "2  e\u{301}x    22 B"]);
        assert_eq!(table(&[]), [""; 0]);
    }
}
