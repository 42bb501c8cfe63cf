//! Consent to writing over something: asked for on a terminal, given by `--yes` elsewhere, never assumed.

use memsnap::Error;

use super::screen::Screen;

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Go on.
    Given,
    /// The user said no.
    Declined,
    /// There is no terminal to ask on.
    Unasked,
}

/// Asks `question` unless `yes` already answers it. `free` is false where stdin is taken by something else.
pub(crate) fn ask(question: &str, yes: bool, free: bool, screen: &mut Screen) -> Consent {
    if yes {
        return Consent::Given;
    }
    if !free || screen.is_json() || !screen.terminals.stdin || !screen.terminals.stderr {
        return Consent::Unasked;
    }
    screen.ask(&format!("{question} [y/N] "));
    let mut answer = String::new();
    match std::io::stdin().read_line(&mut answer) {
        Ok(_) if is_yes(&answer) => Consent::Given,
        // The question still waits for its end of line.
        Ok(0) | Err(_) => {
            screen.tell("");
            Consent::Declined
        }
        Ok(_) => Consent::Declined,
    }
}

/// The error of a verb that may not continue: `what` would have been done, `written` says what was.
pub(crate) fn refusal(consent: Consent, what: &str, written: &str) -> anyhow::Error {
    match consent {
        Consent::Declined => Error::refused(format!("{what}: declined; {written}"), ""),
        _ => Error::refused(format!("{what} needs consent"), "add --yes, or look with --dry-run"),
    }
    .into()
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for answer in ["y\n", "Y\n", " yes\n", "YES"] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "yep\n", "no\n"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }
}
