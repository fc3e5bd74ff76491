//! What each of eight actors is answered, and what is so afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod changes;
mod document;
mod guard;
mod leaks;
mod matrix;
mod requests;
mod snapshots;
mod usage;
mod world;
