//! The checks, one for each promise.

pub(super) mod commit;
pub(super) mod feed;
pub(super) mod list;
pub(super) mod races;
pub(super) mod read;
pub(super) mod trail;
pub(super) mod usage;
