//! The store under processes that contend, that are killed, and that lose their connections.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "what was seen is shown with --nocapture")]

mod books;
mod counted;
mod cut;
mod database;
mod day;
mod killer;
mod kills;
mod proxy;
mod replay;
mod two_processes;
mod worker;
