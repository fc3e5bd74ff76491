//! Managing API tokens over HTTP, for any framework.
//!
//! A [`Management`] answers a [`Request`] with a [`Response`], two small structs that every framework can be mapped to
//! (`token_axum` does it for axum). The host says who is signed in; there is no default. A token manages no tokens, except
//! itself where [`Management::self_service`] says so.
//!
//! ```
//! use token_core::{Actor, ActorId, Caller, Ceiling, Keyring, MemoryStore, OwnerId, Risk, Tokens};
//! use token_screen::{Management, Request, SignedIn};
//!
//! token_core::scopes! {
//!     /// The scopes of this service.
//!     pub fn catalog;
//!     pub ProjectsRead = "projects:read", "See your projects", "Projects", Risk::Low;
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (tokens, background) = Tokens::builder(MemoryStore::new())
//!     .prefix("acme_live")
//!     .keyring(Keyring::parse(&Keyring::generate("k1")?)?) // in production: Keyring::from_env("TOKEN_KEYS")?
//!     .catalog(catalog())
//!     .build()
//!     .await?;
//! tokio::spawn(background);
//! let management = Management::new(&tokens, "/api/tokens").origin("https://example.org");
//!
//! // What an adapter makes of a request, and the host of its session.
//! let ann = Actor::owner(ActorId::new("ann")?, OwnerId::new("ann")?, Ceiling::Everything);
//! let request = Request {
//!     method: "POST".into(),
//!     path: "/tokens".into(),
//!     query: String::new(),
//!     headers: vec![
//!         ("origin".into(), b"https://example.org".to_vec()),
//!         ("content-type".into(), b"application/json".to_vec()),
//!     ],
//!     body: br#"{"name": "deploy", "grants": [{"scope": "projects:read", "resources": "all"}]}"#.to_vec(),
//!     caller: Caller::default(),
//! };
//! let response = management.handle(request, Some(SignedIn::by_cookie(ann, tokens.now()))).await;
//! assert_eq!(response.status, 201); // the body holds the token and, this once, its text
//! # Ok(())
//! # }
//! ```
//!
//! # The screen
//!
//! A [`Screen`] answers requests in the same way, with pages for people: the list of their tokens with what needs attention, making,
//! rotating and revoking them, and everything about one. It asks the same of whoever asks, and does what it does through the same calls.
//!
//! # The interface
//!
//! `GET /openapi.json` below the mount describes every operation. Refusals are problems (RFC 9457) whose `code` says what to do.
//! `ETag` and `If-Match` carry a token's revision; an `Idempotency-Key` makes a change that is sent twice one change, whose outcome
//! `GET /changes/{key}` tells.

#![cfg_attr(not(test), warn(clippy::expect_used))]

mod accent;
mod api;
mod assets;
mod cursor;
mod dates;
mod form;
mod guard;
mod http;
mod leak_reports;
mod management;
mod moment;
mod openapi;
mod pages;
mod percent;
mod problem;
mod route;
mod schema;
mod screen;
mod strict;
mod surface;
mod visitor;
mod words;

pub use http::{Request, Response};
pub use jiff::tz::TimeZone;
pub use leak_reports::{ReporterKeyError, ReporterKeys};
pub use management::Management;
pub use screen::Screen;
pub use surface::Surface;
pub use visitor::SignedIn;
