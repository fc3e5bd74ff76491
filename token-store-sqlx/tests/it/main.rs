//! The store on real SQLite files.

#![allow(clippy::unwrap_used, clippy::panic)]

mod commits;
mod conformance;
mod delivery;
mod faults;
mod lists;
mod opening;
mod purges;
mod sample;
mod tallies;
mod tampering;
