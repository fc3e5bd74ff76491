//! Counted verifications: kept apart from tokens, written in batches, never on the request path.

use std::net::IpAddr;

use crate::clock::Time;
use crate::refusal::Reason;
use crate::secret::{Digest, Generation, Selector};
use crate::text::KeyId;
use crate::token::TokenId;

/// When and from where a secret was last accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastUse {
    /// When.
    pub at: Time,
    /// The client's address, if it was known.
    pub address: Option<IpAddr>,
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
    /// Digests made again.
    pub redigests: Vec<Redigest>,
}

impl Tallies {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uses.is_empty() && self.refusals.is_empty() && self.redigests.is_empty()
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

/// Everything that is stored of a token's usage since a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// The last use of each secret that was ever used, by generation.
    pub last: Vec<(Generation, LastUse)>,
    /// Uses by hour, then generation.
    pub hours: Vec<HourOfUse>,
    /// Refusals by hour, then reason code.
    pub refusals: Vec<RefusalTally>,
}
