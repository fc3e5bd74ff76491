//! The program as a person runs it: started, used over HTTP, killed, and started again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

// The databases that the tests of the store run on.
#[allow(dead_code, unused_imports, unused_macros, reason = "the store's tests need more of them")]
#[path = "../../../../token-store-sqlx/tests/it/database.rs"]
mod database;
mod leaks;
mod life;
mod outage;
mod program;
mod suite;
