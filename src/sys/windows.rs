//! What of this module there is on Windows: as much as `page` and `pack` need.

pub mod ext;
