//! The store on real SQLite files.

#![allow(clippy::unwrap_used)]

mod commits;
mod delivery;
mod faults;
mod lists;
mod opening;
mod purges;
mod sample;
mod tallies;
