//! The tally: usage counted in memory between two flushes, bounded.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::by_thread::ByThread;
use crate::clock::Time;
use crate::refusal::Reason;
use crate::secret::{Generation, Selector};
use crate::token::TokenId;
use crate::usage::{LastUse, Redigest, RefusalTally, Tallies, UseTally};

/// Entries of each kind between two flushes. Overload drops counts, never requests.
const ENTRIES_MAX: usize = 100_000;

/// What a thread's map of uses or refusals may hold and be emptied where it is, so that what is counted again after a flush is
/// counted without allocating.
const KEPT: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: ByThread<Mutex<Counts>>,
    /// The entries of all threads.
    uses: AtomicUsize,
    refusals: AtomicUsize,
    redigests: Mutex<HashMap<Selector, Redigest>>,
    dropped: AtomicU64,
}

/// What one thread has counted. Only the flush ever meets it there.
#[derive(Debug, Default)]
struct Counts {
    uses: HashMap<Key<Generation>, (u64, LastUse), RandomState>,
    refusals: HashMap<Key<Reason>, u64, RandomState>,
}

/// What is counted apart: a token, one of its secrets or a reason, an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key<T>(TokenId, T, Time);

impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        // Half of an id is random already, and what else there is to a key has few values.
        let [.., a, b, c, d, e, f, g, h] = *self.0.as_bytes();
        hasher.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl Tally {
    pub(crate) fn used(&self, token: TokenId, generation: Generation, last: LastUse) {
        self.add_use(&mut self.own(), Key(token, generation, last.at.hour()), 1, last);
    }

    pub(crate) fn refused(&self, token: TokenId, reason: Reason, at: Time) {
        self.add_refusal(&mut self.own(), Key(token, reason, at.hour()), 1);
    }

    pub(crate) fn redigested(&self, redigest: Redigest) {
        let mut redigests = lock(&self.redigests);
        if redigests.len() < ENTRIES_MAX {
            redigests.insert(redigest.selector, redigest);
        }
    }

    /// Takes everything counted so far, sorted, and how many counts were dropped.
    pub(crate) fn take(&self) -> (Tallies, u64) {
        let mut uses = Vec::new();
        let mut refusals = Vec::new();
        for counts in self.counts.all() {
            let mut counts = lock(counts);
            let before = (uses.len(), refusals.len());
            empty_into(&mut counts.uses, &mut uses);
            empty_into(&mut counts.refusals, &mut refusals);
            self.uses.fetch_sub(uses.len() - before.0, Ordering::Relaxed);
            self.refusals.fetch_sub(refusals.len() - before.1, Ordering::Relaxed);
        }
        uses.sort_unstable_by_key(|(key, _)| *key);
        uses.dedup_by(|(key, more), (first, (count, last))| {
            *key == *first && {
                *count += more.0;
                if more.1.at >= last.at {
                    *last = more.1.clone();
                }
                true
            }
        });
        refusals.sort_unstable_by_key(|(key, _)| *key);
        refusals.dedup_by(|(key, more), (first, count)| {
            *key == *first && {
                *count += *more;
                true
            }
        });
        let mut redigests: Vec<Redigest> = std::mem::take(&mut *lock(&self.redigests)).into_values().collect();
        redigests.sort_by_key(|redigest| redigest.selector);
        let tallies = Tallies {
            uses: uses
                .into_iter()
                .map(|(Key(token, generation, hour), (count, last))| UseTally { token, generation, hour, count, last })
                .collect(),
            refusals: refusals
                .into_iter()
                .map(|(Key(token, reason, hour), count)| RefusalTally { token, reason, hour, count })
                .collect(),
            redigests,
            ..Tallies::default()
        };
        (tallies, self.dropped.swap(0, Ordering::Relaxed))
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, tallies: Tallies) {
        let mut counts = self.own();
        for tally in tallies.uses {
            self.add_use(&mut counts, Key(tally.token, tally.generation, tally.hour), tally.count, tally.last);
        }
        for tally in tallies.refusals {
            self.add_refusal(&mut counts, Key(tally.token, tally.reason, tally.hour), tally.count);
        }
        drop(counts);
        let mut redigests = lock(&self.redigests);
        for redigest in tallies.redigests {
            redigests.entry(redigest.selector).or_insert(redigest);
        }
    }

    fn own(&self) -> MutexGuard<'_, Counts> {
        lock(self.counts.own())
    }

    fn add_use(&self, counts: &mut Counts, key: Key<Generation>, count: u64, last: LastUse) {
        if let Some((counted, latest)) = counts.uses.get_mut(&key) {
            *counted += count;
            if last.at >= latest.at {
                *latest = last;
            }
        } else if self.admit(&self.uses, count) {
            counts.uses.insert(key, (count, last));
        }
    }

    fn add_refusal(&self, counts: &mut Counts, key: Key<Reason>, count: u64) {
        if let Some(counted) = counts.refusals.get_mut(&key) {
            *counted += count;
        } else if self.admit(&self.refusals, count) {
            counts.refusals.insert(key, count);
        }
    }

    /// Whether there is room for one more entry; its counts are dropped if not.
    fn admit(&self, entries: &AtomicUsize, count: u64) -> bool {
        let room = entries.fetch_add(1, Ordering::Relaxed) < ENTRIES_MAX;
        if !room {
            entries.fetch_sub(1, Ordering::Relaxed);
            self.dropped.fetch_add(count, Ordering::Relaxed);
        }
        room
    }
}

