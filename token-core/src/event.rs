//! Events: the audit record of every change, chained by hash.

use std::fmt;

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::clock::Time;
use crate::encoding::{Canonical, Encoder};
use crate::network::Networks;
use crate::policy::Policy;
use crate::scope::Grants;
use crate::text::{ActorId, OwnerId, TokenName};
use crate::token::{SecretRef, Superseded, TokenId};

/// Whose history an event belongs to. Each subject has a chain of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A token.
    Token(TokenId),
    /// An owner.
    Owner(OwnerId),
    /// The policy.
    Policy,
}

impl fmt::Display for Subject {
    /// `token:<uuid>`, `owner:<id>` or `policy`: how stores keep it, at most 261 bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Token(id) => write!(f, "token:{id}"),
            Subject::Owner(id) => write!(f, "owner:{id}"),
            Subject::Policy => f.write_str("policy"),
        }
    }
}

/// A stored subject can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the subject of an event: token:<uuid>, owner:<id> or policy")]
pub struct SubjectError;

impl std::str::FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Subject, SubjectError> {
        match text.split_once(':') {
            Some(("token", id)) => id.parse().map(Subject::Token).map_err(|_| SubjectError),
            Some(("owner", id)) => OwnerId::new(id).map(Subject::Owner).map_err(|_| SubjectError),
            None if text == "policy" => Ok(Subject::Policy),
            _ => Err(SubjectError),
        }
    }
}

/// SHA-256 over the hash before and the event: a link of the chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EventHash([u8; 32]);

impl EventHash {
    /// Wraps 32 bytes read from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> EventHash {
        EventHash(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::text::write_hex(f, &self.0[..4])?;
        f.write_str("..")
    }
}

impl Serialize for EventHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Base64::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for EventHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EventHash, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        match Base64::decode(text.as_bytes(), &mut bytes) {
            Ok(decoded) if decoded.len() == 32 => Ok(EventHash(bytes)),
            _ => Err(serde::de::Error::custom("not the hash of an event: base64 of 32 bytes")),
        }
    }
}

/// The end of a chain, kept in the row of its subject and covered by the row's seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHead {
    /// The number of the last event; 0 before the first.
    pub seq: u64,
    /// Its hash; zeros before the first.
    pub hash: EventHash,
    /// When it happened: a later event never has an earlier time, even if the clock was set back.
    pub at: Time,
}

impl EventHead {
    /// Before the first event.
    pub const START: EventHead = EventHead { seq: 0, hash: EventHash([0; 32]), at: Time::EPOCH };

    /// Where to put the event of a change that must succeed, as revoking must, although the history was tampered with.
    ///
    /// Whatever happens to the rows of events, the break in the chain stays for the check of the history to name: the event is
    /// linked to what a *sound* row says, and behind a row that is not sound to nothing at all. `skip` leaves numbers free for
    /// those that forged events have taken.
    pub(crate) fn despite_tampering(self, sound: bool, skip: u64, now: Time) -> EventHead {
        // No honest history reaches such a number.
        let seq = if self.seq < 1 << 40 { self.seq } else { 0 };
        let seq = seq.saturating_add(skip);
        if sound { EventHead { seq, ..self } } else { EventHead { seq, hash: EventHash([0xff; 32]), at: now } }
    }

    /// The same, with a time that is not past `now`: one that was read from rows that can't be believed would hold all that
    /// follows in the future.
    pub(crate) fn not_after(self, now: Time) -> EventHead {
        EventHead { at: self.at.min(now), ..self }
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        encoder.u64(self.seq);
        encoder.bytes(&self.hash.0);
        encoder.time(self.at);
    }
}

/// What happened, with enough to build the state again by replaying the events of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventDetail {
    /// A token was created.
    Created {
        /// Its name.
        name: TokenName,
        /// Its grants.
        grants: Grants,
        /// Where it may be used from.
        networks: Option<Networks>,
        /// Its expiry.
        expires_at: Option<Time>,
        /// Its first secret.
        secret: SecretRef,
    },
    /// A token was edited. Only what changed is there.
    Edited {
        /// The new name.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<TokenName>,
        /// The new grants.
        #[serde(skip_serializing_if = "Option::is_none")]
        grants: Option<Grants>,
        /// The new networks; an inner `None` lifts the restriction.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        networks: Option<Option<Networks>>,
        /// The new expiry; an inner `None` is never.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        expires_at: Option<Option<Time>>,
    },
    /// A token got a new secret.
    Rotated {
        /// The new secret.
        secret: SecretRef,
        /// The secret that works on beside it for a while.
        superseded: Option<Superseded>,
        /// The expiry from now on.
        expires_at: Option<Time>,
    },
    /// The overlap of a rotation was ended early.
    OverlapEnded {
        /// The secret that no longer works.
        secret: SecretRef,
    },
    /// A token was revoked, all its secrets at once.
    Revoked,
    /// All tokens of an owner were suspended.
    Suspended,
    /// The tokens of an owner work again.
    Resumed,
    /// An operator vouched for a token's row as it stands here, since its seal was broken or made with an old key.
    Resealed {
        /// Its name.
        name: TokenName,
        /// Its grants.
        grants: Grants,
        /// Where it may be used from.
        networks: Option<Networks>,
        /// Its expiry.
        expires_at: Option<Time>,
        /// When it was revoked.
        revoked_at: Option<Time>,
        /// Its current secret.
        secret: SecretRef,
        /// Its superseded secret.
        superseded: Option<Superseded>,
    },
    /// An operator vouched for an owner's row as it stands here.
    OwnerResealed {
        /// When the owner was suspended.
        suspended_at: Option<Time>,
    },
    /// The policy was changed to this.
    PolicyChanged {
        /// The policy from now on.
        policy: Policy,
    },
}

