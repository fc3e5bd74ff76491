//! The operator's rules for every token.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::encoding::{Canonical, Encoder};
use crate::event::{EventHash, EventHead};
use crate::seal::{Seal, Sealed};
use crate::text::KeyId;
use crate::usage::{UsageRules, seal_rules};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What every token must keep to, whoever makes it. Durations are in whole seconds where they are stored.
///
/// A change of policy is checked when tokens are made, edited and rotated; it never cuts the life of those that exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// How many live tokens an owner may have. Default 100.
    pub live_tokens_per_owner: u32,
    /// The longest life a token may be given, counted from the moment it is given. `None` sets no limit. Default one year.
    #[serde(with = "optional_seconds")]
    pub max_lifetime: Option<Duration>,
    /// Whether a token may be made that never expires. Default no.
    pub never_expires: bool,
    /// The life of a token whose maker did not say. Default 90 days.
    #[serde(with = "seconds")]
    pub default_lifetime: Duration,
    /// The longest overlap of a rotation. Default 7 days.
    #[serde(with = "seconds")]
    pub max_overlap: Duration,
    /// The overlap of a rotation whose maker did not say. Default 24 hours.
    #[serde(with = "seconds")]
    pub default_overlap: Duration,
    /// What is suspicious, what is advised, and how long usage is kept.
    pub usage: UsageRules,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            live_tokens_per_owner: 100,
            max_lifetime: Some(365 * DAY),
            never_expires: false,
            default_lifetime: 90 * DAY,
            max_overlap: 7 * DAY,
            default_overlap: DAY,
            usage: UsageRules::default(),
        }
    }
}

/// A policy that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The default life is zero, or longer than the longest.
    #[error("policy: default_lifetime must be at least a second and at most max_lifetime")]
    DefaultLifetime,
    /// The default overlap is longer than the longest.
    #[error("policy: default_overlap must be at most max_overlap")]
    DefaultOverlap,
    /// A duration of more than a thousand years, or with a fraction of a second.
    #[error("policy: durations must be whole seconds, at most a thousand years")]
    Duration,
    /// The rules of usage contradict themselves.
    #[error(
        "policy: usage must keep hours for 8 days or more, days for no less than hours, sources for longer than networks are new, signals for no less than they are shown, dead tokens for a day or more; dormant_after and idle_after must not be zero, counts and factors must be at least 1"
    )]
    Usage,
}

impl Policy {
    /// Checks that the rules agree with each other.
    ///
    /// # Errors
    /// [`PolicyError`] with the first that does not.
    pub fn check(&self) -> Result<(), PolicyError> {
        let durations =
            [Some(self.default_lifetime), self.max_lifetime, Some(self.max_overlap), Some(self.default_overlap)];
        if durations
            .into_iter()
            .flatten()
            .chain(self.usage.durations())
            .any(|span| span > 365_000 * DAY || span.subsec_nanos() != 0)
        {
            return Err(PolicyError::Duration);
        }
        if self.default_lifetime.is_zero() || self.max_lifetime.is_some_and(|max| self.default_lifetime > max) {
            return Err(PolicyError::DefaultLifetime);
        }
        if self.default_overlap > self.max_overlap {
            return Err(PolicyError::DefaultOverlap);
        }
        if !self.usage.agree() {
            return Err(PolicyError::Usage);
        }
        Ok(())
    }
}

/// The policy in force, with the head of its own event chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyRow {
    pub(crate) policy: Policy,
    pub(crate) head: EventHead,
}

impl Canonical for PolicyRow {
    const KIND: &'static str = "api-tokens/policy/v1";

    fn encode(&self, encoder: &mut Encoder) {
        let Policy {
            live_tokens_per_owner,
            max_lifetime,
            never_expires,
            default_lifetime,
            max_overlap,
            default_overlap,
            usage,
        } = &self.policy;
        let seconds = |encoder: &mut Encoder, span: Duration| encoder.u64(span.as_secs());
        encoder.u64(u64::from(*live_tokens_per_owner));
        encoder.option(*max_lifetime, seconds);
        encoder.u64(u64::from(*never_expires));
        seconds(encoder, *default_lifetime);
        seconds(encoder, *max_overlap);
        seconds(encoder, *default_overlap);
        self.head.encode(encoder);
        seal_rules(usage, encoder);
    }
}

/// How a sealed policy is kept among the facts of a store.
#[derive(Serialize, Deserialize)]
struct Stored {
    policy: Policy,
    head: EventHead,
    seal_key: KeyId,
    seal: EventHash,
}

impl Sealed<PolicyRow> {
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let row = self.unverified();
        serde_json::to_vec(&Stored {
            policy: row.policy.clone(),
            head: row.head,
            seal_key: self.seal().key.clone(),
            seal: EventHash::from_bytes(self.seal().mac),
        })
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Sealed<PolicyRow>, serde_json::Error> {
        let Stored { policy, head, seal_key, seal } = serde_json::from_slice(bytes)?;
        Ok(Sealed::from_parts(PolicyRow { policy, head }, Seal { key: seal_key, mac: *seal.as_bytes() }))
    }
}

pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(span.as_secs())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

pub(crate) mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        span.map(|span| span.as_secs()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}
