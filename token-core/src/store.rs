//! The storage trait: what a database must promise to keep tokens.
//!
//! To add a store, implement [`TokenStore`] and run the conformance suite of
//! `token_core::testing` (feature `testing`) against it; each promise below is one of its checks.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;

use crate::change::{Change, ChangeId, Committed, Outcome};
use crate::clock::Time;
use crate::event::{Event, Subject};
use crate::owner::Owner;
use crate::refusal::Reason;
use crate::seal::Sealed;
use crate::secret::{Secret, Selector};
use crate::text::{KeyId, OwnerId, TokenName};
use crate::token::{SecretRef, SecretState, Token, TokenId, TokenState};
use crate::usage::{
    Busy, BusyQuery, Forget, NovelSource, RecentCall, Signal, Source, Tallies, TokenUsage, Usage, Whose,
};

/// Where tokens are kept. Object-safe; the service holds an `Arc<dyn TokenStore>`.
///
/// A store keeps and compares; it decides nothing and sees no key and no plaintext. Texts, selectors and ids are
/// compared byte for byte: no case folding, no accent folding, no padding. A store error is never an empty answer.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// The secrets of these selectors, each with its token and owner, read at one moment in one statement (up to a few
    /// hundred selectors; one for each few hundred beyond).
    ///
    /// Selectors without a secret are missing from the answer, whose order means nothing.
    async fn load(&self, selectors: &[Selector]) -> Result<Vec<Loaded>, StoreError>;

    /// Writes one change: its rows, its event and its id, all or nothing, through any crash.
    ///
    /// The change id is looked at first: a stored one is [`Committed::Repeat`], whatever else holds. Then the guards
    /// of [`Write`](crate::Write): where one does not hold the answer is [`Committed::Conflict`], or
    /// [`Committed::CapReached`], and nothing is written. A selector, a token id, or the number of an event of its subject
    /// that is taken is a conflict too.
    ///
    /// # Errors
    /// [`Fault::OutcomeUnknown`] if the connection was lost while the commit was under way: the caller asks
    /// [`outcome`](TokenStore::outcome), or commits the same change again. After any other error nothing was written.
    async fn commit(&self, change: &Change) -> Result<Committed, StoreError>;

    /// What is known of a change; `None` if none of this id was stored.
    async fn outcome(&self, change: &ChangeId) -> Result<Option<Outcome>, StoreError>;

    /// A token by its id.
    async fn token(&self, id: TokenId) -> Result<Option<Sealed<Token>>, StoreError>;

    /// An owner by its id.
    async fn owner(&self, id: &OwnerId) -> Result<Option<Sealed<Owner>>, StoreError>;

    /// One page of tokens.
    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError>;

    /// At most `limit` events of a subject with a number above `after`, in order.
    async fn events(&self, subject: &Subject, after: u64, limit: u32) -> Result<Vec<Event>, StoreError>;

    /// What is stored of a token's usage by hour: the last use of each secret, of the latest hundred that were used at least, and counts of the hours that start at `since` or later
    /// and were not folded. Empty for a token that is unknown or was never used.
    async fn usage(&self, token: TokenId, since: Time) -> Result<Usage, StoreError>;

    /// What is stored of the usage of these tokens: the days that start at `since` or later, hours that were not folded among them, refusals since
    /// then by reason, the last use of each secret, of the latest two that were used at least, scopes, and the signals that were last seen at `signals_since` or later, the latest first. In no order; a token of which nothing is
    /// stored may be missing.
    async fn summaries(
        &self,
        tokens: &[TokenId],
        since: Time,
        signals_since: Time,
    ) -> Result<Vec<TokenUsage>, StoreError>;

    /// At most `limit` sources of a token, the last seen first.
    async fn sources(&self, token: TokenId, limit: u32) -> Result<Vec<Source>, StoreError>;

    /// At most `limit` calls, the latest first.
    async fn calls(&self, whose: &Whose, limit: u32) -> Result<Vec<RecentCall>, StoreError>;

    /// At most `limit` signals that were last seen at `since` or later, the latest first.
    async fn signals(&self, whose: &Whose, since: Time, limit: u32) -> Result<Vec<Signal>, StoreError>;

    /// Adds tallies, all or nothing. Counts add up; a last use, a scope's last exercise and the call of a slot only move forward; a source's first request only moves
    /// back and its last only forward; so do those of a signal, whose count adds up or stays the largest, as [`SignalKind::adds_up`](crate::SignalKind::adds_up) says.
    /// A digest is replaced only while it is under [`Redigest::from`](crate::Redigest::from), and touches neither revision nor seal. Rows of tokens that were
    /// purged meanwhile are left out without an error.
    ///
    /// Where counts add up, the service never drops the future of this call and asks again: where a flush is given up, it is polled by the next. It should hold nothing
    /// up until then.
    async fn record(&self, tallies: &Tallies) -> Result<(), StoreError>;

    /// When each of these tokens was last used, by any of its secrets. Those that never were are missing.
    async fn last_used(&self, tokens: &[TokenId]) -> Result<Vec<(TokenId, Time)>, StoreError>;

    /// The sources of these tokens that were first seen at `since` or later, at most `limit` of them: the latest to be seen.
    async fn novel_sources(&self, tokens: &[TokenId], since: Time, limit: u32) -> Result<Vec<NovelSource>, StoreError>;

    /// Those of the tokens that did as much within an hour as the query says.
    async fn busy(&self, query: &BusyQuery<'_>) -> Result<Vec<Busy>, StoreError>;

    /// Adds the counts of hours that start before `before` to those of their days, and removes those hours, of up to `limit`
    /// tokens. No count is lost or added twice. Answers of how many tokens.
    async fn fold(&self, before: Time, limit: u32) -> Result<u64, StoreError>;

    /// Deletes usage that is older than the query says, up to `limit` rows of each kind. Answers how many rows.
    async fn forget(&self, forget: &Forget, limit: u32) -> Result<u64, StoreError>;

    /// What has changed after `cursor`, in the order of the cursor, waiting up to `max_wait` for something to.
    /// `None` starts at the present end, at once and with nothing.
    ///
    /// It may answer early, with nothing. A change may get its cursor before it commits, and then come to light before a cursor that was answered already: whoever
    /// must miss nothing asks again from a cursor of some seconds ago now and then, and leaves out what it has seen.
    async fn changes(&self, cursor: Option<Cursor>, max_wait: Duration) -> Result<Feed, StoreError>;

    /// Takes up to `limit` events that were not acknowledged, oldest first, for the time of the lease: until
    /// `now + lease` no other claim gets them, and none gets a later event of the same subject.
    ///
    /// A lease that ends later than `now + 2 * lease` is none: whoever took it has a clock that is wrong, and it might never end. So clocks may
    /// differ by as much as a lease is long.
    async fn claim(&self, now: Time, lease: Duration, limit: u32) -> Result<Vec<Delivery>, StoreError>;

    /// Acknowledges claimed events: they are never claimed again. Unknown cursors are ignored.
    async fn ack(&self, delivered: &[Cursor], at: Time) -> Result<(), StoreError>;

    /// Deletes up to `limit` tokens that were dead before `before`, each with its secrets, events, change ids and usage. A token with an event that was not acknowledged stays while `keep_undelivered`.
    /// Answers how many tokens were deleted. Each goes as a whole, but not all need go together: after an error some may be gone.
    async fn purge(&self, before: Time, keep_undelivered: bool, limit: u32) -> Result<u64, StoreError>;

    /// The ids of all keys that are still needed at `now`: those of owners' seals, and of tokens that are live, those of their seals and
    /// of the digests of their secrets that are current, or superseded with an overlap that has not ended.
    async fn keys(&self, now: Time) -> Result<Vec<KeyId>, StoreError>;

    /// A value from the table of facts.
    async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes a fact if there is none of this key; answers the value that is stored now.
    async fn meta_or_insert(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError>;
}

/// A secret with all that decides about it, as read at one moment.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The secret.
    pub secret: Secret,
    /// Its token.
    pub token: Sealed<Token>,
    /// The token's owner; `None` if its row is gone.
    pub owner: Option<Sealed<Owner>>,
}

