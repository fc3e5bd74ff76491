//! Tallies put together: one for each key, in the order of the keys.

use super::{CallTally, RefusalTally, ScopeTally, SignalTally, SourceTally, Tallies, UseTally};

impl Tallies {
    /// Adds what another flush could not write.
    pub(crate) fn merge(&mut self, more: Tallies) {
        let Tallies { uses, refusals, sources, scopes, calls, signals, redigests } = more;
        self.uses.extend(uses);
        self.refusals.extend(refusals);
        self.sources.extend(sources);
        self.scopes.extend(scopes);
        self.calls.extend(calls);
        self.signals.extend(signals);
        // What came later is under a key at least as new.
        self.redigests.extend(redigests);
        self.redigests.sort_by_key(|redigest| redigest.selector);
        self.redigests.dedup_by_key(|redigest| redigest.selector);
        self.sort();
    }

    /// Sorts by key, and makes one of what has the same.
    pub(crate) fn sort(&mut self) {
        let Tallies { uses, refusals, sources, scopes, calls, signals, .. } = self;
        put_together(
            uses,
            |tally: &UseTally| (tally.token, tally.generation, tally.hour),
            |into, more| {
                into.count = into.count.saturating_add(more.count);
                if more.last.at >= into.last.at {
                    into.last = more.last.clone();
                }
            },
        );
        put_together(
            refusals,
            |tally: &RefusalTally| (tally.token, tally.reason, tally.hour),
            |into, more| into.count = into.count.saturating_add(more.count),
        );
        put_together(
            sources,
            |tally: &SourceTally| (tally.token, tally.network),
            |into, more| {
                into.first = into.first.min(more.first);
                into.last = into.last.max(more.last);
                into.uses = into.uses.saturating_add(more.uses);
                into.refusals = into.refusals.saturating_add(more.refusals);
            },
        );
        put_together(
            scopes,
            |tally: &ScopeTally| (tally.token, tally.scope.clone()),
            |into, more| into.last = into.last.max(more.last),
        );
        put_together(
            calls,
            |tally: &CallTally| (tally.token, tally.slot),
            |into, more| {
                if more.at > into.at {
                    *into = more.clone();
                }
            },
        );
        put_together(
            signals,
            |tally: &SignalTally| (tally.token, tally.kind, tally.subject.clone()),
            |into, more| {
                into.first = into.first.min(more.first);
                into.last = into.last.max(more.last);
                into.count = if into.kind.adds_up() {
                    into.count.saturating_add(more.count)
                } else {
                    into.count.max(more.count)
                };
            },
        );
    }

    /// Leaves so many of each kind, and answers how many counts were left out. What is a sample, or is there again soon, is not
    /// counted.
    pub(crate) fn cut_to(&mut self, most: usize) -> u64 {
        let uses: u64 = self.uses.iter().skip(most).map(|tally| tally.count).sum();
        let refusals: u64 = self.refusals.iter().skip(most).map(|tally| tally.count).sum();
        self.uses.truncate(most);
        self.refusals.truncate(most);
        self.sources.truncate(most);
        self.scopes.truncate(most);
        self.calls.truncate(most);
        self.signals.truncate(most);
        self.redigests.truncate(most);
        uses + refusals
    }
}

fn put_together<T, K: Ord>(tallies: &mut Vec<T>, key: impl Fn(&T) -> K, add: impl Fn(&mut T, &T)) {
    tallies.sort_by_key(|tally| key(tally));
    tallies.dedup_by(|more, into| {
        let same = key(more) == key(into);
        if same {
            add(into, more);
        }
        same
    });
}
