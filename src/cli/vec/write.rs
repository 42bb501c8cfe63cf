//! The verbs of `memsnap vec` that write.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueHint;
use memsnap::ops::vec::{self, ElementType, End, Input, Place, Report, Scalar, Tag};

use super::super::json::{JsonPath, object};
use super::super::screen::Screen;
use super::super::units::count;
use super::super::{escape, help};
use super::read::{show, show_stat};
use super::target::VectorArgs;
use super::{input, parsers};

/// Create an empty vector
///
/// FILE must not exist. It is created with mode 0600.
///
/// Examples:
///
///   memsnap vec create counts --type u32
///   memsnap vec create weights --type f32 --tag layer-1 --version 2
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::VEC_EXIT)]
pub(super) struct Create {
    /// The file to create
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Set the type of the elements: u8 to u64, i8 to i64, f32 or f64
    #[arg(long = "type", value_name = "TYPE", value_parser = parsers::scalar)]
    scalar: Scalar,
    /// Set a program's name for the type: up to 16 bytes
    #[arg(long, value_name = "NAME", value_parser = parsers::tag, default_value = "", hide_default_value = true)]
    tag: Tag,
    /// Set the program's version of the type
    #[arg(long = "version", id = "type_version", value_name = "N", default_value_t, hide_default_value = true)]
    version: u32,
}

/// Append elements
///
/// Appends all of them, or none. Integers may be hexadecimal (0xff), floats nan
/// or inf. `-` reads numbers from stdin, separated by white space.
///
/// Examples:
///
///   memsnap vec push counts 1 2 3
///   seq 1000 | memsnap vec push counts -
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::VEC_EXIT)]
pub(super) struct Push {
    #[command(flatten)]
    target: VectorArgs,
    /// The numbers, or - alone
    #[arg(value_name = "VALUE", required = true, allow_negative_numbers = true)]
    values: Vec<String>,
}

/// Remove elements from the end or the front, and print them
///
/// Removes the elements after all of them have been written to stdout. If that
/// fails, they stay in FILE. With --front, the remaining elements are moved
/// down, which takes time and, temporarily, space in the file for all of them.
///
/// Examples:
///
///   memsnap vec pop counts -n 2
///   memsnap vec pop counts --front -n 1000 >done
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::VEC_EXIT)]
pub(super) struct Pop {
    #[command(flatten)]
    target: VectorArgs,
    /// Remove N elements; they are printed in their order
    #[arg(short = 'n', long = "number", value_name = "N", default_value = "1", value_parser = parsers::number)]
    number: u64,
    /// Remove the first elements, not the last
    #[arg(long)]
    front: bool,
}

/// Set elements to new values
///
/// Several values go to INDEX and the elements after it.
///
/// Examples:
///
///   memsnap vec set counts 3 17
///   memsnap vec set counts -1 0
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::VEC_EXIT)]
pub(super) struct Set {
    #[command(flatten)]
    target: VectorArgs,
    /// The first element to set
    #[arg(value_name = "INDEX", value_parser = parsers::place, allow_negative_numbers = true)]
    index: Place,
    /// The numbers
    #[arg(value_name = "VALUE", required = true, allow_negative_numbers = true)]
    values: Vec<String>,
}

/// Remove all but the first elements
///
/// Example:
///
///   memsnap vec truncate counts 100
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::VEC_EXIT)]
pub(super) struct Truncate {
    #[command(flatten)]
    target: VectorArgs,
    /// The number of elements to keep
    #[arg(value_name = "N", value_parser = parsers::number)]
    len: u64,
}

/// Append the elements of another file
///
/// INPUT holds numbers as text, separated by white space; with --raw, the bytes
/// of elements in the byte order of this machine; with --persistence, it is a
/// file of the Rust crate persistence 0.0.5 with elements of the same size. `-`
/// is stdin. Appends all of it, or nothing. Never writes to INPUT.
///
/// Examples:
///
///   memsnap vec import counts numbers.txt
///   memsnap vec create new --type u64
///   memsnap vec import new old --persistence
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::VEC_EXIT)]
pub(super) struct Import {
    #[command(flatten)]
    target: VectorArgs,
    /// The file to append; - is stdin
    #[arg(value_name = "INPUT", value_hint = ValueHint::FilePath)]
    input: OsString,
    /// Read INPUT as the bytes of elements
    #[arg(long, conflicts_with = "persistence")]
    raw: bool,
    /// Read INPUT as a file of persistence 0.0.5
    #[arg(long)]
    persistence: bool,
    /// Require these magic bytes: 8 characters, or 0x and 16 digits
    #[arg(long, value_name = "MAGIC", requires = "persistence", value_parser = parsers::magic)]
    magic: Option<[u8; 8]>,
    /// Require this version of its contents, such as 0.1.0
    #[arg(long, value_name = "VERSION", requires = "persistence", value_parser = parsers::version)]
    data_version: Option<[u8; 3]>,
}

