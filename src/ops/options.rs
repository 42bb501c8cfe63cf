//! Options of verbs: private fields with defaults, and a setter for each.

use std::path::Path;
use std::time::Duration;

use crate::capture::{Io, ScanOptions};
use crate::error::{Cause, Error, Result};
use crate::sys::fs;

/// Declares a struct of options. Each field has its default and a setter of its name, with the field's documentation;
/// the setter of a field marked `into` takes whatever converts into the field.
macro_rules! options {
    ($(#[$about:meta])* $name:ident {
        $($(#[$doc:meta])* $field:ident: $type:ty = $default:expr $(, $into:ident)?;)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $(pub(crate) $field: $type,)*
        }

        impl Default for $name {
            fn default() -> $name {
                $name { $($field: $default,)* }
            }
        }

        impl $name {
            $($crate::ops::options::setter! { $(#[$doc])* $field: $type $(, $into)? })*
        }
    };
}

/// One setter of [`options`].
macro_rules! setter {
    ($(#[$doc:meta])* $field:ident: $type:ty) => {
        $(#[$doc])*
        pub fn $field(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    };
    ($(#[$doc:meta])* $field:ident: $type:ty, into) => {
        $(#[$doc])*
        pub fn $field(mut self, $field: impl Into<$type>) -> Self {
            self.$field = $field.into();
            self
        }
    };
}

pub(crate) use {options, setter};

options! {
    /// How a target is read.
    Reading {
        /// Sets whether the target is read through maps or by `pread`; by default the faster one.
        #[doc(hidden)]
        io: Io = Io::Auto;
        /// Sets the most bytes that are read in a second; by default there is no limit.
        limit_rate: Option<u64> = None, into;
        /// Sets whether a shared flock is held while the target is read: the caller asserts that every writer honours
        /// it.
        lock: bool = false;
        /// Sets how long to wait for locks; 10 seconds by default.
        wait: Duration = Duration::from_secs(10);
        /// Sets after how long the target is read again although it is known not to have changed; by default 7 days,
        /// and one day where the last reading saw a process that had it open for writing.
        #[doc(hidden)]
        reread: Option<Duration> = None, into;
        /// Sets whether the target is read although it is known not to have changed.
        #[doc(hidden)]
        rescan: bool = false;
    }
}

impl Reading {
    pub(crate) fn how(&self, keep: bool) -> ScanOptions {
        ScanOptions { io: self.io, rate: self.limit_rate, keep }
    }
}

/// What stays free on the store's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// Hundredths of the disk.
    Percent(u8),
    /// Bytes.
    Bytes(u64),
}

impl Default for Reserve {
    fn default() -> Reserve {
        Reserve::Percent(5)
    }
}

impl Reserve {
    /// Bytes that may still be written to the disk of `dir`.
    ///
    /// # Errors
    /// When the system does not say.
    #[doc(hidden)]
    pub fn available(&self, dir: &Path) -> Result<u64> {
        let space = fs::space(dir)?;
        if space.total == 0 {
            return Ok(u64::MAX); // ramfs and some programs do not say
        }
        Ok(space.free.saturating_sub(self.kept(space.total)))
    }

    /// Bytes that stay free on a disk of `total` bytes.
    fn kept(&self, total: u64) -> u64 {
        match *self {
            Reserve::Percent(n) => total / 100 * u64::from(n.min(100)),
            Reserve::Bytes(n) => n,
        }
    }

    /// The error when that is not enough; for `needed` bytes, where it is known how many.
    pub(crate) fn refusal(&self, dir: &Path, needed: Option<u64>) -> Error {
        let mib = |bytes: u64| match bytes >> 20 {
            0 => format!("{} KiB", bytes.div_ceil(1024)),
            _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        };
        let space = match fs::space(dir) {
            Ok(space) => space,
            Err(e) => return e,
        };
        let kept = self.kept(space.total);
        let free = match kept {
            0 => format!("{} free", mib(space.free)),
            kept => format!("{} free, {} of them reserved", mib(space.free), mib(kept.min(space.free))),
        };
        let what = match needed {
            Some(needed) => format!("storing in {} needs about {}: {free}", dir.display(), mib(needed)),
            None => format!("the disk of {} is full: {free}", dir.display()),
        };
        Error::refused(what, Cause::NoSpace { reserve: kept > 0, for_undo: false })
    }
}
