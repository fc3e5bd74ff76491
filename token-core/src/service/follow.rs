//! Following the feed: what other processes change is no longer served from here within moments.
//!
//! The feed only hastens what the bound on staleness does anyway, so whatever fails here is tried again, and nothing waits for it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::counters;
use crate::event::Subject;
use crate::store::{Cursor, StoreError};

use super::Inner;

/// How far back the feed is read again. A change may come to light behind one that has been told: it got its place before it
/// committed. One that takes longer is left to the bound.
const WINDOW: Duration = Duration::from_secs(10);

/// The most changes that are read again, however many there are within the window.
const WINDOW_MAX: usize = 2000;

/// How often it is read again while there is something in the window.
const AGAIN: Duration = Duration::from_millis(250);

/// How long to wait for a change otherwise.
const WAIT: Duration = Duration::from_secs(1);

/// Where a follower has come to.
#[derive(Debug, Default)]
pub(super) struct Follower {
    at: Option<Place>,
    heard_at: Duration,
}

#[derive(Debug)]
struct Place {
    /// Up to where the feed was read.
    end: Cursor,
    /// From where on it is read again.
    base: Cursor,
    /// What was told after the base.
    seen: BTreeSet<Cursor>,
    /// When each end was come to that is not yet the base.
    ends: VecDeque<(Duration, Cursor)>,
    again_at: Duration,
}

/// What one look at the feed has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    News,
    Nothing,
}

impl Follower {
    /// Waits for what comes next, but no longer than until it is time to read again, and invalidates what it names.
    pub(super) async fn step(&mut self, inner: &Inner) -> Result<Told, StoreError> {
        let now = inner.clock.monotonic();
        let told = match &mut self.at {
            Some(place) if place.is_open() && now >= place.again_at => place.read_again(inner, now).await,
            Some(place) => {
                let wait = if place.is_open() { place.again_at.saturating_sub(now).min(AGAIN) } else { WAIT };
                place.read_on(inner, wait).await
            }
            None => self.begin(inner).await,
        };
        self.heard(inner, now, told.is_ok());
        told
    }

    /// Reads all there is, at once.
    pub(super) async fn catch_up(&mut self, inner: &Inner) -> Result<(), StoreError> {
        let now = inner.clock.monotonic();
        let read = match &mut self.at {
            Some(place) => place.read_again(inner, now).await,
            None => self.begin(inner).await,
        };
        self.heard(inner, now, read.is_ok());
        read.map(drop)
    }

    async fn begin(&mut self, inner: &Inner) -> Result<Told, StoreError> {
        let end = inner.store.changes(None, Duration::ZERO).await?.cursor;
        self.at =
            Some(Place { end, base: end, seen: BTreeSet::new(), ends: VecDeque::new(), again_at: Duration::ZERO });
        Ok(Told::Nothing)
    }

    fn heard(&mut self, inner: &Inner, asked: Duration, answered: bool) {
        if answered {
            self.heard_at = asked;
        }
        counters::feed_lag(inner.clock.monotonic().saturating_sub(self.heard_at));
    }
}

impl Place {
    fn is_open(&self) -> bool {
        self.base < self.end
    }

    async fn read_on(&mut self, inner: &Inner, wait: Duration) -> Result<Told, StoreError> {
        let feed = inner.store.changes(Some(self.end), wait).await?;
        Ok(self.note(inner, feed.changes, feed.cursor))
    }

    async fn read_again(&mut self, inner: &Inner, now: Duration) -> Result<Told, StoreError> {
        let mut told = Told::Nothing;
        let mut from = self.base;
        loop {
            let feed = inner.store.changes(Some(from), Duration::ZERO).await?;
            // A store that answers in stretches moves on with each; one that does not is at its end.
            let more = !feed.changes.is_empty() && feed.cursor > from;
            from = feed.cursor;
            if self.note(inner, feed.changes, feed.cursor) == Told::News {
                told = Told::News;
            }
            if !more {
                break;
            }
        }
        self.again_at = now.saturating_add(AGAIN);
        self.narrow(now);
        Ok(told)
    }

    fn note(&mut self, inner: &Inner, changes: Vec<(Cursor, Subject)>, cursor: Cursor) -> Told {
        let mut told = Told::Nothing;
        for (place, subject) in changes {
            if place > self.base && self.seen.insert(place) {
                inner.cache.invalidate(&subject);
                told = Told::News;
            }
        }
        if cursor > self.end {
            self.end = cursor;
            self.ends.push_back((inner.clock.monotonic(), cursor));
        }
        if told == Told::News {
            tracing::debug!(end = self.end.0, "the feed told of changes");
        }
        told
    }

    /// Leaves behind what was told long enough ago, or is too much to read again and again.
    fn narrow(&mut self, now: Duration) {
        while let Some((_, end)) = self.ends.pop_front_if(|(reached, _)| now.saturating_sub(*reached) >= WINDOW) {
            self.base = self.base.max(end);
        }
        let mut after = self.seen.split_off(&Cursor(self.base.0.saturating_add(1)));
        while after.len() > WINDOW_MAX
            && let Some(first) = after.pop_first()
        {
            self.base = first;
        }
        self.seen = after;
    }
}