impl Loaded {
    /// Why a secret is refused that can't be verified for want of its key: what has ended needs no key to be refused, and all
    /// else is the service's mistake.
    pub(crate) fn without_key(&self, now: Time) -> Reason {
        let token = self.token.unverified();
        let secret = SecretRef { generation: self.secret.generation, selector: self.secret.selector };
        match (token.state(now), token.secret_state(secret, now)) {
            (TokenState::Revoked, _) => Reason::Revoked,
            (TokenState::Expired, _) => Reason::Expired,
            (TokenState::Live, SecretState::Ended) => Reason::OverlapEnded,
            (TokenState::Live, _) => Reason::UnknownKey,
        }
    }
}

/// Which tokens to list, and from where on.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// Only this owner's; `None` is everyone's.
    pub owner: Option<OwnerId>,
    /// Only those in this state.
    pub filter: ListFilter,
    /// Only those whose name holds this text, byte for byte.
    pub text: Option<String>,
    /// The order, and where the page starts.
    pub from: Position,
    /// The moment that states are judged by.
    pub now: Time,
    /// The most tokens on a page, from 1.
    pub limit: u32,
}

/// Which states are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListFilter {
    /// All of them.
    Any,
    /// Neither revoked nor expired.
    Live,
    /// Live, and expiring before this moment.
    ExpiringBefore(Time),
    /// Live, and no secret was ever used.
    NeverUsed,
    /// Expired and not revoked.
    Expired,
    /// Revoked.
    Revoked,
}

