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

    /// Leaves so many of each kind, and answers how many counts were left out: of uses, of refusals, of both by network, and of signals that
    /// add up. What has no count is left out silently: when a scope was exercised and what was judged suspicious are soon there again, calls are a sample,
    /// and a digest is made again at the next use.
    pub(crate) fn cut_to(&mut self, most: usize) -> u64 {
        let Tallies { uses, refusals, sources, scopes, calls, signals, redigests } = self;
        let left_out = cut(uses, most, |tally| tally.count)
            .saturating_add(cut(refusals, most, |tally| tally.count))
            .saturating_add(cut(sources, most, |tally| tally.uses.saturating_add(tally.refusals)))
            .saturating_add(cut(signals, most, |tally| if tally.kind.adds_up() { tally.count } else { 0 }));
        scopes.truncate(most);
        calls.truncate(most);
        redigests.truncate(most);
        left_out
    }
}

fn cut<T>(tallies: &mut Vec<T>, most: usize, count: impl Fn(&T) -> u64) -> u64 {
    let left_out = tallies.iter().skip(most).map(count).fold(0, u64::saturating_add);
    tallies.truncate(most);
    left_out
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::refusal::Reason;
    use crate::secret::Generation;
    use crate::token::TokenId;
    use crate::usage::{LastUse, SignalKind, source_network};

    #[test]
    fn every_count_that_is_left_out_is_counted() {
        let (token, at) = (TokenId::NIL, Time::EPOCH);
        let network = |third| source_network([198, 51, third, 1].into());
        let signal = |kind, count| SignalTally { token, kind, subject: String::new(), first: at, last: at, count };
        let last = LastUse { at, address: None, client: None };
        let used = |count| UseTally { token, generation: Generation::FIRST, hour: at, count, last: last.clone() };
        let refused = |count| RefusalTally { token, reason: Reason::Revoked, hour: at, count };
        let source =
            |third, uses, refusals| SourceTally { token, network: network(third), first: at, last: at, uses, refusals };
        let all = Tallies {
            uses: vec![used(1), used(10)],
            refusals: vec![refused(1), refused(200)],
            sources: vec![source(1, 5, 5), source(2, 1000, 2000)],
            signals: vec![
                signal(SignalKind::UsedAfterRevoke, 7),
                signal(SignalKind::UsedAfterExpiry, 40_000),
                signal(SignalKind::Burst, 9),
            ],
            ..Tallies::default()
        };
        let mut cut = all.clone();
        assert_eq!(cut.cut_to(1), 10 + 200 + 3000 + 40_000);
        assert_eq!((cut.uses.len(), cut.refusals.len(), cut.sources.len(), cut.signals.len()), (1, 1, 1, 1));
        let mut whole = all.clone();
        assert_eq!((whole.cut_to(3), whole.signals.len()), (0, all.signals.len()));
    }
}
