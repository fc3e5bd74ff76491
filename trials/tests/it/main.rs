//! The store under processes that contend, and that are killed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "what was seen is shown with --nocapture")]

mod books;
mod database;
mod killer;
mod kills;
mod replay;
mod two_processes;
mod worker;
