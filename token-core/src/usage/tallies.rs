//! What a flush writes.

use std::net::IpAddr;

use crate::clock::Time;
use crate::refusal::Reason;
use crate::scope::ScopeName;
use crate::secret::{Digest, Generation, Selector};
use crate::text::KeyId;
use crate::token::TokenId;

use super::{CallTally, Client, SignalTally, SourceTally};

/// When, from where and by whom a secret was last accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// When.
    pub at: Time,
    /// The client's address, if it was known.
    pub address: Option<IpAddr>,
    /// What the client called itself, if it did.
    pub client: Option<Client>,
}

/// Uses of one secret within one hour, since the last flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseTally {
    /// The token.
    pub token: TokenId,
    /// Which of its secrets.
    pub generation: Generation,
    /// The start of the hour.
    pub hour: Time,
    /// How many uses to add.
    pub count: u64,
    /// The latest of them.
    pub last: LastUse,
}

/// Refusals of one token for one reason within one hour, since the last flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalTally {
    /// The token.
    pub token: TokenId,
    /// Why it was refused.
    pub reason: Reason,
    /// The start of the hour.
    pub hour: Time,
    /// How many refusals to add.
    pub count: u64,
}

/// A scope that a token exercised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeTally {
    /// The token.
    pub token: TokenId,
    /// The scope that a route asked for.
    pub scope: ScopeName,
    /// The start of the hour of its last exercise.
    pub last: Time,
}

/// A digest made again under the current key, as its token was used.
#[derive(Debug, Clone)]
pub struct Redigest {
    /// Which secret.
    pub selector: Selector,
    /// The key that the stored digest must still be under.
    pub from: KeyId,
    /// The key of the new digest.
    pub to: KeyId,
    /// The new digest.
    pub digest: Digest,
}

/// What one flush writes.
#[derive(Debug, Clone, Default)]
pub struct Tallies {
    /// Accepted uses.
    pub uses: Vec<UseTally>,
    /// Refusals.
    pub refusals: Vec<RefusalTally>,
    /// Networks that requests came from.
    pub sources: Vec<SourceTally>,
    /// Scopes that were exercised.
    pub scopes: Vec<ScopeTally>,
    /// A sample of calls.
    pub calls: Vec<CallTally>,
    /// What is suspicious.
    pub signals: Vec<SignalTally>,
    /// Digests made again.
    pub redigests: Vec<Redigest>,
}

impl Tallies {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Tallies { uses, refusals, sources, scopes, calls, signals, redigests } = self;
        uses.is_empty()
            && refusals.is_empty()
            && sources.is_empty()
            && scopes.is_empty()
            && calls.is_empty()
            && signals.is_empty()
            && redigests.is_empty()
    }
}

/// Uses of one secret within one hour, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourOfUse {
    /// Which of the token's secrets.
    pub generation: Generation,
    /// The start of the hour.
    pub hour: Time,
    /// How many uses.
    pub count: u64,
}

/// What is stored of a token's usage by hour since a moment. Hours are kept for as long as the policy says; days for longer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// The last use of each secret, by generation, of the latest hundred that were used at least.
    pub last: Vec<(Generation, LastUse)>,
    /// Uses by hour, then generation.
    pub hours: Vec<HourOfUse>,
    /// Refusals by hour, then reason code.
    pub refusals: Vec<RefusalTally>,
}
