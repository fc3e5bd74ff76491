//! Refusals: the exact reason for the log and the receipt, the class of it for the client.

use std::fmt;
use std::sync::OnceLock;

use crate::clock::Time;
use crate::format::ParseError;
use crate::receipt::Receipt;
use crate::service::ServiceId;
use crate::token::TokenId;

/// Exactly why a request was refused. For logs, receipts and owners; the client is told the [`Class`] only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// The request carries no credential of an accepted kind.
    NoCredential,
    /// The credential can't be read: two at once, empty, or not in the form of its scheme.
    MalformedRequest,
    /// The text does not start with the token prefix.
    WrongPrefix,
    /// The text does not have the length of a token.
    WrongLength,
    /// The text holds a character that no token has.
    WrongAlphabet,
    /// The checksum does not match.
    WrongChecksum,
    /// There is no secret of this selector.
    UnknownSelector,
    /// The secret part is wrong.
    WrongVerifier,
    /// The digest or a seal is under a key that is not on this node's keyring: the service's mistake, not the client's.
    UnknownKey,
    /// The token's or owner's row was changed behind the application's back.
    BrokenSeal,
    /// The token was revoked.
    Revoked,
    /// The host no longer knows the owner, or the owner's row is gone.
    OwnerMissing,
    /// All tokens of the owner are suspended.
    OwnerSuspended,
    /// The token's expiry has come.
    Expired,
    /// The secret was replaced by a rotation and its overlap has ended.
    OverlapEnded,
    /// The client's address is not in the token's networks.
    NetworkNotAllowed,
    /// The token is restricted to networks, and the client's address is not known.
    AddressUnknown,
    /// The token, under its owner's ceiling, lacks the scope.
    InsufficientScope,
    /// The store did not answer.
    StoreUnavailable,
    /// The host did not say what the owner may do.
    CeilingUnavailable,
}

/// What the client learns of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// 401 with a challenge and no error.
    NoCredentials,
    /// 400 `invalid_request`.
    MalformedRequest,
    /// 401 `invalid_token`.
    InvalidToken,
    /// 403 `insufficient_scope`.
    InsufficientScope,
    /// 503 with `Retry-After`.
    Unavailable,
}

const REASONS: [(Reason, &str, Class); 20] = [
    (Reason::NoCredential, "no_credential", Class::NoCredentials),
    (Reason::MalformedRequest, "malformed_request", Class::MalformedRequest),
    (Reason::WrongPrefix, "wrong_prefix", Class::InvalidToken),
    (Reason::WrongLength, "wrong_length", Class::InvalidToken),
    (Reason::WrongAlphabet, "wrong_alphabet", Class::InvalidToken),
    (Reason::WrongChecksum, "wrong_checksum", Class::InvalidToken),
    (Reason::UnknownSelector, "unknown_selector", Class::InvalidToken),
    (Reason::WrongVerifier, "wrong_verifier", Class::InvalidToken),
    (Reason::UnknownKey, "unknown_key", Class::Unavailable),
    (Reason::BrokenSeal, "broken_seal", Class::InvalidToken),
    (Reason::Revoked, "revoked", Class::InvalidToken),
    (Reason::OwnerMissing, "owner_missing", Class::InvalidToken),
    (Reason::OwnerSuspended, "owner_suspended", Class::InvalidToken),
    (Reason::Expired, "expired", Class::InvalidToken),
    (Reason::OverlapEnded, "overlap_ended", Class::InvalidToken),
    (Reason::NetworkNotAllowed, "network_not_allowed", Class::InvalidToken),
    (Reason::AddressUnknown, "address_unknown", Class::InvalidToken),
    (Reason::InsufficientScope, "insufficient_scope", Class::InsufficientScope),
    (Reason::StoreUnavailable, "store_unavailable", Class::Unavailable),
    (Reason::CeilingUnavailable, "ceiling_unavailable", Class::Unavailable),
];

impl Reason {
    pub(crate) const COUNT: usize = REASONS.len();