fn render(verb: &'static str, done: &str, file: &Path, report: Report, screen: &mut Screen) -> anyhow::Result<()> {
    let Report { changed, len, .. } = report;
    if screen.is_json() {
        let path = JsonPath::of(file);
        let schema = "memsnap.vec.change.1";
        return screen.json(&object! { schema, #[serde(flatten)] path, verb, changed, len });
    }
    screen.say(&format!("{}: {} {done}, now {len}", escape::path(file), count(changed, "element")));
    Ok(())
}

impl Create {
    pub(super) fn run(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let kind = ElementType { tag: self.tag, version: self.version, ..ElementType::of_scalar(self.scalar) };
        let stat = vec::create(&self.file, &kind).with_context(|| format!("creating {}", escape::path(&self.file)))?;
        if screen.is_json() {
            return show_stat(&stat, screen);
        }
        screen.say(&format!("{}: an empty vector of {}", escape::path(&self.file), kind.describe()));
        Ok(())
    }
}

impl Push {
    pub(super) fn run(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let file = &self.target.file;
        let report = match &self.values[..] {
            [one] if one == "-" => {
                let from = input::open(Path::new(one));
                from.and_then(|mut from| vec::push(file, Input::Text(&mut from, Path::new("stdin")), self.target.wait))
            }
            values => vec::push(file, Input::Words(values), self.target.wait),
        };
        render("push", "added", file, report.with_context(|| self.target.doing("appending to"))?, screen)
    }
}

impl Pop {
    pub(super) fn run(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let file = &self.target.file;
        let side = if self.front { End::Front } else { End::Back };
        let report = vec::pop(file, (side, self.number), self.target.wait, &mut |element| {
            if let Some((index, number)) = element {
                return show(index, number, screen);
            }
            screen.flush()?;
            anyhow::ensure!(!screen.closed(), "the reader of stdout is gone; nothing was removed");
            Ok(())
        });
        let doing = self.target.doing("removing elements from");
        let report = report.with_context(|| doing.clone())?;
        let done = || format!("{doing}: done, but the report could not be written");
        render("pop", "removed", file, report, screen).and_then(|()| screen.flush()).with_context(done)
    }
}

impl Set {
    pub(super) fn run(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let file = &self.target.file;
        let report = vec::set(file, self.index, &self.values, self.target.wait);
        render("set", "set", file, report.with_context(|| self.target.doing("writing to"))?, screen)
    }
}

impl Truncate {
    pub(super) fn run(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let file = &self.target.file;
        let report = vec::truncate(file, self.len, self.target.wait);
        render("truncate", "removed", file, report.with_context(|| self.target.doing("truncating"))?, screen)
    }
}

impl Import {
    pub(super) fn run(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let file = &self.target.file;
        let report = self.push().with_context(|| self.target.doing("appending to"))?;
        render("import", "added", file, report, screen)
    }

    fn push(&self) -> memsnap::Result<Report> {
        let (file, wait, input) = (&self.target.file, self.target.wait, Path::new(&self.input));
        if self.persistence {
            return vec::push(file, Input::Persistence(input, self.magic, self.data_version), wait);
        }
        if memsnap::sys::open::same_file(file, input) {
            let what = format!("{} cannot be appended to itself", input.display());
            return Err(memsnap::Error::refused(what, "dump it to another file first"));
        }
        let (mut from, name) = (input::open(input)?, if self.input == "-" { Path::new("stdin") } else { input });
        match self.raw {
            true => vec::push(file, Input::Raw(&mut from, name), wait),
            false => vec::push(file, Input::Text(&mut from, name), wait),
        }
    }
}
