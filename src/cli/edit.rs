//! `memsnap edit`.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, ValueHint};
use memsnap::Error;
use memsnap::error::At;
use memsnap::ops::{Edit, Patch, delta_of_edits, edit};
use memsnap::program::ext::OsStringExt;
use memsnap::program::heap;
use memsnap::sys::{fs, open};

use super::action::Action;
use super::change::ChangeFlags;
use super::common_flags::Global;
use super::confirm::{self, Consent};
use super::exit::Exit;
use super::operands::without_ref;
use super::screen::Screen;
use super::{escape, help, hex, input, units};

/// Change bytes of FILE, in place
///
/// Each --at is followed by the new bytes: --hex, --text, --from or --zero.
/// Edits are made in the order given, later ones over earlier ones: first in
/// memory, on copies of the pages that they touch. The plan is shown; then
/// the pages that differ are written in place, and `memsnap undo` reverts
/// this. With -o, FILE stays as it is and the edits become a delta for
/// `memsnap apply`.
///
/// Never writes what was not confirmed: if these pages were changed meanwhile,
/// it asks again. Edits that change nothing write nothing. The length stays as
/// it is without --grow. A change that was interrupted is finished first.
///
/// Examples:
///
///   memsnap edit db.bin --at 4k --hex 'de ad be ef'
///   memsnap edit -n db.bin --at page:17 --from patch --at 0 --text SQLite
///   memsnap edit db.bin --at 1M --zero 64k -o wipe.delta
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_long_help = help::CHANGE_EXIT)]
pub(crate) struct Args {
    /// The file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    flags: EditFlags,
    /// Permit edits past the end, which make the file longer
    ///
    /// What lies between the old end and an edit becomes a hole.
    #[arg(long, verbatim_doc_comment)]
    grow: bool,
    /// Write the edits to DELTA, and leave FILE as it is; - is stdout
    ///
    /// An existing file is replaced only with --force.
    #[arg(short, long, value_name = "DELTA", value_hint = ValueHint::FilePath, verbatim_doc_comment)]
    output: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Level of zstd for deltas, as that of `delta make`.
const LEVEL: i32 = 3;
const HEADING: &str = "Edits";

/// A flag of an edit: the offset, or the new bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum EditFlag {
    At(u64),
    Hex(Vec<u8>),
    Text(OsString),
    From(PathBuf),
    Zero(u64),
}

/// These flags in the order in which they were given; clap keeps only the order of each flag.
#[derive(Debug)]
struct EditFlags(Vec<EditFlag>);

fn flag(name: &'static str, value: &'static str, parser: impl Into<ValueParser>, help: &'static str) -> Arg {
    let arg = Arg::new(name).long(name).value_name(value).value_parser(parser.into()).help(help);
    arg.action(ArgAction::Append).allow_hyphen_values(true).help_heading(HEADING)
}

impl clap::Args for EditFlags {
    fn augment_args(cmd: Command) -> Command {
        let at = "Edit the bytes from OFFSET on: 4096, 4k, 0x1000, page:17, page:17+64";
        let from = flag("from", "INPUT", clap::value_parser!(PathBuf), "All bytes of a file; - is stdin (needs --yes)");
        cmd.arg(flag("at", "OFFSET", units::offset as fn(&str) -> _, at))
            .arg(flag(
                "hex",
                "BYTES",
                hex::parse as fn(&str) -> _,
                "Bytes in hexadecimal; spaces, _ and : between them",
            ))
            .arg(flag("text", "STRING", clap::value_parser!(OsString), "The bytes of STRING, without an end of line"))
            .arg(from.value_hint(ValueHint::FilePath))
            .arg(flag("zero", "LEN", units::size as fn(&str) -> _, "LEN bytes of zeros"))
    }

    fn augment_args_for_update(cmd: Command) -> Command {
        EditFlags::augment_args(cmd)
    }
}

