//! What each of eight actors is answered, and what is so afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod changes;
mod document;
mod forward_auth;
mod guard;
mod leaks;
mod matrix;
mod page_edits;
mod page_faults;
mod page_forms;
mod page_matrix;
mod pages;
mod presented;
mod requests;
mod snapshots;
mod usage;
mod world;
