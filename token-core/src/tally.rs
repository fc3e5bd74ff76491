//! The tally: usage counted in memory between two flushes, bounded.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::clock::Time;
use crate::refusal::Reason;
use crate::secret::{Generation, Selector};
use crate::token::TokenId;
use crate::usage::{LastUse, Redigest, RefusalTally, Tallies, UseTally};

/// Entries of each kind between two flushes. Overload drops counts, never requests.
const ENTRIES_MAX: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    uses: HashMap<(TokenId, Generation, Time), (u64, LastUse)>,
    refusals: HashMap<(TokenId, Reason, Time), u64>,
    redigests: HashMap<Selector, Redigest>,
    dropped: u64,
}

impl Tally {
    pub(crate) fn used(&self, token: TokenId, generation: Generation, last: LastUse) {
        self.with(|counts| counts.add_use((token, generation, last.at.hour()), 1, last));
    }

    pub(crate) fn refused(&self, token: TokenId, reason: Reason, at: Time) {
        self.with(|counts| counts.add_refusal((token, reason, at.hour()), 1));
    }

    pub(crate) fn redigested(&self, redigest: Redigest) {
        self.with(|counts| {
            if counts.redigests.len() < ENTRIES_MAX {
                counts.redigests.insert(redigest.selector, redigest);
            }
        });
    }

    /// Takes everything counted so far, sorted, and how many counts were dropped.
    pub(crate) fn take(&self) -> (Tallies, u64) {
        let counts = self.with(std::mem::take);
        let mut uses: Vec<UseTally> = counts
            .uses
            .into_iter()
            .map(|((token, generation, hour), (count, last))| UseTally { token, generation, hour, count, last })
            .collect();
        uses.sort_by_key(|tally| (tally.token, tally.generation, tally.hour));
        let mut refusals: Vec<RefusalTally> = counts
            .refusals
            .into_iter()
            .map(|((token, reason, hour), count)| RefusalTally { token, reason, hour, count })
            .collect();
        refusals.sort_by_key(|tally| (tally.token, tally.reason, tally.hour));
        let mut redigests: Vec<Redigest> = counts.redigests.into_values().collect();
        redigests.sort_by_key(|redigest| redigest.selector);
        (Tallies { uses, refusals, redigests }, counts.dropped)
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, tallies: Tallies) {
        self.with(|counts| {
            for tally in tallies.uses {
                counts.add_use((tally.token, tally.generation, tally.hour), tally.count, tally.last);
            }
            for tally in tallies.refusals {
                counts.add_refusal((tally.token, tally.reason, tally.hour), tally.count);
            }
            for redigest in tallies.redigests {
                counts.redigests.entry(redigest.selector).or_insert(redigest);
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Counts) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Counts {
    fn add_use(&mut self, key: (TokenId, Generation, Time), count: u64, last: LastUse) {
        if self.uses.len() >= ENTRIES_MAX && !self.uses.contains_key(&key) {
            self.dropped += count;
            return;
        }
        let entry = self.uses.entry(key).or_insert((0, last));
        entry.0 += count;
        if last.at >= entry.1.at {
            entry.1 = last;
        }
    }

    fn add_refusal(&mut self, key: (TokenId, Reason, Time), count: u64) {
        if self.refusals.len() >= ENTRIES_MAX && !self.refusals.contains_key(&key) {
            self.dropped += count;
            return;
        }
        *self.refusals.entry(key).or_insert(0) += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_counted_with_what_came_since() {
        let tally = Tally::default();
        let token = TokenId::from_bytes([1; 16]);
        let at = |seconds: i64| Time::from_micros(seconds * 1_000_000).unwrap();
        let last = |seconds: i64| LastUse { at: at(seconds), address: None };
        tally.used(token, Generation::FIRST, last(10));
        tally.refused(token, Reason::Expired, at(10));
        let (first, _) = tally.take();
        tally.used(token, Generation::FIRST, last(5));
        tally.put_back(first);
        let (all, _) = tally.take();
        assert_eq!(all.uses.len(), 1);
        assert_eq!((all.uses[0].count, all.uses[0].last), (2, last(10)));
        assert_eq!(all.refusals[0].count, 1);
        assert!(tally.take().0.is_empty());
    }

    #[test]
    fn an_overload_is_bounded_and_counted() {
        let tally = Tally::default();
        for number in 0..ENTRIES_MAX as u128 + 5 {
            tally.refused(TokenId::from_bytes(number.to_be_bytes()), Reason::Expired, Time::EPOCH);
        }
        let (all, dropped) = tally.take();
        assert_eq!((all.refusals.len(), dropped), (ENTRIES_MAX, 5));
    }
}
