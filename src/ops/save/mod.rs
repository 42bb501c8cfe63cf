//! Making a snapshot: the image is captured or composed, its pages go to a new pack, damaged ones are stored again.

pub(crate) mod capture;
mod coded_window;
pub(crate) mod compose;
mod frozen;
pub(crate) mod heal;
pub(crate) mod moment;
pub(crate) mod new_pack;
mod read_target;
