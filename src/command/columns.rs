//! A table for a terminal.
//!
//! It owns the widths, and that nothing which somebody else wrote is obeyed by the terminal. Next: the commands that print one.

use serde_json::Value;

/// The rows below each other, each column as wide as its widest cell.
pub(super) fn columns<Row: AsRef<[String]>>(rows: &[Row]) -> String {
    let count = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.as_ref().get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.as_ref().iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// What somebody wrote is shown as it is but for what a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// A value as a cell: `-` for none.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        let rows = [
            vec!["A".to_owned(), "B".to_owned()],
            vec!["long".to_owned()],
            vec!["x".to_owned(), plain("\u{1b}[2J")],
        ];
        assert_eq!(columns(&rows), "A     B\nlong\nx     \u{fffd}[2J\n");
    }
}
