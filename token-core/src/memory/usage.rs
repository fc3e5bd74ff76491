//! Usage in memory.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::clock::Time;
use crate::refusal::Reason;
use crate::scope::ScopeName;
use crate::secret::Generation;
use crate::text::TokenName;
use crate::token::TokenId;
use crate::usage::{
    Busy, BusyQuery, CallTally, DayOfUse, Forget, HourOfUse, LastUse, NovelSource, RecentCall, RefusalTally, ScopeUse,
    Signal, SignalKind, SignalTally, Source, SourceTally, Tallies, TokenUsage, Usage,
};

#[derive(Debug, Default)]
pub(super) struct UsageRows {
    last: BTreeMap<(TokenId, Generation), LastUse>,
    hours: BTreeMap<(TokenId, Time, Generation), u64>,
    refusals: BTreeMap<(TokenId, Time, Reason), u64>,
    /// Without a reason it counts uses.
    days: BTreeMap<(TokenId, Time, Option<Reason>), u64>,
    sources: BTreeMap<(TokenId, IpNet), Source>,
    scopes: BTreeMap<(TokenId, ScopeName), Time>,
    calls: BTreeMap<(TokenId, u8), CallTally>,
    signals: BTreeMap<(TokenId, SignalKind, String), SignalTally>,
}

fn add(count: &mut u64, more: u64) {
    *count = count.saturating_add(more);
}

impl UsageRows {
    pub(super) fn record(&mut self, tallies: &Tallies, exists: impl Fn(TokenId) -> bool) {
        for tally in tallies.uses.iter().filter(|tally| exists(tally.token)) {
            add(self.hours.entry((tally.token, tally.hour, tally.generation)).or_insert(0), tally.count);
            let last = self.last.entry((tally.token, tally.generation)).or_insert_with(|| tally.last.clone());
            if tally.last.at > last.at {
                *last = tally.last.clone();
            }
        }
        for tally in tallies.refusals.iter().filter(|tally| exists(tally.token)) {
            add(self.refusals.entry((tally.token, tally.hour, tally.reason)).or_insert(0), tally.count);
        }
        for tally in tallies.sources.iter().filter(|tally| exists(tally.token)) {
            let SourceTally { token, network, first, last, uses, refusals } = *tally;
            let new = Source { network, first_seen: first, last_seen: last, uses: 0, refusals: 0 };
            let source = self.sources.entry((token, network)).or_insert(new);
            source.first_seen = source.first_seen.min(first);
            source.last_seen = source.last_seen.max(last);
            add(&mut source.uses, uses);
            add(&mut source.refusals, refusals);
        }
        for tally in tallies.scopes.iter().filter(|tally| exists(tally.token)) {
            let last = self.scopes.entry((tally.token, tally.scope.clone())).or_insert(tally.last);
            *last = tally.last.max(*last);
        }
        for tally in tallies.calls.iter().filter(|tally| exists(tally.token)) {
            let call = self.calls.entry((tally.token, tally.slot)).or_insert_with(|| tally.clone());
            if tally.at > call.at {
                *call = tally.clone();
            }
        }
        for tally in tallies.signals.iter().filter(|tally| exists(tally.token)) {
            let key = (tally.token, tally.kind, tally.subject.clone());
            match self.signals.get_mut(&key) {
                None => drop(self.signals.insert(key, tally.clone())),
                Some(signal) => {
                    signal.first = signal.first.min(tally.first);
                    signal.last = signal.last.max(tally.last);
                    if tally.kind.adds_up() {
                        add(&mut signal.count, tally.count);
                    } else {
                        signal.count = signal.count.max(tally.count);
                    }
                }
            }
        }
    }

    pub(super) fn ever_used(&self, token: TokenId) -> bool {
        self.last.keys().any(|(used, _)| *used == token)
    }

