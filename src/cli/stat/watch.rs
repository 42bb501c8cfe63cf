//! `--watch`: the same again and again, in place on a terminal.

use std::time::Duration;

use super::super::escape;
use super::super::exit::Exit;
use super::super::screen::Screen;
use super::super::units;
use super::show::Line;
use super::{Look, terminal};

/// Reads the time between two looks.
pub(super) fn every(text: &str) -> Result<Duration, String> {
    match units::seconds(text)? {
        time if time < Duration::from_millis(10) => Err("at least 0.01 seconds".into()),
        time => Ok(time),
    }
}

/// Looks and shows until something goes wrong, the reader of stdout has gone, or Ctrl-C ends the program (by its signal:
/// nothing has to be put in order, as each look is written at once and the cursor stays below it).
pub(super) fn watch(
    every: Duration,
    screen: &mut Screen,
    look: impl Fn(&Screen) -> anyhow::Result<Look>,
) -> anyhow::Result<Exit> {
    let in_place = screen.terminals.stdout && !screen.is_json();
    let mut first = true;
    loop {
        let found = look(screen)?;
        if in_place {
            let (columns, rows) = terminal(screen);
            let start = if first { "\x1b[2J\x1b[H" } else { "\x1b[H" };
            screen.own_text(&(start.to_owned() + &frame(&found.lines, columns, rows, screen.colors().0)))?;
        } else {
            if !first && !found.lines.is_empty() {
                screen.own_text("\n")?;
            }
            found.show(screen)?;
        }
        screen.flush()?;
        if !found.errors.is_empty() {
            return Ok(found.errors.iter().fold(Exit::Done, |exit, e| exit.worst(screen.fail(e))));
        }
        if screen.closed() {
            return Ok(Exit::Done);
        }
        first = false;
        std::thread::sleep(every);
    }
}

/// What fits on the screen, each line clearing what was there before.
fn frame(lines: &[Line], columns: usize, rows: usize, colored: bool) -> String {
    let mut out = String::new();
    for line in lines.iter().take(rows.saturating_sub(1)) {
        let cut = |text: &String| escape::text(text).chars().take(columns).collect::<String>();
        out += &match line {
            Line::Head(text) if colored => format!("\x1b[1m{}\x1b[0m", cut(text)),
            Line::Head(text) | Line::Text(text) => cut(text),
            Line::Own(text) => text.clone(),
        };
        out += "\x1b[K\n";
    }
    out + "\x1b[J"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_fits() {
        let lines = [Line::Head("name".into()), Line::Text("abcdefgh\x07".into()), Line::Own("last".into())];
        assert_eq!(frame(&lines, 5, 9, false), "name\x1b[K\nabcde\x1b[K\nlast\x1b[K\n\x1b[J");
        assert_eq!(frame(&lines, 5, 2, true), "\x1b[1mname\x1b[0m\x1b[K\n\x1b[J");
        assert!(every("0").is_err() && every("x").is_err());
        assert_eq!(every("0.5"), Ok(Duration::from_millis(500)));
    }
}
