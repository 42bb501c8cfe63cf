//! Keeps man/memsnap.1 and completions/ up to date with the flags: generates them from the clap tree, and compares them
//! with the committed files. `MEMSNAP_BLESS=1 cargo test generated` writes them.

use std::path::Path;

use clap::{Arg, ArgAction, Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::Cli;

const GLOBAL: &str = "Global options";

#[test]
fn generated_man_page_is_fresh() {
    check("man/memsnap.1", &man());
}

#[test]
fn generated_completions_are_fresh() {
    let files = [(Shell::Bash, "memsnap.bash"), (Shell::Zsh, "_memsnap"), (Shell::Fish, "memsnap.fish")];
    for (shell, name) in files {
        let mut text = Vec::new();
        generate(shell, &mut Cli::command(), "memsnap", &mut text);
        let text = String::from_utf8(text).unwrap();
        let text = if shell == Shell::Bash { for_bash(&text) } else { text };
        check(&format!("completions/{name}"), &text);
    }
}

/// Without the names of hosts after an `@`, which here begins a REF; with verbs before flags.
fn for_bash(text: &str) -> String {
    let line = |line: &str| {
        let Some((indent, words)) = line.split_once("opts=\"").filter(|(_, words)| words.len() > 1) else {
            return line.replace(" -o bashdefault", "") + "\n";
        };
        let words = words.trim_end_matches('"').split(' ');
        let (flags, others): (Vec<_>, Vec<_>) = words.partition(|word| word.starts_with('-'));
        format!("{indent}opts=\"{}\"\n", [others, flags].concat().join(" "))
    };
    text.lines().map(line).collect()
}

fn check(name: &str, fresh: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("MEMSNAP_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == fresh, "{name} is stale: run MEMSNAP_BLESS=1 cargo test generated");
}

/// The guarantees of the README, shortened for the manual page.
const GUARANTEES: &str = "\
GUARANTEES

  1   When a verb has succeeded, its result survives a power failure.
  2   After a crash the store holds every acknowledged snapshot
      completely, and at most one more: the one that was being taken.
  3   Files that hold snapshots are named by a hash of their content,
      and never changed; a repair replaces them atomically.
  4   After a crash during a change in place, the file has the old
      content, the new content, or a record by which the change is
      finished or rolled back (memsnap recover).
  5   Every changed bit in a store is noticed before its bytes are
      used.
  6   A snapshot is consistent (point-in-time), or its grade says that
      this is not proven.
  7   Errors (no space, I/O errors, limits, signals, closed pipes)
      harm nothing that exists.
  8   A failed fsync fails the verb, and is not retried on the same
      file.
  9   Nothing in a store needs manual cleanup: locks end with their
      process.
  10  Stores are private; links in them are never followed; what was
      read reaches the terminal escaped.
  11  A store or a delta made by an attacker cannot make memsnap write
      elsewhere, use unbounded memory, or return wrong bytes, except
      for a forged digest cache (docs/security.md).

Not guaranteed: that nothing is lost if a disk reports data as written before
it is; that locks reach other machines (NFS); that writers which ignore locks
are noticed without a lease; that a copy of a store made during a write is
complete; that an attacker who can write to a store has not replaced whole
snapshots, unless you keep their ids elsewhere. A store on the same disk is
not a backup.
";

/// One page for the whole program.
fn man() -> String {
    let mut program = Cli::command();
    program.build();
    let mut page = Roff::new();
    let version = format!("memsnap {}", env!("CARGO_PKG_VERSION"));
    page.control("TH", ["MEMSNAP", "1", " ", version.as_str(), "User Commands"]);
    section(&mut page, "NAME");
    let about = program.get_about().unwrap().to_string();
    page.text([roman(format!("memsnap - {}", lower_first(&about)))]);
    section(&mut page, "SYNOPSIS");
    page.text([bold("memsnap"), roman(" ["), italic("GLOBAL OPTIONS"), roman("] "), italic("VERB"), roman(" ...")]);
    for verb in verbs(&program) {
        page.control("br", []);
        page.text(synopsis(verb));
    }
    section(&mut page, "DESCRIPTION");
    prose(&mut page, &program.get_long_about().unwrap().to_string(), Some(&about));
    section(&mut page, "GLOBAL OPTIONS");
    page.text([roman("Options of every verb, before or after it.")]);
    let is_global = |arg: &&Arg| arg.get_help_heading() == Some(GLOBAL) || arg.get_id() == "help";
    let version = program.get_arguments().filter(|arg| arg.get_id() == "version");
    program.get_arguments().filter(is_global).for_each(|arg| option(&mut page, arg));
    page.control("PP", []);
    page.text([roman("Without a verb:")]);
    version.for_each(|arg| option(&mut page, arg));
    section(&mut page, "VERBS");
    for verb in verbs(&program) {
        describe(&mut page, verb);
    }
    prose(&mut page, &program.get_after_long_help().unwrap().to_string(), None);
    prose(&mut page, GUARANTEES, None);
    section(&mut page, "SEE ALSO");
    page.text([bold("memsnap-store"), roman("(5), "), bold("flock"), roman("(1), "), bold("cmp"), roman("(1)")]);
    page.to_roff()
}

fn section(page: &mut Roff, title: &str) {
    page.control("SH", [title]);
}

/// All verbs that do something, also those of a verb.
fn verbs(command: &Command) -> Vec<&Command> {
    let below = |verb| match verbs(verb) {
        list if list.is_empty() => vec![verb],
        list => list,
    };
    command.get_subcommands().flat_map(below).collect()
}

/// `memsnap snap [OPTIONS] FILE...`
fn synopsis(verb: &Command) -> Vec<Inline> {
    let mut line = vec![bold(verb.get_bin_name().unwrap())];
    if verb.get_opts().any(|arg| arg.get_help_heading() != Some(GLOBAL)) {
        line.extend([roman(" ["), italic("OPTIONS"), roman("]")]);
    }
    for arg in verb.get_opts().filter(|arg| arg.is_required_set()) {
        let name = match (arg.get_short(), arg.get_long()) {
            (Some(short), _) => format!("-{short}"),
            (None, long) => format!("--{}", long.unwrap()),
        };
        line.extend([roman(" "), bold(name), roman(" "), italic(value_name(arg))]);
    }
    for arg in verb.get_positionals() {
        let many = if matches!(arg.get_action(), ArgAction::Append) { "..." } else { "" };
        line.push(roman(if arg.is_required_set() { " " } else { " [" }));
        line.push(italic(value_name(arg)));
        line.push(roman(if arg.is_required_set() { many } else { "]" }));
    }
    line
}

fn describe(page: &mut Roff, verb: &Command) {
    page.control("SS", [verb.get_bin_name().unwrap()]);
    page.text(synopsis(verb));
    page.control("PP", []);
    let about = verb.get_about().unwrap().to_string();
    page.text([roman(format!("{about}."))]);
    if let Some(long) = verb.get_long_about() {
        prose(page, &long.to_string(), Some(&about));
    }
    let own = |arg: &&Arg| arg.get_help_heading() != Some(GLOBAL) && arg.get_id() != "help";
    for arg in verb.get_positionals().filter(own).chain(verb.get_arguments().filter(|a| !a.is_positional()).filter(own))
    {
        option(page, arg);
    }
    if let Some(after) = verb.get_after_long_help() {
        let text = after.to_string();
        page.control("PP", []);
        page.text([roman("Exit status:")]);
        prose(page, text.trim_start_matches("EXIT STATUS\n"), None);
    }
}

fn option(page: &mut Roff, arg: &Arg) {
    page.control("TP", []);
    let mut head = Vec::new();
    if let Some(short) = arg.get_short() {
        head.push(bold(format!("-{short}")));
    }
    if let Some(long) = arg.get_long() {
        if !head.is_empty() {
            head.push(roman(", "));
        }
        head.push(bold(format!("--{long}")));
    }
    let may_have_value = arg.is_require_equals_set();
    if may_have_value {
        head.extend([roman("[="), italic(value_name(arg)), roman("]")]);
    } else if arg.is_positional() || arg.get_action().takes_values() {
        if !head.is_empty() {
            head.push(roman(" "));
        }
        head.push(italic(value_name(arg)));
    }
    page.text(head);
    let help = arg.get_help().map(|help| help.to_string()).unwrap_or_default();
    let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = match default.join(" ") {
        value if value.is_empty() || arg.is_hide_default_value_set() || !arg.get_action().takes_values() => {
            String::new()
        }
        value => format!(" (default: {value})"),
    };
    page.text([roman(format!("{help}{default}."))]);
    if let Some(long) = arg.get_long_help() {
        for paragraph in long.to_string().split("\n\n").skip(1) {
            page.control("IP", []);
            page.text([roman(joined(paragraph))]);
        }
    }
}

fn value_name(arg: &Arg) -> String {
    arg.get_value_names().and_then(|names| names.first()).map(|name| name.to_string()).unwrap_or_default()
}

/// Paragraphs, headings in capitals, indented lines as they are; a first line that repeats `about` is left out.
fn prose(page: &mut Roff, text: &str, about: Option<&str>) {
    let text = about.and_then(|about| text.strip_prefix(about)).unwrap_or(text).trim_matches('\n');
    for part in text.split("\n\n") {
        if part.starts_with("  ") {
            page.control("RS", ["2"]);
            page.control("nf", []);
            for line in part.lines() {
                page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
            page.control("fi", []);
            page.control("RE", []);
        } else if part.chars().all(|c| c.is_ascii_uppercase() || c == ' ') {
            section(page, part);
        } else {
            page.control("PP", []);
            page.text([roman(joined(part))]);
        }
    }
}

fn joined(paragraph: &str) -> String {
    paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

fn lower_first(text: &str) -> String {
    text[..1].to_lowercase() + &text[1..]
}
