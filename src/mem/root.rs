//! How a view holds its snapshot.

use std::sync::Arc;

use super::image::Image;
use super::snapshot::Snapshot;

mod sealed {
    use super::{Arc, Image, Snapshot};

    #[allow(unreachable_pub, reason = "seals a trait that is named outside")]
    pub trait Holds {
        fn image(&self) -> &Arc<Image>;

        /// The snapshot that takes over the changes of the view.
        fn keeps(&mut self) -> Option<&mut Snapshot> {
            None
        }
    }

    impl Holds for &Snapshot {
        fn image(&self) -> &Arc<Image> {
            Snapshot::image(self)
        }
    }

    impl Holds for Arc<Snapshot> {
        fn image(&self) -> &Arc<Image> {
            Snapshot::image(self)
        }
    }

    impl Holds for &mut Snapshot {
        fn image(&self) -> &Arc<Image> {
            Snapshot::image(self)
        }

        fn keeps(&mut self) -> Option<&mut Snapshot> {
            Some(self)
        }
    }
}

/// How a view holds its snapshot: `&Snapshot`, `&mut Snapshot` or `Arc<Snapshot>`, and nothing else.
pub trait Root: sealed::Holds {}

impl<S: sealed::Holds> Root for S {}
