//! Signals: something suspicious, drawn from usage.

use std::fmt;

use crate::clock::Time;
use crate::refusal::Reason;
use crate::text::TokenName;
use crate::token::TokenId;

/// What is suspicious.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SignalKind {
    /// The token was presented after it was revoked.
    UsedAfterRevoke,
    /// The token was presented after its expiry.
    UsedAfterExpiry,
    /// A superseded secret was presented after its overlap had ended.
    UsedAfterOverlap,
    /// The token was presented while its row does not fit its seal.
    BrokenSeal,
    /// The token was used or refused from a network that was not seen before; the subject is the network.
    NewNetwork,
    /// Far more uses within an hour than in any of the token's hours before; the subject is the hour, the count its uses.
    Burst,
    /// A token was used again after a long silence; the subject is the use before the silence.
    DormantAwake,
    /// Far more refusals within an hour than in any of the token's hours before; the subject is the hour, the count its refusals.
    RefusalSpike,
}

const KINDS: [(SignalKind, u8, &str); 8] = [
    (SignalKind::UsedAfterRevoke, 1, "used_after_revoke"),
    (SignalKind::UsedAfterExpiry, 2, "used_after_expiry"),
    (SignalKind::UsedAfterOverlap, 3, "used_after_overlap"),
    (SignalKind::BrokenSeal, 4, "broken_seal"),
    (SignalKind::NewNetwork, 17, "new_network"),
    (SignalKind::Burst, 18, "burst"),
    (SignalKind::DormantAwake, 19, "dormant_awake"),
    (SignalKind::RefusalSpike, 20, "refusal_spike"),
];

impl SignalKind {
    /// The first code of those whose count is the largest that was told, and not the sum: what several nodes see of one thing
    /// is one thing.
    pub const FIRST_OF_LARGEST: u8 = 16;

    /// Every kind there is.
    pub fn all() -> impl ExactSizeIterator<Item = SignalKind> {
        KINDS.iter().map(|(kind, ..)| *kind)
    }

    /// A number for stores; it never changes its meaning.
    #[must_use]
    pub fn code(self) -> u8 {
        KINDS[self as usize].1
    }

    /// The kind of a number, or `None` for one that this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<SignalKind> {
        KINDS.iter().find(|(_, known, _)| *known == code).map(|(kind, ..)| *kind)
    }

    /// A word for logs and programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        KINDS[self as usize].2
    }

    /// Whether counts of this kind add up; else the largest is kept.
    #[must_use]
    pub fn adds_up(self) -> bool {
        self.code() < SignalKind::FIRST_OF_LARGEST
    }

    /// What a refusal by itself is a signal of.
    #[must_use]
    pub fn of_refusal(reason: Reason) -> Option<SignalKind> {
        match reason {
            Reason::Revoked => Some(SignalKind::UsedAfterRevoke),
            Reason::Expired => Some(SignalKind::UsedAfterExpiry),
            Reason::OverlapEnded => Some(SignalKind::UsedAfterOverlap),
            Reason::BrokenSeal => Some(SignalKind::BrokenSeal),
            _ => None,
        }
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A signal to be stored: one row for its token, kind and subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalTally {
    /// The token.
    pub token: TokenId,
    /// What is suspicious.
    pub kind: SignalKind,
    /// What tells signals of one kind apart, at most 64 bytes; empty where there is one of a token.
    pub subject: String,
    /// When it was seen first.
    pub first: Time,
    /// When it was seen last.
    pub last: Time,
    /// How often: to be added, or the largest so far, as the kind says.
    pub count: u64,
}

/// A signal as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// The token.
    pub token: TokenId,
    /// What people call the token.
    pub name: TokenName,
    /// What is suspicious.
    pub kind: SignalKind,
    /// What tells signals of one kind apart: a network, an hour, a moment; empty where there is one of a token.
    pub subject: String,
    /// When it was seen first.
    pub first: Time,
    /// When it was seen last.
    pub last: Time,
    /// How often.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stable_and_words_unique() {
        for (index, kind) in SignalKind::all().enumerate() {
            assert_eq!(kind as usize, index);
            assert_eq!(SignalKind::from_code(kind.code()), Some(kind));
            assert_eq!(SignalKind::all().filter(|other| other.as_str() == kind.as_str()).count(), 1);
        }
        let codes: Vec<u8> = SignalKind::all().map(SignalKind::code).collect();
        assert_eq!(codes, [1, 2, 3, 4, 17, 18, 19, 20]);
        assert!(SignalKind::BrokenSeal.adds_up() && !SignalKind::NewNetwork.adds_up());
    }
}
