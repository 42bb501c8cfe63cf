//! What an open file is for.

/// What an open file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Reading and writing.
    Both,
}

impl OpenMode {
    #[cfg(unix)]
    pub(super) fn flags(self) -> rustix::fs::OFlags {
        match self {
            OpenMode::Read => rustix::fs::OFlags::RDONLY,
            OpenMode::Write => rustix::fs::OFlags::WRONLY,
            OpenMode::Both => rustix::fs::OFlags::RDWR,
        }
    }

    #[cfg(windows)]
    pub(super) fn options(self) -> std::fs::OpenOptions {
        let mut options = std::fs::File::options();
        options.read(self != OpenMode::Write).write(self != OpenMode::Read);
        options
    }
}
