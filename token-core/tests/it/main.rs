//! Behaviour of the core, seen from outside, by its actors: owner, other owner, admin, viewer, and the tokens themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod background;
mod built_twice;
mod caching;
mod conformance;
mod faults;
mod feed;
mod keys;
mod leaks;
mod loading;
mod log;
mod longer_lives;
mod looking;
mod management;
mod measures;
mod rights;
mod rotation;
mod secrecy;
mod sinks;
mod store;
mod stress;
mod verification;
mod watching;
mod world;