impl FromArgMatches for EditFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<EditFlags, clap::Error> {
        let mut flags = Vec::new();
        collect(matches, "at", &mut flags, EditFlag::At);
        collect(matches, "hex", &mut flags, EditFlag::Hex);
        collect(matches, "text", &mut flags, EditFlag::Text);
        collect(matches, "from", &mut flags, EditFlag::From);
        collect(matches, "zero", &mut flags, EditFlag::Zero);
        flags.sort_by_key(|(index, _)| *index);
        Ok(EditFlags(flags.into_iter().map(|(_, flag)| flag).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = EditFlags::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The values of one flag, each with its place on the command line.
fn collect<T: Clone + Send + Sync + 'static>(
    matches: &ArgMatches,
    name: &str,
    flags: &mut Vec<(usize, EditFlag)>,
    flag: fn(T) -> EditFlag,
) {
    let values = matches.get_many::<T>(name).into_iter().flatten().cloned();
    flags.extend(matches.indices_of(name).into_iter().flatten().zip(values.map(flag)));
}

impl Args {
    pub(crate) fn run(&self, global: &Global, screen: &mut Screen) -> anyhow::Result<Exit> {
        let name = escape::path(&self.file);
        let doing = format!("editing {name}");
        let from_stdin = self.flags.0.iter().any(is_stdin);
        if from_stdin && self.output.is_none() && self.change.must_ask() {
            // Not after all has been typed in.
            return Err(confirm::refusal(Consent::Unasked, &doing, "nothing was written"));
        }
        let bounds = Bounds::of(&self.file, self.grow).map_err(|e| without_ref(e, &self.file, "edit"));
        let bounds = bounds.context(doing.clone())?;
        let edits = self.flags.edits(&bounds).context(doing.clone())?;
        if let Some(output) = self.output.as_ref().filter(|_| !self.change.is_dry()) {
            let (output, options) = self.change.for_delta(output, LEVEL, global);
            let bar = screen.bar();
            let stat = output
                .write(screen, |out| delta_of_edits(&self.file, &edits, self.grow, out, &options, &bar))
                .context(doing);
            drop(bar);
            let stat = stat?;
            if stat.as_ref().is_some_and(|stat| stat.base == stat.result) {
                screen.say(&format!("{name}: nothing to change"));
            }
            return output.render(stat, screen);
        }
        let action = Action { stdin_free: !from_stdin, ..Action::new("memsnap.edit.1", "editing", &self.file) };
        self.change.run(global, screen, &action, |options| edit(&self.file, &edits, self.grow, options))
    }
}

impl EditFlags {
    /// Each offset with what follows it.
    fn edits(&self, bounds: &Bounds<'_>) -> anyhow::Result<Vec<Edit>> {
        const HINT: &str = "write --at OFFSET, then one of --hex, --text, --from and --zero; as often as you like";
        let refused = |what: &str| anyhow::Error::new(Error::refused(what, HINT));
        if self.0.iter().filter(|flag| is_stdin(flag)).count() > 1 {
            return Err(Error::refused("stdin can be read only once", "put the bytes in a file").into());
        }
        let pairs = self.0.chunks(2).map(|pair| match pair {
            [EditFlag::At(at), EditFlag::At(_)] | [EditFlag::At(at)] => {
                Err(refused(&format!("nothing says what is to be at {at}")))
            }
            [EditFlag::At(at), new] => Ok(Edit { at: *at, new: new.patch(*at, bounds)? }),
            [flag, ..] => Err(refused(&format!("no --at says where the bytes of {} go", flag.name()))),
            [] => unreachable!("chunks are not empty"),
        });
        let edits: Vec<_> = pairs.collect::<anyhow::Result<_>>()?;
        if edits.is_empty() { Err(refused("no edits are given")) } else { Ok(edits) }
    }
}

impl EditFlag {
    fn name(&self) -> &'static str {
        match self {
            EditFlag::At(_) => "--at",
            EditFlag::Hex(_) => "--hex",
            EditFlag::Text(_) => "--text",
            EditFlag::From(_) => "--from",
            EditFlag::Zero(_) => "--zero",
        }
    }

    fn patch(&self, at: u64, bounds: &Bounds<'_>) -> anyhow::Result<Patch> {
        Ok(match self {
            EditFlag::Hex(bytes) => Patch::Bytes(bytes.clone()),
            EditFlag::Text(text) => Patch::Bytes(text.clone().into_vec()),
            EditFlag::From(path) => Patch::Bytes(bounds.read(path, at)?),
            EditFlag::Zero(n) => Patch::Zeros(*n),
            EditFlag::At(_) => Patch::Zeros(0),
        })
    }
}

fn is_stdin(flag: &EditFlag) -> bool {
    matches!(flag, EditFlag::From(path) if input::is_stdin(path.as_os_str()))
}

/// How many bytes an edit can have, whatever an input gives: what is read is held in memory.
struct Bounds<'a> {
    file: &'a Path,
    len: u64,
    /// Bytes by which the file may become longer; `None` without --grow.
    more: Option<u64>,
}

