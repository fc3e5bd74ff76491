//! API tokens for actix-web: one middleware, three extractors.
//!
//! The middleware verifies the token of every request behind it; the extractors say what a handler needs of it. What a token
//! is, and every rule of it, is [`token_core`]'s.
//!
//! ```
//! use actix_web::{App, HttpServer, Responder, web};
//! use token_actix::{Authorized, TokenLayer};
//! use token_core::{Keyring, MemoryStore, Risk, Tokens};
//!
//! token_core::scopes! {
//!     /// The scopes of this service.
//!     pub fn catalog;
//!     pub ProjectsRead = "projects:read", "See your projects", "Projects", Risk::Low;
//! }
//!
//! async fn list_projects(token: Authorized<ProjectsRead>) -> impl Responder {
//!     web::Json(vec![format!("a project of {}", token.owner())])
//! }
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! // Built once, before the workers: each of them gets a clone.
//! let (tokens, background) = Tokens::builder(MemoryStore::new())
//!     .prefix("acme_live")
//!     .keyring(Keyring::from_env("TOKEN_KEYS")?)
//!     .catalog(catalog())
//!     .build()
//!     .await?;
//! actix_web::rt::spawn(background);
//!
//! let app = move || {
//!     App::new()
//!         .wrap(TokenLayer::required(&tokens).except(["/healthz"]))
//!         .route("/projects", web::get().to(list_projects))
//!         .route("/healthz", web::get().to(async || "ok"))
//! };
//! HttpServer::new(app).bind("127.0.0.1:3000")?.run().await?;
//! # Ok(()) }
//! ```
//!
//! Whatever is refused is answered as the core says it, with an RFC 9457 problem as its body and a receipt in it, by which the
//! token's owner learns why. A request counts as one use of its token when its response is ready, or its client
//! is gone; a refused one does not.
//!
//! The header that a credential came in stays in the request, marked as sensitive: its value does not show in `Debug`. A middleware
//! that prints headers belongs behind this one, or has to hide them itself. What is wrapped last is met first:
//! `App::new().wrap(prints).wrap(TokenLayer::required(&tokens))`.
//!
//! # Features
//! - `screen`: `management` and `screen`, which mount the management of tokens for programs and for people.

#![cfg_attr(not(test), warn(clippy::expect_used))]

mod address;
mod call;
mod extract;
mod guarded;
mod layer;
#[cfg(feature = "screen")]
mod management;
mod path;
mod rejection;
#[cfg(feature = "screen")]
mod screen;
#[cfg(feature = "screen")]
mod surface;

pub use address::ClientAddress;
pub use extract::{AnyToken, Authorized, Limited, Optional};
pub use guarded::assert_guarded;
pub use layer::{TokenFuture, TokenLayer, TokenService};
#[cfg(feature = "screen")]
pub use management::management;
pub use rejection::Rejection;
#[cfg(feature = "screen")]
pub use screen::screen;
