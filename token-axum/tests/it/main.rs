//! What a client of a protected service sees, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod client;
mod credentials;
#[cfg(feature = "screen")]
mod management;
mod mistakes;
mod outages;
mod proxies;
mod refusals;
mod routes;
#[cfg(feature = "screen")]
mod rules;
mod service;
mod store;
mod tower;
mod usage;
