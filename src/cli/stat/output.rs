//! What is shown of all files, in one round of `--watch` or at once.

use super::super::screen::Screen;

/// A line to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A heading.
    Head(String),
    /// Plain text, still to be escaped.
    Text(String),
    /// Finished text with its colours.
    Own(String),
}

/// What was found of all files: the lines to show, and errors.
#[derive(Default)]
pub(super) struct Inspection {
    pub(super) lines: Vec<Line>,
    /// Rows of a table that is not laid out yet.
    pub(super) rows: Vec<Vec<String>>,
    /// How many files were found.
    pub(super) seen: usize,
    pub(super) errors: Vec<anyhow::Error>,
    pub(super) json: Vec<String>,
    /// Whether any file is locked.
    pub(super) locked: bool,
}

impl Inspection {
    /// Writes it.
    pub(super) fn show(&self, screen: &mut Screen) -> anyhow::Result<()> {
        self.json.iter().try_for_each(|line| screen.own_text(line))?;
        self.lines.iter().try_for_each(|line| match line {
            Line::Head(text) => screen.heading(text),
            Line::Text(text) => screen.line(text),
            Line::Own(text) => screen.own_text(&format!("{text}\n")),
        })
    }
}
