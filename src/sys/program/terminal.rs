//! The terminal of a descriptor.

use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

/// Size of a terminal, as far as the terminal reports it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Lines.
    pub rows: Option<usize>,
    /// Characters in a line.
    pub columns: Option<usize>,
}

/// Returns the size of the terminal `of`; none if it is not a terminal.
pub fn size(of: impl AsFd) -> Option<Size> {
    let size = tcgetwinsize(of).ok()?;
    let reported = |n: u16| Some(usize::from(n)).filter(|n| *n > 0);
    Some(Size { rows: reported(size.ws_row), columns: reported(size.ws_col) })
}