    pub(super) fn forget_token(&mut self, id: TokenId) {
        self.last.retain(|(token, _), _| *token != id);
        self.hours.retain(|(token, ..), _| *token != id);
        self.refusals.retain(|(token, ..), _| *token != id);
        self.days.retain(|(token, ..), _| *token != id);
        self.sources.retain(|(token, _), _| *token != id);
        self.scopes.retain(|(token, _), _| *token != id);
        self.calls.retain(|(token, _), _| *token != id);
        self.signals.retain(|(token, ..), _| *token != id);
    }

    pub(super) fn of(&self, token: TokenId, since: Time) -> Usage {
        let hours = self.hours.iter().filter(|((used, hour, _), _)| *used == token && *hour >= since);
        let refusals = self.refusals.iter().filter(|((used, hour, _), _)| *used == token && *hour >= since);
        Usage {
            last: self.last_of(token),
            hours: hours
                .map(|((_, hour, generation), count)| HourOfUse { generation: *generation, hour: *hour, count: *count })
                .collect(),
            refusals: refusals
                .map(|((token, hour, reason), count)| RefusalTally {
                    token: *token,
                    reason: *reason,
                    hour: *hour,
                    count: *count,
                })
                .collect(),
        }
    }

    fn last_of(&self, token: TokenId) -> Vec<(Generation, LastUse)> {
        let last = self.last.iter().filter(|((used, _), _)| *used == token);
        last.map(|((_, generation), last)| (*generation, last.clone())).collect()
    }

    pub(super) fn last_used(&self, token: TokenId) -> Option<Time> {
        self.last_of(token).into_iter().map(|(_, last)| last.at).max()
    }

    /// All but its signals.
    pub(super) fn summary(&self, token: TokenId, since: Time) -> TokenUsage {
        let days = self.days.iter().map(|((used, day, reason), count)| (*used, *day, *reason, *count));
        let hours = self.hours.iter().map(|((used, hour, _), count)| (*used, hour.day(), None, *count));
        let refusals =
            self.refusals.iter().map(|((used, hour, reason), count)| (*used, hour.day(), Some(*reason), *count));
        let (mut by_day, mut by_reason) = (BTreeMap::new(), BTreeMap::new());
        for (used, day, reason, count) in days.chain(hours).chain(refusals) {
            if used != token || day < since {
                continue;
            }
            let sums = by_day.entry(day).or_insert(DayOfUse { day, uses: 0, refusals: 0 });
            match reason {
                None => add(&mut sums.uses, count),
                Some(reason) => {
                    add(&mut sums.refusals, count);
                    add(by_reason.entry(reason).or_insert(0), count);
                }
            }
        }
        let scopes = self.scopes.iter().filter(|((used, _), _)| *used == token);
        TokenUsage {
            days: by_day.into_values().collect(),
            refusals: by_reason.into_iter().collect(),
            last: self.last_of(token),
            scopes: scopes.map(|((_, scope), last)| ScopeUse { scope: scope.clone(), last: *last }).collect(),
            ..TokenUsage::none(token)
        }
    }

    pub(super) fn sources(&self, token: TokenId) -> Vec<Source> {
        let sources = self.sources.iter().filter(|((used, _), _)| *used == token);
        let mut sources: Vec<Source> = sources.map(|(_, source)| source.clone()).collect();
        sources.sort_by_key(|source| std::cmp::Reverse(source.last_seen));
        sources
    }

    pub(super) fn calls(
        &self,
        whose: impl Fn(TokenId) -> bool,
        name: impl Fn(TokenId) -> Option<TokenName>,
    ) -> Vec<RecentCall> {
        let shown = |call: &CallTally| {
            let CallTally { token, at, method, route, refused, address, .. } = call.clone();
            Some(RecentCall { at, token, name: name(token)?, method, route, refused, address })
        };
        let mut calls: Vec<&CallTally> = self.calls.values().filter(|call| whose(call.token)).collect();
        calls.sort_by_key(|call| std::cmp::Reverse((call.at, call.token, call.slot)));
        calls.into_iter().filter_map(shown).collect()
    }

