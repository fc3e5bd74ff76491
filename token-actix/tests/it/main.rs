//! What a client of a protected service sees, over real sockets. What must be so on every framework is in the tests of `token-axum`,
//! and played here on actix-web.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod apps;
mod guarded;
mod host;
mod mistakes;

#[path = "../../../token-axum/tests/it/client.rs"]
mod client;
#[path = "../../../token-axum/tests/it/credentials.rs"]
mod credentials;
#[path = "../../../token-core/tests/it/log.rs"]
mod log;
#[cfg(feature = "screen")]
#[path = "../../../token-axum/tests/it/management.rs"]
mod management;
#[path = "../../../token-axum/tests/it/outages.rs"]
mod outages;
#[path = "../../../token-axum/tests/it/refusals.rs"]
mod refusals;
#[path = "../../../token-axum/tests/it/routes.rs"]
mod routes;
#[cfg(feature = "screen")]
#[path = "../../../token-axum/tests/it/rules.rs"]
mod rules;
#[path = "../../../token-axum/tests/it/service.rs"]
mod service;
#[path = "../../../token-axum/tests/it/store.rs"]
mod store;
#[path = "../../../token-axum/tests/it/usage.rs"]
mod usage;
