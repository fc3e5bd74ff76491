//! What a client of a protected service sees, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod client;
mod credentials;
mod ends;
mod guarded;
mod host;
#[path = "../../../token-core/tests/it/log.rs"]
mod log;
#[cfg(feature = "screen")]
mod management;
mod mistakes;
mod outages;
mod proxies;
mod refusals;
mod routes;
#[cfg(feature = "screen")]
mod rules;
#[cfg(feature = "screen")]
mod screen;
mod service;
mod store;
mod tower;
mod usage;