    pub(super) fn signals(
        &self,
        since: Time,
        whose: impl Fn(TokenId) -> bool,
        name: impl Fn(TokenId) -> Option<TokenName>,
    ) -> Vec<Signal> {
        let shown = |signal: &SignalTally| {
            let SignalTally { token, kind, subject, first, last, count } = signal.clone();
            Some(Signal { token, name: name(token)?, kind, subject, first, last, count })
        };
        let signals = self.signals.values().filter(|signal| signal.last >= since && whose(signal.token));
        let mut signals: Vec<Signal> = signals.filter_map(shown).collect();
        signals.sort_by(|a, b| (b.last, b.token, b.kind, &b.subject).cmp(&(a.last, a.token, a.kind, &a.subject)));
        signals
    }

    pub(super) fn novel_sources(&self, token: TokenId, since: Time) -> Vec<NovelSource> {
        let sources = self.sources(token);
        let Some(began) = sources.iter().map(|source| source.first_seen).min() else { return Vec::new() };
        let novel = sources.into_iter().filter(|source| source.first_seen >= since);
        novel.map(|source| NovelSource { token, began, source }).collect()
    }

    pub(super) fn busy(&self, token: TokenId, created_at: Time, query: &BusyQuery<'_>) -> Option<Busy> {
        let sum = |hour: Time| hour == query.hour;
        let before = |hour: Time| hour >= query.since && hour < query.hour;
        let uses = || self.hours.iter().filter(|((used, ..), _)| *used == token).map(|((_, hour, _), n)| (*hour, *n));
        let refusals =
            || self.refusals.iter().filter(|((used, ..), _)| *used == token).map(|((_, hour, _), n)| (*hour, *n));
        let busy = Busy {
            token,
            created_at,
            uses: uses().filter(|(hour, _)| sum(*hour)).map(|(_, count)| count).sum(),
            refusals: refusals().filter(|(hour, _)| sum(*hour)).map(|(_, count)| count).sum(),
            uses_before: uses().filter(|(hour, _)| before(*hour)).map(|(_, count)| count).max().unwrap_or(0),
            refusals_before: refusals().filter(|(hour, _)| before(*hour)).map(|(_, count)| count).max().unwrap_or(0),
        };
        (busy.uses >= query.uses || busy.refusals >= query.refusals).then_some(busy)
    }

    pub(super) fn fold(&mut self, before: Time, limit: u32) -> u64 {
        let of_hours = self.hours.keys().map(|(token, hour, _)| (*token, *hour));
        let of_refusals = self.refusals.keys().map(|(token, hour, _)| (*token, *hour));
        let mut tokens: Vec<TokenId> =
            of_hours.chain(of_refusals).filter(|(_, hour)| *hour < before).map(|(token, _)| token).collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens.truncate(limit as usize);
        let days = &mut self.days;
        self.hours.retain(|(token, hour, _), count| {
            let folds = *hour < before && tokens.binary_search(token).is_ok();
            if folds {
                add(days.entry((*token, hour.day(), None)).or_insert(0), *count);
            }
            !folds
        });
        self.refusals.retain(|(token, hour, reason), count| {
            let folds = *hour < before && tokens.binary_search(token).is_ok();
            if folds {
                add(days.entry((*token, hour.day(), Some(*reason))).or_insert(0), *count);
            }
            !folds
        });
        tokens.len() as u64
    }

    pub(super) fn forget(&mut self, forget: &Forget, limit: u32) -> u64 {
        remove(&mut self.days, limit, |(_, day, _), _| *day < forget.days)
            + remove(&mut self.sources, limit, |_, source| source.last_seen < forget.sources)
            + remove(&mut self.calls, limit, |_, call| call.at < forget.calls)
            + remove(&mut self.signals, limit, |_, signal| signal.last < forget.signals)
    }
}

fn remove<K: Ord + Clone, V>(rows: &mut BTreeMap<K, V>, limit: u32, old: impl Fn(&K, &V) -> bool) -> u64 {
    let doomed: Vec<K> =
        rows.iter().filter(|(key, row)| old(key, row)).map(|(key, _)| key.clone()).take(limit as usize).collect();
    for key in &doomed {
        rows.remove(key);
    }
    doomed.len() as u64
}
