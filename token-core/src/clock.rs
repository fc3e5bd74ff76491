//! Time as the domain uses it: whole microseconds, read from an injected clock.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment: whole microseconds since 1970-01-01T00:00:00Z, never before it.
///
/// Microseconds are what all supported databases keep, so a time is the same before it is sealed, in the
/// database, and when its seal is checked. Prints and (de)serializes as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Time = Time(0);
    /// The last moment that can be expressed, late on 9999-12-30.
    pub const MAX: Time = Time(253_402_207_200_999_999);

    /// The moment `micros` microseconds after [`Time::EPOCH`], or `None` outside `EPOCH..=MAX`.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Option<Time> {
        if micros < 0 || micros > Time::MAX.0 { None } else { Some(Time(micros)) }
    }

    /// Microseconds since [`Time::EPOCH`].
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This moment moved forward, or `None` past [`Time::MAX`].
    #[must_use]
    pub fn checked_add(self, span: Duration) -> Option<Time> {
        let micros = i64::try_from(span.as_micros()).ok()?;
        Time::from_micros(self.0.checked_add(micros)?)
    }

    /// This moment moved back, at most to [`Time::EPOCH`].
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Time {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Time(self.0.saturating_sub(micros).max(0))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The start of the hour that holds this moment.
    #[must_use]
    pub const fn hour(self) -> Time {
        Time(self.0 - self.0 % 3_600_000_000)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => moment.fmt(f),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not an RFC 3339 moment between 1970 and 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time: write RFC 3339, such as 2027-01-31T00:00:00Z, from 1970 to 9999")]
pub struct TimeError;

impl std::str::FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Time, TimeError> {
        let moment: jiff::Timestamp = text.parse().map_err(|_| TimeError)?;
        Time::from_micros(moment.as_microsecond()).ok_or(TimeError)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where the time comes from. The service reads no other clock.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, UTC.
    fn now(&self) -> Time;
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Time {
        (**self).now()
    }
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock that can't be believed, set before 1970 or after 9999, reads as the end of time: what expires has expired.
        let micros = since_epoch.map_or(i64::MAX, |span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX));
        Time(micros.min(Time::MAX.0))
    }
}

/// A clock that stands still until it is moved: for tests, a host's own included.
///
/// ```
/// use std::time::Duration;
/// use token_core::{Clock, ManualClock, Time};
///
/// let clock = ManualClock::at("2027-01-31T00:00:00Z".parse()?);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().to_string(), "2027-01-31T00:01:00Z");
/// # Ok::<(), token_core::TimeError>(())
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `time`.
    #[must_use]
    pub fn at(time: Time) -> ManualClock {
        ManualClock(AtomicI64::new(time.0))
    }

    /// Moves the clock to `time`, forward or back.
    pub fn set(&self, time: Time) {
        self.0.store(time.0, Ordering::SeqCst);
    }

    /// Moves the clock forward, at most to [`Time::MAX`].
    pub fn advance(&self, span: Duration) {
        self.set(self.now().checked_add(span).unwrap_or(Time::MAX));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }
}
