//! Time as the domain uses it: whole microseconds, read from an injected clock.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
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

    /// The start of the day, in UTC, that holds this moment.
    #[must_use]
    pub const fn day(self) -> Time {
        Time(self.0 - self.0 % 86_400_000_000)
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
    /// The wall clock, UTC: what expiry is judged by.
    fn now(&self) -> Time;

    /// How long ago a moment was that stays the same while the clock lives, by a clock that is never set: what the age of
    /// anything in memory is measured by. The operating system's, unless a clock has its own.
    fn monotonic(&self) -> Duration {
        system_monotonic()
    }

    /// Both clocks, as they are read at every request. A clock for which this costs less may show what was true up to
    /// [`reading_lag`](Clock::reading_lag) ago.
    fn reading(&self) -> Reading {
        Reading { wall: self.now(), monotonic: self.monotonic() }
    }

    /// How far a reading may be behind, at most. So much is taken from the bound on what is served from memory; what expires may be noticed
    /// so much later.
    fn reading_lag(&self) -> Duration {
        Duration::ZERO
    }
}

/// When something happens that has a history: two times, which are one unless a clock was set back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// What spans are counted from. A clock that once was ahead lengthens none.
    pub(crate) by_clock: Time,
    /// What orders it among other things, and tells what is over: never before what came last.
    pub(crate) in_order: Time,
}

impl Moment {
    pub(crate) fn new(by_clock: Time) -> Moment {
        Moment { by_clock, in_order: by_clock }
    }

    pub(crate) fn not_before(self, last: Time) -> Moment {
        Moment { in_order: self.in_order.max(last), ..self }
    }
}

/// What the two clocks show at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// See [`Clock::now`].
    pub wall: Time,
    /// See [`Clock::monotonic`].
    pub monotonic: Duration,
}

impl Reading {
    /// What the monotonic clock shows, in whole microseconds.
    #[inline]
    pub(crate) fn monotonic_micros(self) -> u64 {
        self.monotonic.as_secs() * 1_000_000 + u64::from(self.monotonic.subsec_micros())
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Time {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    fn reading(&self) -> Reading {
        (**self).reading()
    }

    fn reading_lag(&self) -> Duration {
        (**self).reading_lag()
    }
}

/// The operating system's clock.
///
/// On Linux its [`reading`](Clock::reading) is of `CLOCK_REALTIME_COARSE` and `CLOCK_MONOTONIC_COARSE` (`clock_gettime(2)`): what the kernel's
/// last tick left in memory, 1 to 10 ms ago by how the kernel is built. The exact clocks are read from the processor, which
/// has it finish first whatever it has begun: a sixth of a verification. The wall clock is read once for each tick that a thread sees.
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

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[inline]
    fn reading(&self) -> Reading {
        use std::cell::Cell;

        use rustix::time::ClockId::{MonotonicCoarse, RealtimeCoarse};

        thread_local! {
            static LAST: Cell<Reading> = const { Cell::new(Reading { wall: Time::MAX, monotonic: Duration::MAX }) };
        }
        let monotonic = span(rustix::time::clock_gettime(MonotonicCoarse));
        // From one tick to the next both clocks stand still. If the wall clock is set meanwhile, the next says so.
        let last = LAST.get();
        if monotonic == last.monotonic {
            return last;
        }
        let wall = rustix::time::clock_gettime(RealtimeCoarse);
        let micros = wall.tv_sec.saturating_mul(1_000_000).saturating_add(wall.tv_nsec / 1000);
        // As above: what can't be believed is the end of time.
        let reading = Reading { wall: Time::from_micros(micros).unwrap_or(Time::MAX), monotonic };
        LAST.set(reading);
        reading
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn reading_lag(&self) -> Duration {
        // A processor that is not given its time misses ticks, which another makes up for after some.
        span(rustix::time::clock_getres(rustix::time::ClockId::MonotonicCoarse)) * 6
    }
}

/// What `Instant` reads as well.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn system_monotonic() -> Duration {
    span(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
fn span(time: rustix::time::Timespec) -> Duration {
    // No clock that was not set is negative.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's monotonic clock")]
fn system_monotonic() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    now.saturating_duration_since(*START.get_or_init(|| now))
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
/// assert_eq!(clock.monotonic(), Duration::from_secs(60));
/// # Ok::<(), token_core::TimeError>(())
/// ```
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    /// Nanoseconds.
    monotonic: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `time`.
    #[must_use]
    pub fn at(time: Time) -> ManualClock {
        ManualClock { wall: AtomicI64::new(time.0), monotonic: AtomicU64::new(0) }
    }

    /// Lets the time come to `time`: what is in memory grows older by what lies between. A time that is past is only set, as by
    /// [`set_wall`](ManualClock::set_wall).
    pub fn set(&self, time: Time) {
        self.pass(time.since(self.now()));
        self.set_wall(time);
    }

    /// Sets the wall clock forward or back, as an operator does. No time passes.
    pub fn set_wall(&self, time: Time) {
        self.wall.store(time.0, Ordering::SeqCst);
    }

    /// Lets time pass, by both clocks; the wall clock ends at [`Time::MAX`].
    pub fn advance(&self, span: Duration) {
        self.pass(span);
        self.set_wall(self.now().checked_add(span).unwrap_or(Time::MAX));
    }

    fn pass(&self, span: Duration) {
        self.monotonic.fetch_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.monotonic.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_of_the_system_shows_what_its_two_clocks_have_just_shown() {
        let second = Duration::from_secs(1);
        assert!(SystemClock.reading_lag() < second / 10);
        for _ in 0..1000 {
            let before = (SystemClock.now(), SystemClock.monotonic());
            let reading = SystemClock.reading();
            let after = (SystemClock.now(), SystemClock.monotonic());
            // Never ahead; and behind by little, of which a machine that is busy makes more.
            assert!(reading.monotonic <= after.1 && reading.monotonic + second > before.1);
            assert!(reading.wall <= after.0 && before.0.since(reading.wall) < second);
        }
    }

    #[test]
    fn both_clocks_of_a_reading_go_on() {
        let first = SystemClock.reading();
        let mut last = first;
        // The wall clock may be of the tick after that of the other: of more than one it has gone on.
        for _ in 0..3 {
            let seen = last;
            while last.monotonic == seen.monotonic {
                last = SystemClock.reading();
            }
            assert!(last.monotonic > seen.monotonic && last.wall >= seen.wall);
        }
        assert!(last.wall > first.wall);
    }

    #[test]
    fn setting_the_wall_clock_lets_no_time_pass() {
        let clock = ManualClock::at(Time::EPOCH);
        clock.advance(Duration::from_secs(2));
        clock.set_wall(Time::MAX);
        assert_eq!(clock.reading(), Reading { wall: Time::MAX, monotonic: Duration::from_secs(2) });
        clock.set(Time::EPOCH);
        assert_eq!(clock.reading(), Reading { wall: Time::EPOCH, monotonic: Duration::from_secs(2) });
    }
}
