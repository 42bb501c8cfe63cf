//! `--watch`: repeats the output, in place on a terminal.

use std::time::Duration;

use super::super::escape;
use super::super::exit::Exit;
use super::super::fault;
use super::super::screen::Screen;
use super::super::units;
use super::output::{Inspection, Line};

/// Parses the time between two rounds.
pub(super) fn every(text: &str) -> Result<Duration, String> {
    match units::seconds(text)? {
        time if time < Duration::from_millis(10) => Err("the shortest time is 0.01 seconds".into()),
        time => Ok(time),
    }
}

/// Inspects and shows until no file is left, the reader of stdout is gone, or Ctrl-C ends the program. (The signal may
/// do so at any time: each result is written at once, and the cursor stays below it.) An error in the first round ends
/// it too; a later one is shown, and the other files are still watched.
pub(super) fn watch(
    every: Duration,
    screen: &mut Screen,
    inspect: impl Fn(&Screen) -> anyhow::Result<Inspection>,
) -> anyhow::Result<Exit> {
    let in_place = screen.terminals.stdout && !screen.is_json();
    let mut first = true;
    let mut known = String::new();
    loop {
        let mut found = inspect(screen)?;
        let is_over = !found.errors.is_empty() && (first || found.seen == 0);
        let errors = if is_over { Vec::new() } else { std::mem::take(&mut found.errors) };
        let wrong: Vec<_> = errors.iter().map(|e| fault::text(e, false, None).0).collect();
        if !screen.is_json() {
            found.lines.extend(wrong.iter().cloned().map(Line::Text));
        } else if wrong.concat() != known {
            for e in &errors {
                screen.fail(e);
            }
            known = wrong.concat();
        }
        if in_place {
            let (rows, columns) = screen.size();
            let start = if first { "\x1b[2J\x1b[H" } else { "\x1b[H" };
            screen.own_text(&(start.to_owned() + &frame(&found.lines, columns, rows, screen.colors().0)))?;
        } else {
            if !first && !found.lines.is_empty() {
                screen.own_text("\n")?;
            }
            found.show(screen)?;
        }
        screen.flush()?;
        if is_over {
            return Ok(found.errors.iter().fold(Exit::Done, |exit, e| exit.max(screen.fail(e))));
        }
        if screen.closed() {
            return Ok(Exit::Done);
        }
        first = false;
        std::thread::sleep(every);
    }
}

/// The lines that fit the screen; each clears what was there before.
fn frame(lines: &[Line], columns: usize, rows: usize, colored: bool) -> String {
    let mut out = String::new();
    let height = rows.saturating_sub(1);
    // The last line counts the lines that do not fit.
    let shown = if lines.len() > height { height.saturating_sub(1) } else { lines.len() };
    let rest =
        (lines.len() > height).then(|| format!("and {}", units::count((lines.len() - shown) as u64, "more line")));
    for line in lines[..shown].iter().chain(&rest.map(Line::Text)) {
        let cut = |text: &String| escape::cut(&escape::text(text), columns).to_owned();
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
        assert_eq!(frame(&lines, 20, 3, true), "\x1b[1mname\x1b[0m\x1b[K\nand 2 more lines\x1b[K\n\x1b[J");
        assert_eq!(frame(&lines, 20, 2, true), "and 3 more lines\x1b[K\n\x1b[J");
        let wide = [Line::Text("\u{6f22}\u{5b57}e\u{301}x".into())];
        assert_eq!(frame(&wide, 3, 9, false), "\u{6f22}\x1b[K\n\x1b[J");
        assert_eq!(frame(&wide, 5, 9, false), "\u{6f22}\u{5b57}e\u{301}\x1b[K\n\x1b[J");
        assert!(every("0").is_err() && every("x").is_err());
        assert_eq!(every("0.5"), Ok(Duration::from_millis(500)));
    }
}
