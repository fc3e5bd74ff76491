//! Rotation: a new secret for the same token, with both values working for a while.

use std::time::Duration;

use serde::Serialize;

use crate::clock::{Moment, Time};
use crate::expiry::{Expiry, ExpiryError};
use crate::policy::Policy;
use crate::token::{SecretRef, Superseded, Token};

/// How long a replaced secret works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// As long as the policy's default.
    #[default]
    Default,
    /// Not at all.
    Now,
    /// So long, up to the policy's cap, and never past the token's expiry.
    For(Duration),
}

/// What a rotation does to the secrets that are there. At most two secrets of a token are live after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Replace {
    /// The current secret works on for the overlap. Refused while an earlier overlap runs: its end must be named.
    Current(Overlap),
    /// The same, and an earlier overlap that still runs is ended.
    EndingSuperseded(Overlap),
    /// The current secret ends at once (its text was lost); an earlier one keeps its deadline.
    EndingCurrent,
}

/// A request for a new secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rotation {
    /// What becomes of the secrets that are there.
    pub replace: Replace,
    /// A new expiry of the token; `None` keeps the one it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
}

impl Default for Rotation {
    fn default() -> Rotation {
        Rotation { replace: Replace::Current(Overlap::Default), expiry: None }
    }
}

/// Why a token can't be rotated so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// Two secrets are live already.
    #[error("two secrets of this token work at present; say which one to end, the current or the superseded one")]
    TwoLive {
        /// When the older one ends by itself.
        until: Time,
    },
    /// The overlap is longer than the policy allows.
    #[error("the overlap is longer than the policy allows; give at most {} seconds", max.as_secs())]
    OverlapTooLong {
        /// The longest that may be given.
        max: Duration,
    },
    /// The expiry is not allowed.
    #[error(transparent)]
    Expiry(#[from] ExpiryError),
}

impl Overlap {
    fn resolve(self, policy: &Policy) -> Result<Duration, RotationError> {
        let span = match self {
            Overlap::Default => policy.default_overlap,
            Overlap::Now => Duration::ZERO,
            Overlap::For(span) => span,
        };
        if span > policy.max_overlap {
            Err(RotationError::OverlapTooLong { max: policy.max_overlap })
        } else {
            Ok(span)
        }
    }
}

impl Rotation {
    /// The token after the rotation, its revision and event aside.
    pub(crate) fn apply(
        &self,
        token: &Token,
        new: SecretRef,
        policy: &Policy,
        rotated: Moment,
    ) -> Result<Token, RotationError> {
        let now = rotated.in_order;
        let expires_at = match self.expiry {
            None => token.expires_at,
            Some(expiry) => expiry.resolve(policy, rotated)?,
        };
        let not_past_expiry = |until: Time| expires_at.map_or(until, |expires| until.min(expires));
        let superseded = match (self.replace, token.overlap(now)) {
            (Replace::Current(_), Some(old)) => return Err(RotationError::TwoLive { until: old.until }),
            (Replace::Current(overlap), None) | (Replace::EndingSuperseded(overlap), _) => {
                let until = rotated.by_clock.checked_add(overlap.resolve(policy)?).unwrap_or(Time::MAX);
                Some(Superseded { secret: token.current, until: not_past_expiry(until) })
            }
            (Replace::EndingCurrent, old) => old.map(|old| Superseded { until: not_past_expiry(old.until), ..old }),
        };
        Ok(Token { current: new, superseded: superseded.filter(|old| now < old.until), expires_at, ..token.clone() })
    }
}

/// The token after its overlap was ended; `None` if none runs.
pub(crate) fn end_overlap(token: &Token, now: Time) -> Option<(Token, SecretRef)> {
    let old = token.overlap(now)?;
    Some((Token { superseded: None, ..token.clone() }, old.secret))
}
