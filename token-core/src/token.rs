//! The token: the grant that survives the rotation of its secrets.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Time;
use crate::encoding::{Canonical, Encoder};
use crate::event::EventHead;
use crate::network::Networks;
use crate::random::{Random, RandomError};
use crate::scope::Grants;
use crate::secret::{Generation, Selector};
use crate::text::{ActorId, OwnerId, TokenName};

/// The id of a token: a UUIDv7 (RFC 9562), so ids sort by the time they were made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(Uuid);

impl TokenId {
    pub(crate) const NIL: TokenId = TokenId(Uuid::nil());

    /// The id of these 16 bytes, as a store keeps them.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> TokenId {
        TokenId(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    pub(crate) fn new(now: Time, random: &Random) -> Result<TokenId, RandomError> {
        let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
        Ok(TokenId(uuid::Builder::from_unix_timestamp_millis(millis, &random.array()?).into_uuid()))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({})", self.0)
    }
}

/// The text is not a token id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a token id: write a UUID, such as 01935b2a-7c1e-7000-8000-0123456789ab")]
pub struct TokenIdError;

impl std::str::FromStr for TokenId {
    type Err = TokenIdError;

    fn from_str(text: &str) -> Result<TokenId, TokenIdError> {
        // One spelling only: an id that has two would be two resources.
        let id: Uuid = text.parse().map_err(|_| TokenIdError)?;
        if id.to_string() == text { Ok(TokenId(id)) } else { Err(TokenIdError) }
    }
}

/// Which secret of a token, by its two public names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRef {
    /// Its number within the token.
    pub generation: Generation,
    /// What the store finds it by.
    pub selector: Selector,
}

/// A secret that rotation replaced: it works until its overlap ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// Which secret.
    #[serde(flatten)]
    pub secret: SecretRef,
    /// The end of the overlap; from this moment on the secret is refused.
    pub until: Time,
}

/// A token as it stands: everything but its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id, for good.
    pub id: TokenId,
    /// Whom it acts for, for good.
    pub owner: OwnerId,
    /// What people call it.
    pub name: TokenName,
    /// What it may do, before the owner's ceiling.
    pub grants: Grants,
    /// Where it may be used from; `None` is anywhere.
    pub networks: Option<Networks>,
    /// When it was created.
    pub created_at: Time,
    /// Who created it.
    pub created_by: ActorId,
    /// From this moment on it is refused; `None` is never.
    pub expires_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    /// The secret that was shown last.
    pub current: SecretRef,
    /// The secret before it, if a rotation left it an overlap. It may be over by now.
    pub superseded: Option<Superseded>,
    /// Counts the changes of this row, from 1.
    pub revision: u64,
    /// The last event of its chain.
    pub head: EventHead,
}

/// Whether a token works at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It works.
    Live,
    /// Its expiry has come.
    Expired,
    /// It was revoked.
    Revoked,
}

/// Whether one of a token's secrets works at a moment, the token's own state aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretState {
    /// It is the one that was shown last.
    Current,
    /// It was replaced and works until `until`.
    Superseded {
        /// The end of its overlap.
        until: Time,
    },
    /// It was replaced and no longer works.
    Ended,
}

impl Token {
    /// Whether the token works at `now`. `now == expires_at` is expired.
    #[must_use]
    pub fn state(&self, now: Time) -> TokenState {
        if self.revoked_at.is_some() {
            TokenState::Revoked
        } else if self.expires_at.is_some_and(|expires| now >= expires) {
            TokenState::Expired
        } else {
            TokenState::Live
        }
    }

    /// Whether the secret works at `now`, if the token does.
    #[must_use]
    pub fn secret_state(&self, secret: SecretRef, now: Time) -> SecretState {
        if secret == self.current {
            return SecretState::Current;
        }
        match self.superseded {
            Some(old) if old.secret == secret && now < old.until => SecretState::Superseded { until: old.until },
            _ => SecretState::Ended,
        }
    }

    /// The superseded secret, if its overlap has not ended at `now`.
    #[must_use]
    pub fn overlap(&self, now: Time) -> Option<Superseded> {
        self.superseded.filter(|old| now < old.until)
    }
}

impl Canonical for Token {
    const KIND: &'static str = "api-tokens/token/v1";

    fn encode(&self, encoder: &mut Encoder) {
        encoder.bytes(self.id.as_bytes());
        encoder.text(self.owner.as_str());
        encoder.text(self.name.as_str());
        self.grants.encode(encoder);
        encoder.option(self.networks.as_ref(), |encoder, networks| {
            encoder.list(networks.as_slice().iter(), |encoder, network| encoder.text(&network.to_string()));
        });
        encoder.time(self.created_at);
        encoder.text(self.created_by.as_str());
        encoder.option(self.expires_at, Encoder::time);
        encoder.option(self.revoked_at, Encoder::time);
        encode_secret(encoder, self.current);
        encoder.option(self.superseded, |encoder, old| {
            encode_secret(encoder, old.secret);
            encoder.time(old.until);
        });
        encoder.u64(self.revision);
        self.head.encode(encoder);
    }
}

fn encode_secret(encoder: &mut Encoder, secret: SecretRef) {
    encoder.u64(u64::from(secret.generation.number()));
    encoder.bytes(secret.selector.as_bytes());
}
