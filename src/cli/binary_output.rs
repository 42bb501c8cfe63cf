//! Where a verb writes bytes: a file, stdout (`-`), or another descriptor.

use std::io::IsTerminal;
use std::path::Path;

use memsnap::ops::restore::Out;
use memsnap::program::descriptor;
use serde::Serialize;

use super::escape;
use super::screen::Screen;

/// Whether an output is stdout: by `-`, or by a path.
pub(crate) fn is_stdout(output: &Path) -> bool {
    output.as_os_str() == "-" || descriptor::number(output) == Some(1)
}

/// Fails when `output` is a terminal, unless forced.
pub(crate) fn refuse_terminal(output: &Path, force: bool, screen: &Screen) -> anyhow::Result<()> {
    let is_terminal = match is_stdout(output) {
        true => screen.terminals.stdout,
        false => descriptor::duplicate(output)?.is_some_and(|file| file.is_terminal()),
    };
    if !is_terminal || force {
        return Ok(());
    }
    let hint = "redirect it, or add --force";
    Err(memsnap::Error::refused("binary output is not written to a terminal", hint).into())
}

/// Calls `make` with the output; `None` if the reader of stdout is gone.
pub(crate) fn write<T>(
    output: &Path,
    screen: &mut Screen,
    make: impl FnOnce(Out<'_>) -> memsnap::Result<T>,
) -> memsnap::Result<Option<T>> {
    if !is_stdout(output) {
        return make(Out::Path(output)).map(Some);
    }
    let result = make(Out::Stream(&mut screen.stream()));
    match result {
        Err(_) if screen.closed() => Ok(None),
        result => result.map(Some),
    }
}

/// Reports on what was written: as JSON, on stderr if stdout has the bytes; or by `say`, which gets the name of the
/// output, unless that is stderr: a message would end up among the bytes.
pub(crate) fn report(
    output: &Path,
    json: &impl Serialize,
    screen: &mut Screen,
    say: impl FnOnce(&str, &mut Screen),
) -> anyhow::Result<()> {
    match (screen.is_json(), is_stdout(output)) {
        (true, true) => screen.json_aside(json)?,
        (true, false) => screen.json(json)?,
        (false, true) => say("stdout", screen),
        (false, false) if descriptor::number(output) == Some(2) => {}
        (false, false) => say(&escape::path(output), screen),
    }
    Ok(())
}
