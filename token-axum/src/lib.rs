//! API tokens for axum, and for any tower service: one layer, three extractors.
//!
//! The layer verifies the token of every request behind it; the extractors say what a handler needs of it. What a token
//! is, and every rule of it, is [`token_core`]'s.
//!
//! ```
//! use axum::{Json, Router, routing::get};
//! use token_axum::{Authorized, TokenLayer};
//! use token_core::{Keyring, MemoryStore, Risk, Tokens};
//!
//! token_core::scopes! {
//!     /// The scopes of this service.
//!     pub fn catalog;
//!     pub ProjectsRead = "projects:read", "See your projects", "Projects", Risk::Low;
//! }
//!
//! async fn list_projects(token: Authorized<ProjectsRead>) -> Json<Vec<String>> {
//!     Json(vec![format!("a project of {}", token.owner())])
//! }
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let (tokens, background) = Tokens::builder(MemoryStore::new())
//!     .prefix("acme_live")
//!     .keyring(Keyring::from_env("TOKEN_KEYS")?)
//!     .catalog(catalog())
//!     .build()
//!     .await?;
//! tokio::spawn(background);
//!
//! let app = Router::new()
//!     .route("/projects", get(list_projects))
//!     .route("/healthz", get(|| async { "ok" }))
//!     .layer(TokenLayer::required(&tokens).except(["/healthz"]));
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! // With the client's address, so that tokens may be restricted to networks.
//! let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
//! axum::serve(listener, app).await?;
//! # Ok(()) }
//! ```
//!
//! Whatever is refused is answered as the core says it, with an RFC 9457 problem as its body and a receipt in it, by which the
//! token's owner learns why. A request counts as one use of its token when its response is ready, or its client
//! is gone; a refused one does not.
//!
//! The header that a credential came in stays in the request, marked as sensitive: its value does not show in `Debug`. A layer
//! that prints headers belongs behind this one, or has to hide them itself.
//!
//! # Features
//! - `axum` (default): the client's address from `axum::extract::ConnectInfo`. Without it, put a [`ClientAddress`] into the
//!   request's extensions.
//! - `screen`: `management` and `screen`, which mount the management of tokens for programs and for people.

#![cfg_attr(not(test), warn(clippy::expect_used))]

mod address;
mod call;
mod extract;
mod guarded;
mod layer;
mod lines;
#[cfg(feature = "screen")]
mod management;
mod rejection;
#[cfg(feature = "screen")]
mod screen;
#[cfg(feature = "screen")]
mod surface;

pub use address::ClientAddress;
pub use extract::{AnyToken, Authorized, Limited};
pub use guarded::assert_guarded;
pub use layer::{TokenFuture, TokenLayer, TokenService};
#[cfg(feature = "screen")]
pub use management::management;
pub use rejection::Rejection;
#[cfg(feature = "screen")]
pub use screen::screen;
