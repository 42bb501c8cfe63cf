//! Exit codes. The table is that of memsnap(1), EXIT STATUS.

use std::process::ExitCode;

use memsnap::Error;

/// Exit codes shared by all verbs; a greater one is more severe, and hides the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Success; both sides are the same.
    Done,
    /// The sides differ, or no lock is visible.
    Differs,
    /// Success, but below the required grade.
    Below,
    /// Locked, or opened by another process.
    Busy,
    /// The file is not the base that is needed.
    Base,
    /// A usage error, or any other error.
    Trouble,
    /// A store or a delta is damaged.
    Damaged,
    /// The code of a verb that has its own, or of the command that it ran.
    Own(u8),
}

/// An error with an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Coded {
    pub(crate) code: u8,
    pub(crate) error: Error,
}

/// An error with a hint that fits what was being done, in place of its own.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Hinted {
    pub(crate) hint: String,
    #[source]
    pub(crate) error: Error,
}

impl Exit {
    /// The number for the shell.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Differs => 1,
            Exit::Below => 3,
            Exit::Busy => 75,
            Exit::Base => 5,
            Exit::Trouble => 2,
            Exit::Damaged => 4,
            Exit::Own(code) => code,
        }
    }

    /// The exit code for an error.
    pub(crate) fn of(error: &anyhow::Error) -> Exit {
        if let Some(Coded { code, .. }) = error.downcast_ref() {
            return Exit::Own(*code);
        }
        let first = error.chain().find_map(|e| e.downcast_ref::<Error>());
        match first.map(cause) {
            Some(Error::Damaged { .. }) => Exit::Damaged,
            Some(Error::Base { .. }) => Exit::Base,
            Some(Error::Busy { .. }) => Exit::Busy,
            _ => Exit::Trouble,
        }
    }
}

/// What interrupted a change, if that was another process: the change can be completed when that has ended.
fn cause(error: &Error) -> &Error {
    match error {
        Error::Unfinished { source, .. } if matches!(**source, Error::Busy { .. }) => source,
        error => error,
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use std::path::Path;

    const ALL: [Exit; 7] =
        [Exit::Done, Exit::Differs, Exit::Below, Exit::Busy, Exit::Base, Exit::Trouble, Exit::Damaged];

    #[test]
    fn the_worst_of_two() {
        for (i, a) in ALL.iter().enumerate() {
            for (j, b) in ALL.iter().enumerate() {
                assert_eq!(*a.max(b), ALL[i.max(j)]);
            }
        }
        assert_eq!(ALL.map(Exit::code), [0, 1, 3, 75, 5, 2, 4]);
    }

    #[test]
    fn errors_keep_their_code_under_context() {
        let damaged: anyhow::Result<()> = Err(Error::damaged(Path::new("x"), "short").into());
        assert_eq!(Exit::of(&damaged.context("verifying").unwrap_err()), Exit::Damaged);
        assert_eq!(Exit::of(&Error::refused("no", "").into()), Exit::Trouble);
        let busy = Error::busy(Path::new("x"), "1", "");
        let unfinished = |source: Error| Error::Unfinished { path: "x".into(), source: Box::new(source) };
        assert_eq!(Exit::of(&unfinished(Error::damaged(Path::new("x"), "short")).into()), Exit::Trouble);
        assert_eq!(Exit::of(&unfinished(busy).into()), Exit::Busy);
        let busy = Error::busy(Path::new("x"), "1", "");
        assert_eq!(Exit::of(&busy.into()), Exit::Busy);
        assert_eq!(Exit::of(&anyhow::anyhow!("other")), Exit::Trouble);
    }
}
