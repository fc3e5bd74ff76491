//! API tokens, as a domain.

#![cfg_attr(not(test), warn(clippy::expect_used))]

mod actor;
mod answer;
mod audit;
mod base62;
mod bearer;
mod ceiling;
mod change;
mod clock;
mod edit;
mod encoding;
mod event;
mod expiry;
mod format;
mod keyring;
mod memory;
mod network;
mod owner;
mod policy;
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
mod tally;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod token;
mod usage;
#[cfg(test)]
mod vectors;

pub use actor::Actor;
pub use answer::{Answer, Realm, RealmError};
pub use audit::AuditSink;
pub use bearer::{Credential, CredentialError, Sources};
pub use ceiling::{Ceilings, NoCeilings};
pub use change::{Change, ChangeId, Committed, Fingerprint, Outcome, OwnerGuard, Write};
pub use clock::{Clock, ManualClock, SystemClock, Time, TimeError};
pub use edit::{Edit, NewToken};
pub use event::{Event, EventDetail, EventError, EventHash, EventHead, History, Subject, SubjectError};
pub use expiry::{Expiry, ExpiryError};
pub use format::{ParseError, PrefixError, TokenFormat};
pub use keyring::{GenerateError, KeyCheck, Keyring, KeyringError};
pub use memory::MemoryStore;
pub use network::{Networks, NetworksError};
pub use owner::Owner;
pub use policy::{Policy, PolicyError};
pub use random::RandomError;
pub use receipt::{Receipt, ReceiptContent};
pub use refusal::{Class, Reason, Refusal};
pub use rotation::{Overlap, Replace, Rotation, RotationError};
pub use scope::{
    Catalog, CatalogError, Ceiling, Grant, GrantError, Grants, ResourceSet, Resources, Rights, Risk, Scope, ScopeDef,
    ScopeName,
};
pub use seal::{BrokenSeal, Seal, Sealed};
pub use secret::{Digest, Generation, Scheme, Secret, Selector, TokenText};
pub use service::{
    Background, BuildError, Builder, Caller, Listed, Manage, ManageError, Minted, NoKeyring, TokenList, Tokens,
    Verified,
};
pub use store::{Cursor, Delivery, Fault, Feed, ListFilter, ListQuery, Loaded, Page, Position, StoreError, TokenStore};
pub use text::{ActorId, KeyId, OwnerId, ResourceId, TextError, TokenName};
pub use token::{SecretRef, SecretState, Superseded, Token, TokenId, TokenIdError, TokenState};
pub use usage::{HourOfUse, LastUse, Redigest, RefusalTally, Tallies, Usage, UseTally};

// The networks of a token are values of this crate.
pub use ipnet;
