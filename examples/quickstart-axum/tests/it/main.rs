//! The program as a person runs it: started, used over HTTP, killed, and started again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod leaks;
mod life;
mod program;