impl Bounds<'_> {
    /// Of edits of `file`. With `grow`, what fits on its disk; and into memory, where the edits are held and the pages
    /// that they touch twice.
    fn of(file: &Path, grow: bool) -> memsnap::Result<Bounds<'_>> {
        let path = open::resolve(file)?;
        let len = std::fs::metadata(&path).at("inspecting", file)?.len();
        let memory = || heap::available().map_or(u64::MAX, |bytes| bytes / 4);
        let more = match grow {
            true => Some(fs::space(path.parent().unwrap_or(&path))?.free.min(memory())),
            false => None,
        };
        Ok(Bounds { file, len, more })
    }

    /// All bytes of an input that goes to byte `at`.
    fn read(&self, path: &Path, at: u64) -> memsnap::Result<Vec<u8>> {
        let most = self.len.saturating_sub(at) + self.more.unwrap_or(0);
        let stream = input::stream(path.as_os_str())?;
        let is_named = stream.is_none();
        let from = stream.map_or_else(|| File::open(path).at("opening", path), Ok)?;
        let meta = from.metadata().at("inspecting", path)?;
        // Of a file by name it is known before it is read.
        if !(is_named && meta.is_file() && meta.len() > most) {
            let mut bytes = Vec::new();
            from.take(most.saturating_add(1)).read_to_end(&mut bytes).at("reading", path)?;
            if bytes.len() as u64 <= most {
                return Ok(bytes);
            }
        }
        let (path, file) = (path.display(), self.file.display());
        Err(if self.more.is_none() {
            let what = format!("{path} has more bytes than the {most} from {at} ({at:#x}) to the end of {file}");
            Error::refused(what, "give fewer, such as with `head -c`, or make the file longer with --grow")
        } else {
            let what = format!("{path} has more bytes than the {most} that fit on the disk of {file} and into memory");
            Error::refused(what, "give fewer, such as with `head -c`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Args as _;

    fn none() -> Bounds<'static> {
        Bounds { file: Path::new("f"), len: 0, more: None }
    }

    fn flags(args: &[&str]) -> Vec<EditFlag> {
        let matches = EditFlags::augment_args(Command::new("edit").no_binary_name(true)).try_get_matches_from(args);
        EditFlags::from_arg_matches(&matches.unwrap()).unwrap().0
    }

    #[test]
    fn flags_keep_their_order() {
        let found = flags(&["--at", "4k", "--hex=00ff", "--at=page:2", "--text", "-x", "--at", "0", "--hex", "01"]);
        let at = |offset| EditFlag::At(offset);
        let hex = |bytes: &[u8]| EditFlag::Hex(bytes.into());
        assert_eq!(found, [at(4096), hex(&[0, 255]), at(8192), EditFlag::Text("-x".into()), at(0), hex(&[1])]);
        let edits = EditFlags(found).edits(&none()).unwrap();
        assert_eq!(edits[1], Edit { at: 8192, new: Patch::Bytes(b"-x".into()) });
    }

    #[test]
    fn where_and_what_come_in_pairs() {
        let wrong: [&[&str]; 6] = [
            &[],
            &["--at", "1"],
            &["--hex", "00"],
            &["--at", "1", "--at", "2", "--zero", "1"],
            &["--at", "1", "--zero", "1", "--hex", "00"],
            &["--at", "1", "--from", "-", "--at", "2", "--from", "-"],
        ];
        for args in wrong {
            assert!(EditFlags(flags(args)).edits(&none()).is_err(), "{args:?}");
        }
    }
}
