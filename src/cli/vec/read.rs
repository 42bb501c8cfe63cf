//! The verbs of `memsnap vec` that only read.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use memsnap::ops::vec::{self, Number, Span};

use super::super::binary_output::refuse_terminal;
use super::super::help;
use super::super::json::{JsonNumber, JsonPath, object};
use super::super::screen::Screen;
use super::super::units::count;
use super::parsers::{self, name_of};
use super::target::VectorArgs;

/// Show type, length and state of a vector
///
/// Reads the header and the state, and the log of an interrupted commit if
/// there is one. Never writes.
///
/// Example:
///
///   memsnap vec stat counts
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::VEC_EXIT)]
pub(super) struct Stat {
    #[command(flatten)]
    target: VectorArgs,
}

/// Print the number of elements
///
/// Example:
///
///   memsnap vec len counts
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::VEC_EXIT)]
pub(super) struct Len {
    #[command(flatten)]
    target: VectorArgs,
}

/// Print elements, one a line
///
/// Examples:
///
///   memsnap vec get counts 3 -1        the fourth and the last
///   memsnap vec get counts 10..20      ten of them
///   memsnap vec get counts -- -3..     the last three
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::VEC_EXIT)]
pub(super) struct Get {
    #[command(flatten)]
    target: VectorArgs,
    /// Indexes or ranges
    #[arg(value_name = "INDEX", required = true, value_parser = parsers::span, allow_negative_numbers = true)]
    spans: Vec<Span>,
}

/// Write elements as text or as bytes
///
/// Text is one number a line, in a form that import reads back as the same
/// number. Bytes are in the byte order of this machine.
///
/// Examples:
///
///   memsnap vec dump counts | sort -n | tail -1
///   memsnap vec dump --raw counts 100.. > rest.bin
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::VEC_EXIT)]
pub(super) struct Dump {
    #[command(flatten)]
    target: VectorArgs,
    /// An index or a range; by default, all
    #[arg(value_name = "RANGE", value_parser = parsers::span, allow_negative_numbers = true)]
    span: Option<Span>,
    /// Write the bytes of the elements; works for any type
    #[arg(long, conflicts_with = "text")]
    raw: bool,
    /// Write one number a line; the default
    #[arg(long)]
    text: bool,
    /// Write bytes even to a terminal
    #[arg(long, requires = "raw")]
    force: bool,
}

impl VectorArgs {
    fn stat(&self) -> anyhow::Result<vec::Stat> {
        vec::stat(&self.file, self.wait).with_context(|| self.doing("inspecting"))
    }
}

impl Stat {
    pub(super) fn run(&self, screen: &mut Screen) -> anyhow::Result<()> {
        show_stat(&self.target.stat()?, screen)
    }
}

/// Shows type, length and state of a vector.
pub(super) fn show_stat(stat: &vec::Stat, screen: &mut Screen) -> anyhow::Result<()> {
    let kind = &stat.kind;
    if screen.is_json() {
        return screen.json(&object! {
            schema: "memsnap.vec.stat.1",
            #[serde(flatten)] path: JsonPath::of(&stat.path),
            r#type: name_of(kind),
            element_size: kind.size,
            align: kind.align,
            tag: kind.tag_text(),
            version: kind.version,
            len: stat.len,
            bytes: stat.bytes,
            left_over: stat.left_over,
            unfinished: stat.unfinished,
        });
    }
    screen.line(&format!("type    {}", kind.describe()))?;
    screen.line(&format!("length  {}, {}", count(stat.len, "element"), screen.sizes.show(stat.bytes)))?;
    match (stat.unfinished, stat.left_over) {
        (true, _) => screen.line("state   the last commit is complete; the next writer will put it in place"),
        (false, 0) => Ok(()),
        (false, n) => screen.line(&format!(
            "state   {} after the elements, left by an interrupted commit; the next writer removes it",
            screen.sizes.show(n)
        )),
    }
}

impl Len {
    pub(super) fn run(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let stat = self.target.stat()?;
        if screen.is_json() {
            let path = JsonPath::of(&stat.path);
            return screen.json(&object! { schema: "memsnap.vec.len.1", #[serde(flatten)] path, len: stat.len });
        }
        screen.line(&stat.len.to_string())
    }
}

impl Get {
    pub(super) fn run(&self, screen: &mut Screen) -> anyhow::Result<()> {
        vec::get(&self.target.file, &self.spans, self.target.wait, &mut |index, number| show(index, number, screen))
            .with_context(|| self.target.doing("reading"))
    }
}

/// Shows an element.
pub(super) fn show(index: u64, number: Number, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_json() {
        return screen.json(&object! { schema: "memsnap.vec.element.1", index, value: JsonNumber(number) });
    }
    screen.line(&number.to_string())
}

impl Dump {
    pub(super) fn run(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let doing = || self.target.doing("reading");
        let span = self.span.unwrap_or(Span::Range(None, None));
        if !self.raw {
            let mut each = |index, number| show(index, number, screen);
            return vec::get(&self.target.file, &[span], self.target.wait, &mut each).with_context(doing);
        }
        if screen.is_json() {
            let what = "--raw writes bytes, --json writes JSON";
            return Err(memsnap::Error::refused(what, "leave one of them out").into());
        }
        refuse_terminal(Path::new("-"), self.force, screen)?;
        let mut each = |bytes: &[u8]| screen.stream().write_all(bytes).context("writing to stdout");
        let done = vec::dump(&self.target.file, span, self.target.wait, &mut each);
        match done {
            Err(_) if screen.closed() => Ok(()),
            done => done.with_context(doing),
        }
    }
}
