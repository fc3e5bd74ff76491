//! How long a token is to live.

use std::time::Duration;

use serde::Serialize;

use crate::clock::{Moment, Time};
use crate::policy::Policy;

/// The end that someone gives a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// At this moment.
    At(Time),
    /// So long after it is given.
    After(Duration),
    /// Never, if the policy allows that.
    Never,
}

/// An end that a token can't be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpiryError {
    /// It is now, or over.
    #[error("the expiry is not in the future")]
    NotInFuture,
    /// It is past what the policy allows, or past the year 9999.
    #[error("the expiry is later than the policy allows; give at most {} days", max.as_secs() / 86_400)]
    TooLate {
        /// The longest life that may be given.
        max: Duration,
    },
    /// The policy asks for an expiry.
    #[error("the policy asks every token to expire; give an expiry")]
    NeverNotAllowed,
}

impl Expiry {
    /// The moment meant, checked against the policy. `None` is never.
    pub(crate) fn resolve(self, policy: &Policy, given: Moment) -> Result<Option<Time>, ExpiryError> {
        let now = given.by_clock;
        let max = policy.max_lifetime.unwrap_or_else(|| Time::MAX.since(now));
        let too_late = ExpiryError::TooLate { max };
        let at = match self {
            Expiry::Never if policy.never_expires => return Ok(None),
            Expiry::Never => return Err(ExpiryError::NeverNotAllowed),
            Expiry::At(at) => at,
            Expiry::After(span) => now.checked_add(span).ok_or_else(|| too_late.clone())?,
        };
        if at <= given.in_order {
            return Err(ExpiryError::NotInFuture);
        }
        if at.since(now) > max {
            return Err(too_late);
        }
        Ok(Some(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_in_the_future_and_within_the_policy() {
        let now = Time::from_micros(1_800_000_000_000_000).unwrap();
        let day = Duration::from_secs(86_400);
        let policy = Policy { max_lifetime: Some(30 * day), default_lifetime: day, ..Policy::default() };
        let given = Moment::new(now);
        let resolve = |expiry: Expiry| expiry.resolve(&policy, given);
        assert_eq!(resolve(Expiry::After(day)), Ok(now.checked_add(day)));
        assert_eq!(resolve(Expiry::After(30 * day)), Ok(now.checked_add(30 * day)));
        assert_eq!(resolve(Expiry::After(Duration::ZERO)), Err(ExpiryError::NotInFuture));
        assert_eq!(resolve(Expiry::At(now)), Err(ExpiryError::NotInFuture));
        assert_eq!(resolve(Expiry::At(Time::EPOCH)), Err(ExpiryError::NotInFuture));
        let late = Err(ExpiryError::TooLate { max: 30 * day });
        assert_eq!(resolve(Expiry::After(30 * day + Duration::from_micros(1))), late);
        assert_eq!(resolve(Expiry::After(Duration::MAX)), late);
        assert_eq!(resolve(Expiry::At(Time::MAX)), late);
        assert_eq!(resolve(Expiry::Never), Err(ExpiryError::NeverNotAllowed));
        let free = Policy { max_lifetime: None, never_expires: true, ..Policy::default() };
        assert_eq!(Expiry::Never.resolve(&free, given), Ok(None));
        assert_eq!(Expiry::At(Time::MAX).resolve(&free, given), Ok(Some(Time::MAX)));
    }

    #[test]
    fn a_clock_that_was_ahead_lengthens_no_life() {
        let now = Time::from_micros(1_800_000_000_000_000).unwrap();
        let day = Duration::from_secs(86_400);
        let policy = Policy { max_lifetime: Some(30 * day), default_lifetime: day, ..Policy::default() };
        let given = Moment::new(now).not_before(now.checked_add(20 * day).unwrap());
        let resolve = |expiry: Expiry| expiry.resolve(&policy, given);
        assert_eq!(resolve(Expiry::After(21 * day)), Ok(now.checked_add(21 * day)));
        assert_eq!(resolve(Expiry::After(20 * day)), Err(ExpiryError::NotInFuture), "it would be over already");
        assert_eq!(resolve(Expiry::After(31 * day)), Err(ExpiryError::TooLate { max: 30 * day }));
        assert_eq!(
            resolve(Expiry::At(now.checked_add(31 * day).unwrap())),
            Err(ExpiryError::TooLate { max: 30 * day })
        );
    }
}
