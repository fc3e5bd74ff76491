//! What is asked of stored usage.

use crate::clock::Time;
use crate::refusal::Reason;
use crate::secret::Generation;
use crate::text::OwnerId;
use crate::token::TokenId;

use super::{LastUse, Signal};
use crate::scope::ScopeName;

/// Whose usage is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// That of all tokens.
    Everyone,
    /// That of an owner's tokens.
    Owner(OwnerId),
    /// That of one token.
    Token(TokenId),
}

/// What one token did within a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayOfUse {
    /// The start of the day, in UTC.
    pub day: Time,
    /// How many uses.
    pub uses: u64,
    /// How many refusals.
    pub refusals: u64,
}

/// When a token last exercised a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeUse {
    /// The scope that a route asked for.
    pub scope: ScopeName,
    /// When, to within an hour: the start of the hour of its last exercise.
    pub last: Time,
}

/// What is known of one token's usage since a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUsage {
    /// The token.
    pub token: TokenId,
    /// The days on which something happened, in order.
    pub days: Vec<DayOfUse>,
    /// Refusals since that day, by reason, in the order of their codes.
    pub refusals: Vec<(Reason, u64)>,
    /// The last use of each secret, by generation, of the latest two that were used at least: those that can be in use are among them.
    pub last: Vec<(Generation, LastUse)>,
    /// The scopes that were ever exercised, by name.
    pub scopes: Vec<ScopeUse>,
    /// The signals that were seen lately, the latest first.
    pub signals: Vec<Signal>,
}

impl TokenUsage {
    /// Of a token that was never used.
    #[must_use]
    pub fn none(token: TokenId) -> TokenUsage {
        TokenUsage {
            token,
            days: Vec::new(),
            refusals: Vec::new(),
            last: Vec::new(),
            scopes: Vec::new(),
            signals: Vec::new(),
        }
    }

    /// When any of its secrets was last used.
    #[must_use]
    pub fn last_used(&self) -> Option<Time> {
        self.last.iter().map(|(_, last)| last.at).max()
    }

    /// Uses and refusals of all days.
    #[must_use]
    pub fn total(&self) -> (u64, u64) {
        let sum = |count: fn(&DayOfUse) -> u64| self.days.iter().map(count).fold(0, u64::saturating_add);
        (sum(|day| day.uses), sum(|day| day.refusals))
    }
}

/// Up to when usage is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forget {
    /// Days that start before this.
    pub days: Time,
    /// Sources that were last seen before this, to within a day: one that was seen on the same day may be kept.
    pub sources: Time,
    /// Calls before this.
    pub calls: Time,
    /// Signals that were last seen before this.
    pub signals: Time,
}

/// Which tokens are asked for that did much within an hour.
#[derive(Debug, Clone)]
pub struct BusyQuery<'a> {
    /// Of these tokens.
    pub tokens: &'a [TokenId],
    /// The start of the hour.
    pub hour: Time,
    /// The start of the first hour that it is compared with.
    pub since: Time,
    /// Only those with so many uses, or so many refusals.
    pub uses: u64,
    /// The same for refusals.
    pub refusals: u64,
}

/// A token that did much within an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    /// The token.
    pub token: TokenId,
    /// When it was made.
    pub created_at: Time,
    /// Uses within the hour.
    pub uses: u64,
    /// Refusals within the hour.
    pub refusals: u64,
    /// The most uses of a secret within an hour before it, since the start of the query.
    pub uses_before: u64,
    /// The most refusals for one reason within an hour before it, since then.
    pub refusals_before: u64,
}