    /// Every reason there is.
    pub fn all() -> impl ExactSizeIterator<Item = Reason> {
        REASONS.iter().map(|(reason, ..)| *reason)
    }

    /// A number for stores and receipts; it never changes its meaning.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8 + 1
    }

    /// The reason of a number, or `None` for one that this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Reason> {
        REASONS.get(usize::from(code).checked_sub(1)?).map(|(reason, ..)| *reason)
    }

    /// A word for logs and programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        REASONS[self as usize].1
    }

    /// What the client learns.
    #[must_use]
    pub fn class(self) -> Class {
        REASONS[self as usize].2
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<ParseError> for Reason {
    fn from(error: ParseError) -> Reason {
        match error {
            ParseError::Prefix => Reason::WrongPrefix,
            ParseError::Length => Reason::WrongLength,
            ParseError::Alphabet => Reason::WrongAlphabet,
            ParseError::Checksum => Reason::WrongChecksum,
        }
    }
}

/// A refused request: why, and what its receipt is made of once somebody asks for it.
///
/// A receipt costs more than all else of a refusal, and a flood of refusals is what someone else decides on: so it is made when
/// the request is answered, once for each refusal.
#[derive(thiserror::Error)]
#[error("refused: {reason}")]
pub struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) needed: Option<&'static str>,
    /// The token that was presented, if it is one of ours, and the moment that it was judged by. Boxed, so that what is refused
    /// for nothing of ours stays small.
    of: Option<Box<(TokenId, Time)>>,
    /// Whether the secret was shown to be known: only then it counts for its token.
    proven: bool,
    issuer: Option<ServiceId>,
    receipt: OnceLock<Box<Option<Receipt>>>,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, issuer: ServiceId) -> Refusal {
        Refusal { issuer: Some(issuer), ..Refusal::without_receipt(reason) }
    }

    pub(crate) fn without_receipt(reason: Reason) -> Refusal {
        Refusal { reason, needed: None, of: None, proven: false, issuer: None, receipt: OnceLock::new() }
    }

    /// Of a token that is ours, at a moment that was judged by.
    pub(crate) fn of(mut self, token: TokenId, at: Time) -> Refusal {
        self.of = Some(Box::new((token, at)));
        self
    }

    /// By whoever knows the secret.
    pub(crate) fn proven(self, proven: bool) -> Refusal {
        Refusal { proven, ..self }
    }

    /// The token that this refusal counts for, and when.
    pub(crate) fn counts_for(&self) -> Option<(TokenId, Time)> {
        self.of.as_deref().copied().filter(|_| self.proven)
    }

    pub(crate) fn needing(mut self, scope: &'static str) -> Refusal {
        self.needed = Some(scope);
        self
    }

    /// Exactly why. Not for the client.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What the client may learn.
    #[must_use]
    pub fn class(&self) -> Class {
        self.reason.class()
    }

    /// The scope that was missing, for [`Class::InsufficientScope`].
    #[must_use]
    pub fn needed(&self) -> Option<&'static str> {
        self.needed
    }

    /// The receipt to hand to the client, the same one however often it is asked for. `None` only if no random bytes could be had
    /// for it, or the service is gone.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        let issue = |issuer: ServiceId| issuer.service()?.receipt_for(self.reason, self.of.as_deref().copied());
        self.receipt.get_or_init(|| Box::new(self.issuer.and_then(issue))).as_ref().as_ref()
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("reason", &self.reason)
            .field("needed", &self.needed)
            .field("of", &self.of)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stable_and_words_unique() {
        for (index, reason) in Reason::all().enumerate() {
            assert_eq!(usize::from(reason.code()), index + 1);
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
            assert_eq!(Reason::all().filter(|other| other.as_str() == reason.as_str()).count(), 1);
        }
        assert_eq!(Reason::from_code(0), None);
        assert_eq!(Reason::from_code(21), None);
        assert_eq!(Reason::CeilingUnavailable.code(), 20);
    }
}
