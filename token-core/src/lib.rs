//! API tokens as a domain: mint, show once, verify, scope, rotate, revoke, audit. No I/O, no framework, no runtime.
//!
//! A service embeds this crate with a store (`token-store-sqlx`) and a framework adapter (`token-axum`). What follows is the
//! whole life of a token without either:
//!
//! ```
//! use token_core::{
//!     Actor, ActorId, Caller, Ceiling, Credential, Grant, Grants, Keyring, MemoryStore, NewToken, OwnerId, Risk, Rotation,
//!     TokenName, Tokens,
//! };
//!
//! token_core::scopes! {
//!     /// The scopes of this service.
//!     pub fn catalog;
//!     pub ProjectsRead = "projects:read", "See your projects", "Projects", Risk::Low;
//!     pub ProjectsWrite = "projects:write", "Create and change projects", "Projects", Risk::Medium, implies "projects:read";
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
//! tokio::spawn(background); // stores usage, delivers events
//!
//! // Someone who is signed in to the host makes a token. Its text is shown once.
//! let ann = Actor::owner(ActorId::new("ann")?, OwnerId::new("ann")?, Ceiling::Everything);
//! let request = NewToken::new(TokenName::new("deploy")?, Grants::new([Grant::all("projects:read")?])?);
//! let minted = tokens.manage(&ann).create(&request).await?;
//! let text = minted.text.expect("the first answer shows it");
//!
//! // A program presents it.
//! let credential = Credential::Borrowed(text.expose_secret().as_bytes());
//! let verified = tokens.authenticate(Ok(credential), Caller::default()).await?;
//! assert_eq!(verified.owner().as_str(), "ann");
//! assert!(tokens.require::<ProjectsRead>(&verified).is_ok());
//! assert!(tokens.require::<ProjectsWrite>(&verified).is_err());
//!
//! // It is replaced without downtime: both values work for a day.
//! let rotated = tokens.manage(&ann).rotate(minted.token.id, &Rotation::default()).await?;
//! assert!(rotated.token.superseded.is_some());
//!
//! // And ended, every value at once.
//! tokens.manage(&ann).revoke(minted.token.id).await?;
//! let credential = Credential::Borrowed(text.expose_secret().as_bytes());
//! assert!(tokens.authenticate(Ok(credential), Caller::default()).await.is_err());
//! # Ok(())
//! # }
//! ```
//!
//! # Words
//!
//! A **token** is the grant: owner, name, grants, expiry, state. It survives rotation. A **secret** is one generation of its
//! credential: a public **selector** by which the store finds it, and a **verifier** of which the store keeps a **digest**.
//! **Token text** is what the client holds. A **scope** is `resource:action`; a **grant** is a scope and the resources it
//! reaches. An **owner** is whom a token acts for; an **actor** is who manages it. An **event** records a change; **usage** is
//! counted verifications. A **superseded** secret was replaced by rotation and works until its overlap ends.
//!
//! # Adding a store
//!
//! Implement [`TokenStore`], and run `token_core::testing::conformance` (feature `testing`) against it.

#![cfg_attr(not(test), warn(clippy::expect_used))]

mod actor;
mod answer;
mod audit;
mod base62;
mod bearer;
mod by_thread;
mod cache;
mod ceiling;
mod change;
mod clock;
mod counters;
mod edit;
mod encoding;
mod event;
mod expiry;
mod format;
mod guarded;
mod history;
mod hook;
mod keyring;
mod loads;
mod mac;
mod marks;
mod memory;
mod near;
mod network;
mod nonce;
mod owner;
mod owners;
mod policy;
mod proxies;
mod random;
mod receipt;
mod refusal;
mod rotation;
mod scope;
mod seal;
mod secret;
mod service;
mod snapshot;
mod store;
mod sync;
mod tally;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod together;
mod token;
mod usage;
#[cfg(test)]
mod vectors;

pub use actor::Actor;
pub use answer::{Answer, Realm, RealmError};
pub use audit::{AuditSink, NdjsonSink, TracingSink};
pub use bearer::{Credential, CredentialError, Sources};
pub use ceiling::{Ceilings, NoCeilings};
pub use change::{Change, ChangeId, Committed, Fingerprint, LongerLife, Outcome, OwnerGuard, Standing, Write};
pub use clock::{Clock, ManualClock, Reading, SystemClock, Time, TimeError};
pub use edit::{Edit, NewToken};
pub use event::{Event, EventDetail, EventError, EventHash, EventHead, Subject, SubjectError};
pub use expiry::{Expiry, ExpiryError};
pub use format::{ParseError, PrefixError, TokenFormat};
pub use guarded::Unguarded;
pub use history::History;
pub use keyring::{GenerateError, KeyCheck, Keyring, KeyringError};
pub use memory::MemoryStore;
pub use network::{Networks, NetworksError};
pub use nonce::{Nonce, NonceError};
pub use owner::Owner;
pub use policy::{Policy, PolicyError};
pub use proxies::TrustedProxies;
pub use random::RandomError;
pub use receipt::{Receipt, ReceiptContent};
pub use refusal::{Class, Reason, Refusal};
pub use rotation::{Overlap, Replace, Rotation, RotationError};
pub use scope::{
    Catalog, CatalogError, Ceiling, Grant, GrantError, Grants, ResourceSet, Resources, Risk, Scope, ScopeDef, ScopeName,
};
pub use seal::{BrokenSeal, Seal, Sealed};
pub use secret::{Digest, Generation, Scheme, Secret, Selector, TokenText};
pub use service::{
    Attention, Background, BuildError, Builder, Caller, Concern, ConcernKind, LastHour, Leaked, Listed, ListedOwner,
    Manage, ManageError, Minted, NoKeyring, Overview, RefusedUse, Rehearsal, Requirement, SourceSeen, TokenList,
    Tokens, UsageDetail, Verified,
};
pub use store::{Cursor, Delivery, Fault, Feed, ListFilter, ListQuery, Loaded, Page, Position, StoreError, TokenStore};
pub use text::{ActorId, KeyId, OwnerId, ResourceId, TextError, TokenName};
pub use token::{SecretRef, SecretState, Superseded, Token, TokenId, TokenIdError, TokenState};
pub use usage::{
    Advice, AdviceRules, Busy, BusyQuery, Call, CallTally, Client, DayOfUse, Forget, HourOfUse, LastUse, NovelSource,
    RecentCall, Redigest, RefusalTally, Retention, ScopeTally, ScopeUse, Signal, SignalKind, SignalRules, SignalTally,
    Source, SourceTally, Tallies, TokenUsage, Usage, UsageRules, UseTally, Whose, advise, source_network,
};

// The networks of a token are values of this crate.
pub use ipnet;
