//! Moments for people: how long ago or ahead, and exactly when, where the viewer lives.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use token_core::Time;

use crate::words as w;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A moment as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    /// For programs.
    pub(crate) iso: String,
    /// Where the viewer lives.
    pub(crate) exact: String,
    /// From now.
    pub(crate) relative: String,
}

/// The present moment, and the zone that moments are shown in.
#[derive(Debug, Clone)]
pub(crate) struct Dates {
    pub(crate) now: Time,
    pub(crate) zone: TimeZone,
}

impl Dates {
    pub(crate) fn moment(&self, at: Time) -> Moment {
        Moment { iso: Dates::iso(at), exact: self.exact(at), relative: self.relative(at) }
    }

    /// To the second, which is all that HTML reads of a moment.
    fn iso(at: Time) -> String {
        let second = at.as_micros() - at.as_micros() % 1_000_000;
        Time::from_micros(second).unwrap_or(at).to_string()
    }

    pub(crate) fn exact(&self, at: Time) -> String {
        self.format("%-d %b %Y, %H:%M %Z", at)
    }

    pub(crate) fn day(&self, at: Time) -> String {
        self.format("%-d %b %Y", at)
    }

    /// As an input of type `date` has it.
    pub(crate) fn input_day(&self, at: Time) -> String {
        self.format("%Y-%m-%d", at)
    }

    fn format(&self, format: &str, at: Time) -> String {
        let moment = Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
        moment.to_zoned_datetime(self.zone.clone()).strftime(format).to_string()
    }

    /// The last moment of a day, as an input of type `date` has it. `None` if it is no day, or the moment can't be kept.
    pub(crate) fn end_of_day(&self, text: &str) -> Option<Time> {
        let date: jiff::civil::Date = text.parse().ok()?;
        if date.to_string() != text {
            return None;
        }
        let next = date.tomorrow().ok()?.to_zoned_datetime(self.zone.clone()).ok()?;
        Time::from_micros(next.timestamp().as_microsecond() - 1_000_000)
    }

    fn relative(&self, at: Time) -> String {
        if at > self.now {
            let span = at.since(self.now);
            if span.as_secs() >= 60 * DAY { self.day(at) } else { w::ahead(&duration(span)) }
        } else {
            let span = self.now.since(at);
            match span.as_secs() {
                0 => w::NOW.to_owned(),
                seconds if seconds >= 60 * DAY => self.day(at),
                _ => w::ago(&duration(span)),
            }
        }
    }
}

/// A duration in its largest whole unit.
pub(crate) fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..MINUTE => w::seconds(seconds),
        MINUTE..HOUR => w::minutes(seconds / MINUTE),
        HOUR..DAY => w::hours(seconds / HOUR),
        _ => w::days(seconds / DAY),
    }
}

/// A duration that a policy names, in the largest unit that says it exactly.
pub(crate) fn exact_duration(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => w::ENDS_NOW.to_owned(),
        _ if seconds.is_multiple_of(DAY) && seconds > DAY => w::days(seconds / DAY),
        _ if seconds.is_multiple_of(HOUR) => w::hours(seconds / HOUR),
        _ if seconds.is_multiple_of(MINUTE) => w::minutes(seconds / MINUTE),
        _ => w::seconds(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(zone: &str) -> Dates {
        Dates { now: "2027-01-31T12:00:00Z".parse().unwrap(), zone: TimeZone::get(zone).unwrap() }
    }

    #[test]
    fn moments_are_told_from_now_and_exactly_where_the_viewer_lives() {
        let dates = dates("America/New_York");
        let relative = |text: &str| dates.moment(text.parse().unwrap()).relative;
        assert_eq!(relative("2027-01-31T12:00:00Z"), "now");
        assert_eq!(relative("2027-01-31T11:59:18Z"), "42 s ago");
        assert_eq!(relative("2027-01-31T11:58:00Z"), "2 min ago");
        assert_eq!(relative("2027-01-30T12:00:00Z"), "1 day ago");
        assert_eq!(relative("2027-02-03T13:00:00Z"), "in 3 days");
        assert_eq!(relative("2026-10-01T02:00:00Z"), "30 Sep 2026");
        assert_eq!(dates.moment("2027-01-31T11:59:18.5Z".parse().unwrap()).iso, "2027-01-31T11:59:18Z");
        assert_eq!(dates.exact("2027-01-31T12:00:00Z".parse().unwrap()), "31 Jan 2027, 07:00 EST");
    }

    #[test]
    fn a_day_ends_where_the_viewer_lives() {
        let end = |zone: &str, day: &str| dates(zone).end_of_day(day).map(|end| end.to_string());
        assert_eq!(end("UTC", "2027-02-28").as_deref(), Some("2027-02-28T23:59:59Z"));
        assert_eq!(end("America/New_York", "2027-02-28").as_deref(), Some("2027-03-01T04:59:59Z"));
        for bad in ["", "2027-02-29", "2027-2-1", "20270201", "2027-02-01T00:00", "9999-12-31", "0001-01-01", "x"] {
            assert_eq!(end("UTC", bad), None, "{bad}");
        }
    }
}