/// A map that has grown large is taken as it is: its thread may be waiting.
fn empty_into<K, V>(map: &mut HashMap<K, V, RandomState>, all: &mut Vec<(K, V)>) {
    if map.len() <= KEPT { all.extend(map.drain()) } else { all.extend(std::mem::take(map)) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_counted_with_what_came_since() {
        let tally = Tally::default();
        let token = TokenId::from_bytes([1; 16]);
        let at = |seconds: i64| Time::from_micros(seconds * 1_000_000).unwrap();
        let last = |seconds: i64| LastUse { at: at(seconds), address: None, client: None };
        tally.used(token, Generation::FIRST, last(10));
        tally.refused(token, Reason::Expired, at(10));
        let (first, _) = tally.take();
        tally.used(token, Generation::FIRST, last(5));
        tally.put_back(first);
        let (all, _) = tally.take();
        assert_eq!(all.uses.len(), 1);
        assert_eq!((all.uses[0].count, &all.uses[0].last), (2, &last(10)));
        assert_eq!(all.refusals[0].count, 1);
        assert!(tally.take().0.is_empty());
    }

    #[test]
    fn what_threads_have_counted_apart_is_one_count() {
        let tally = Tally::default();
        let token = TokenId::from_bytes([1; 16]);
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        tally.used(token, Generation::FIRST, LastUse { at: Time::EPOCH, address: None, client: None });
                        tally.refused(token, Reason::Expired, Time::EPOCH);
                    }
                });
            }
        });
        let (all, dropped) = tally.take();
        assert_eq!((all.uses.len(), all.uses[0].count), (1, 400));
        assert_eq!((all.refusals.len(), all.refusals[0].count, dropped), (1, 400, 0));
    }

    #[test]
    fn an_overload_is_bounded_and_counted() {
        let tally = Tally::default();
        for number in 0..ENTRIES_MAX as u128 + 5 {
            tally.refused(TokenId::from_bytes(number.to_be_bytes()), Reason::Expired, Time::EPOCH);
        }
        let (all, dropped) = tally.take();
        assert_eq!((all.refusals.len(), dropped), (ENTRIES_MAX, 5));
        // Room again, once they are taken.
        tally.refused(TokenId::NIL, Reason::Expired, Time::EPOCH);
        assert_eq!((tally.take().0.refusals.len(), tally.take().1), (1, 0));
    }
}
