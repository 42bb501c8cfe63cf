//! Making a snapshot: the image is captured or composed, its pages go to a new pack, damaged ones are stored again.

pub(crate) mod capture;
pub(crate) mod clone;
mod cloned_moment;
mod coded_window;
pub(crate) mod compose;
pub(crate) mod evidence;
mod frozen;
pub(crate) mod heal;
pub(crate) mod keep_clone;
pub(crate) mod moment;
pub(crate) mod new_pack;
mod part;
mod read_target;
mod state;
