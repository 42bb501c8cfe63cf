//! A file system that is put back for each try, by copying its image: quicker than preparing it again.

use std::fs::File;

use crate::blocks::Blocks;
use crate::case::Case;
use crate::mount::{Fs, Mount};

/// A file system, its image, and what is laid there.
#[derive(Debug)]
pub(crate) struct Stage {
    mount: Mount,
    image: File,
    /// What is laid.
    laid: Blocks,
}

impl Stage {
    /// With what `prepare` makes in a directory of it, all of it on the disk.
    pub(crate) fn new(fs: Fs, prepare: impl FnOnce(&Case)) -> Stage {
        let (mut mount, image) = Mount::empty(fs, 0);
        prepare(&mount.case());
        mount.down();
        let laid = Blocks::of(&image).unwrap();
        Stage { mount, image, laid }
    }

    /// Of blocks that come from elsewhere.
    pub(crate) fn of(fs: Fs) -> Stage {
        let (mut mount, image) = Mount::empty(fs, 0);
        mount.down();
        Stage { mount, image, laid: Blocks::default() }
    }

    /// Lays these blocks instead, and mounts them.
    pub(crate) fn lay(&mut self, blocks: &Blocks) -> Result<Case, String> {
        self.laid = blocks.clone();
        self.again()
    }

    /// As it was made, mounted.
    pub(crate) fn up(&mut self) -> Case {
        self.again().unwrap()
    }

    fn again(&mut self) -> Result<Case, String> {
        if self.mount.is_up() {
            self.mount.down();
        }
        self.laid.lay(&self.image).unwrap();
        self.mount.up()?;
        Ok(self.mount.case())
    }

    /// The power is cut, and comes back.
    pub(crate) fn cut(&mut self) -> Result<Case, String> {
        self.mount.shut_down();
        self.mount.down();
        self.mount.up()?;
        Ok(self.mount.case())
    }
}
