//! A [`TokenStore`](token_core::TokenStore) on an SQL database: SQLite, PostgreSQL, MariaDB or MySQL, by address or over the
//! host's own pool. Each is a Cargo feature: `sqlite` (the default), `postgres`, `mysql`; `tls` encrypts connections to servers.
//!
//! ```
//! use token_core::{Position, ListFilter, ListQuery, OwnerId, SystemClock, Clock, TokenStore};
//! use token_store_sqlx::SqlStore;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // A real one is `sqlite://tokens.db`: made if it is missing, readable by its owner alone. Or, with its feature,
//!     // `postgres://user@host/database` or `mysql://user@host/database`.
//!     let store = SqlStore::open("sqlite::memory:").await?;
//!
//!     // This is what the service does with it.
//!     let page = store
//!         .list(&ListQuery {
//!             owner: Some(OwnerId::new("user-1")?),
//!             filter: ListFilter::Live,
//!             text: None,
//!             from: Position::Created(None),
//!             now: SystemClock.now(),
//!             limit: 50,
//!         })
//!         .await?;
//!     assert!(page.tokens.is_empty() && page.next.is_none());
//!     Ok(())
//! }
//! ```
//!
//! The tables are called `api_token…` and migrate themselves when a store is opened, under a table of migrations of
//! their own, so that they live in a host's database beside whatever else is there: [`SqlStore::open`] says more.
//! Migrations only ever add, so that two versions of a service may run at once.

#![cfg_attr(not(test), warn(clippy::expect_used))]

#[cfg(not(any(feature = "sqlite", feature = "postgres", feature = "mysql")))]
compile_error!("choose a database: the feature `sqlite`, `postgres` or `mysql`");

mod dialect;
mod error;
mod rows;
mod store;
mod value;

pub use error::OpenError;
pub use store::SqlStore;