/// An order and a place in it: where a page starts. Each variant holds the last row before the page, or `None` at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// The newest first.
    Created(Option<TokenId>),
    /// By name, bytewise, then by id.
    Name(Option<(TokenName, TokenId)>),
    /// The first to expire first, those that never do last; then by id.
    Expiry(Option<(Option<Time>, TokenId)>),
}

impl Position {
    /// The place just after a token, in the same order.
    #[must_use]
    pub fn after(&self, token: &Token) -> Position {
        match self {
            Position::Created(_) => Position::Created(Some(token.id)),
            Position::Name(_) => Position::Name(Some((token.name.clone(), token.id))),
            Position::Expiry(_) => Position::Expiry(Some((token.expires_at, token.id))),
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// The tokens, in order.
    pub tokens: Vec<Sealed<Token>>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Position>,
}

/// A place in the log of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub i64);

/// A stretch of the log of changes.
#[derive(Debug, Clone)]
pub struct Feed {
    /// What changed, in order: the place of each change, and whose state it was. A subject may come more than once.
    pub changes: Vec<(Cursor, Subject)>,
    /// Where to go on.
    pub cursor: Cursor,
}

/// An event claimed for delivery.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What to acknowledge it by.
    pub cursor: Cursor,
    /// The event.
    pub event: Event,
}

/// What went wrong in a store, by kind: callers decide by this, never by the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The database can't be reached, or the connection was lost before anything was committed.
    ConnectionLost,
    /// No connection of the pool became free in time.
    PoolExhausted,
    /// A statement took longer than it may.
    TimedOut,
    /// The database takes no writes.
    ReadOnly,
    /// The database has no room.
    DiskFull,
    /// The database broke a deadlock or a lock was not had in time, several times over.
    Deadlock,
    /// The database could not put transactions in an order, several times over.
    Serialization,
    /// The connection was lost while a commit was under way: it may have happened.
    OutcomeUnknown,
    /// A stored row can't be read as what it should be.
    Corrupt,
    /// Anything else.
    Other,
}

impl Fault {
    fn says(self) -> &'static str {
        match self {
            Fault::ConnectionLost => "the token database can't be reached; check that it is up",
            Fault::PoolExhausted => {
                "no connection to the token database became free in time; check its load or enlarge the pool"
            }
            Fault::TimedOut => "the token database took too long; check its load",
            Fault::ReadOnly => "the token database takes no writes; check its permissions and its role",
            Fault::DiskFull => "the token database has no room left; free some space",
            Fault::Deadlock => "the token database was locked by others too long; try again",
            Fault::Serialization => "the token database could not order concurrent changes; try again",
            Fault::OutcomeUnknown => "the connection was lost during a commit; ask for the change by its id",
            Fault::Corrupt => "a row of the token database can't be read; it was changed by something else",
            Fault::Other => "the token database failed",
        }
    }
}

/// A store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{}", .fault.says())]
pub struct StoreError {
    fault: Fault,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error of this kind, with what the database said.
    pub fn new(fault: Fault, source: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
        StoreError { fault, source: Some(source.into()) }
    }

    /// What kind of error it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> StoreError {
        StoreError { fault, source: None }
    }
}