/// Tells a field that is `null` from one that is missing.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl EventDetail {
    /// The name of the kind, as stores keep it and logs show it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            EventDetail::Created { .. } => "created",
            EventDetail::Edited { .. } => "edited",
            EventDetail::Rotated { .. } => "rotated",
            EventDetail::OverlapEnded { .. } => "overlap_ended",
            EventDetail::Revoked => "revoked",
            EventDetail::Suspended => "suspended",
            EventDetail::Resumed => "resumed",
            EventDetail::Resealed { .. } => "resealed",
            EventDetail::OwnerResealed { .. } => "owner_resealed",
            EventDetail::PolicyChanged { .. } => "policy_changed",
        }
    }
}

/// One audit record. Never edited.
///
/// The body is kept as the exact bytes that were hashed, so that no database and no later version of this crate
/// can change what the chain says by writing the same JSON differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whose history it belongs to.
    pub subject: Subject,
    /// Its number in that history, from 1.
    pub seq: u64,
    /// The owner concerned; `None` for the policy.
    pub owner: Option<OwnerId>,
    /// When it happened.
    pub at: Time,
    /// Who did it.
    pub actor: ActorId,
    /// [`EventDetail`] as JSON.
    pub body: String,
    /// The link: SHA-256 over the hash of the event before and everything above.
    pub hash: EventHash,
}

/// The body of a stored event can't be read.
#[derive(Debug, thiserror::Error)]
#[error("event {seq} of {subject} holds a body that this version can't read")]
pub struct EventError {
    /// Whose history.
    pub subject: Subject,
    /// Which event.
    pub seq: u64,
    #[source]
    source: serde_json::Error,
}

impl Event {
    /// The next event of a chain. Its time is `now`, or that of the event before if the clock was set back.
    pub(crate) fn after(
        head: EventHead,
        subject: Subject,
        owner: Option<OwnerId>,
        now: Time,
        actor: ActorId,
        detail: &EventDetail,
    ) -> Result<Event, serde_json::Error> {
        let body = serde_json::to_string(detail)?;
        // The end of the numbers is reached only by a row that was tampered with.
        let seq = head.seq.saturating_add(1);
        let mut event = Event { subject, seq, owner, at: now.max(head.at), actor, body, hash: head.hash };
        event.hash = event.link(head.hash);
        Ok(event)
    }

    /// What happened.
    ///
    /// # Errors
    /// [`EventError`] if the stored body is not one that this version knows.
    pub fn detail(&self) -> Result<EventDetail, EventError> {
        serde_json::from_str(&self.body).map_err(|source| EventError {
            subject: self.subject.clone(),
            seq: self.seq,
            source,
        })
    }

    /// The end of the chain once this event is on it.
    #[must_use]
    pub fn head(&self) -> EventHead {
        EventHead { seq: self.seq, hash: self.hash, at: self.at }
    }

    pub(crate) fn link(&self, before: EventHash) -> EventHash {
        EventHash(Sha256::new().chain_update(before.0).chain_update(self.canonical_bytes()).finalize().into())
    }
}

impl Canonical for Event {
    const KIND: &'static str = "api-tokens/event/v1";

    /// Everything but the hash itself.
    fn encode(&self, encoder: &mut Encoder) {
        encoder.text(&self.subject.to_string());
        encoder.u64(self.seq);
        encoder.option(self.owner.as_ref(), |encoder, owner| encoder.text(owner.as_str()));
        encoder.time(self.at);
        encoder.text(self.actor.as_str());
        encoder.text(&self.body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_does_not_turn_the_order_round() {
        let noon = Time::from_micros(43_200_000_000).unwrap();
        let after = |head, now| {
            let actor = ActorId::new("admin").unwrap();
            Event::after(head, Subject::Policy, None, now, actor, &EventDetail::Suspended).unwrap()
        };
        let first = after(EventHead::START, noon);
        assert_eq!((first.at, after(first.head(), Time::EPOCH).at), (noon, noon));
    }

    #[test]
    fn an_edit_tells_a_lifted_limit_from_one_left_alone() {
        let lifted = EventDetail::Edited { name: None, grants: None, networks: Some(None), expires_at: None };
        let json = serde_json::to_string(&lifted).unwrap();
        assert_eq!(json, r#"{"kind":"edited","networks":null}"#);
        assert_eq!(serde_json::from_str::<EventDetail>(&json).unwrap(), lifted);
    }
}
