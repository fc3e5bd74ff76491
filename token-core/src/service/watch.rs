//! The watch: draws signals from what is flushed, by what is stored of before.
//!
//! What a node sees of something is written so that the same from another node, or again, is the same signal: its subject says what
//! it is about, and its count is the largest that was seen. What was looked at and found usual is remembered for a while,
//! so that usual days take few questions: one for each token and network that a process has not met yet, and one each time
//! that a token's uses within an hour have grown by a quarter, from a sixteenth of a burst on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use foldhash::fast::RandomState;
use ipnet::IpNet;

use crate::clock::Time;
use crate::store::StoreError;
use crate::token::TokenId;
use crate::usage::{BusyQuery, NovelSource, SignalKind, SignalRules, SignalTally, Tallies, UsageRules};

use super::Inner;
use super::background::tell;

/// What is remembered of each kind. Forgetting costs questions, and no signal.
const REMEMBERED: usize = 100_000;

/// New networks that are asked for at once, the latest. Whoever has a secret may come from as many as there are.
const NOVEL_MAX: u32 = 1000;

/// How long a new network that was told of is not told of again.
const TOLD_FOR: Duration = Duration::from_secs(600);

/// How long the rules are taken for those in force.
const RULES_FOR: Duration = Duration::from_secs(60);

/// What an hour is compared with.
const TRAILING: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Debug, Default)]
pub(super) struct Watch {
    rules: Option<(Time, UsageRules)>,
    /// When a token was last used, as far as this process knows.
    awake: HashMap<TokenId, Time, RandomState>,
    /// Networks that are not new.
    usual: HashMap<(TokenId, IpNet), (), RandomState>,
    /// Networks that are new, and when that was told last.
    told: HashMap<(TokenId, IpNet), Time, RandomState>,
    hours: HashMap<TokenId, Hour, RandomState>,
    /// Networks and hours that are still to be asked about.
    unasked: Unasked,
    /// Signals that are still to be stored.
    found: Vec<SignalTally>,
}

/// What was stored and is not looked at yet: where the store fails, it is asked again with the next flush.
#[derive(Debug, Default)]
struct Unasked {
    networks: HashSet<(TokenId, IpNet), RandomState>,
    hours: BTreeSet<(Time, TokenId)>,
}

/// What this process has seen of a token within an hour, and from how much on it asks what there is in all.
#[derive(Debug)]
struct Hour {
    hour: Time,
    uses: Growth,
    refusals: Growth,
}

#[derive(Debug)]
struct Growth {
    count: u64,
    ask_from: u64,
    /// What there has to be of it.
    least: u64,
}

impl Growth {
    fn to(least: u64) -> Growth {
        Growth { count: 0, ask_from: (least / 16).max(1), least }
    }

    /// Whether it has grown by enough to ask again.
    fn by(&mut self, more: u64) -> bool {
        self.count = self.count.saturating_add(more);
        self.count >= self.ask_from
    }

    fn asked(&mut self) {
        if self.count >= self.ask_from {
            let grown = self.count.saturating_add(self.count / 4 + 1);
            // The least itself is not missed by a step.
            self.ask_from = if self.count < self.least { grown.min(self.least) } else { grown };
        }
    }
}

impl Watch {
    /// The rules in force, read now and then; those from before where they can't be read, and `None` if there are none.
    pub(super) async fn rules(&mut self, inner: &Inner) -> Option<UsageRules> {
        let now = inner.clock.now();
        match &self.rules {
            // A clock that was set back does not make them last longer.
            Some((read, rules)) if now >= *read && now.since(*read) < RULES_FOR => {}
            _ => match inner.policy_in_force().await {
                Ok(policy) => self.rules = Some((now, policy.usage)),
                Err(error) => {
                    tracing::warn!(error = %error, "the policy can't be read; usage is watched by the rules from before");
                }
            },
        }
        self.rules.as_ref().map(|(_, rules)| rules.clone())
    }

    /// Those that were read last: for every flush they are read before it is stored.
    fn rules_read(&self) -> SignalRules {
        self.rules.as_ref().map(|(_, rules)| rules.signals.clone()).unwrap_or_default()
    }

    /// Tokens that were used again after a long silence: looked for before their last use moves.
    pub(super) async fn woken(
        &mut self,
        inner: &Inner,
        tallies: &Tallies,
        rules: &SignalRules,
    ) -> Result<Vec<SignalTally>, StoreError> {
        let mut used: BTreeMap<TokenId, Time> = BTreeMap::new();
        for tally in &tallies.uses {
            let at = used.entry(tally.token).or_insert(tally.last.at);
            *at = tally.last.at.min(*at);
        }
        let long_ago = |before: Time, at: Time| at.since(before) >= rules.dormant_after;
        let asked: Vec<TokenId> = used
            .iter()
            .filter(|(token, at)| self.awake.get(token).is_none_or(|before| long_ago(*before, **at)))
            .map(|(token, _)| *token)
            .collect();
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let before = inner.store.last_used(&asked).await?;
        let woken = before.into_iter().filter_map(|(token, before)| {
            let at = *used.get(&token)?;
            long_ago(before, at).then(|| SignalTally {
                token,
                kind: SignalKind::DormantAwake,
                subject: before.to_string(),
                first: at,
                last: at,
                count: 1,
            })
        });
        Ok(woken.collect())
    }

    /// Notes what is stored by now, to be looked at.
    pub(super) fn note(&mut self, tallies: &Tallies, now: Time) {
        let rules = self.rules_read();
        self.forget();
        for tally in &tallies.uses {
            let last = self.awake.entry(tally.token).or_insert(tally.last.at);
            *last = tally.last.at.max(*last);
        }
        for tally in &tallies.sources {
            let key = (tally.token, tally.network);
            let told = self.told.get(&key).is_some_and(|told| now.since(*told) < TOLD_FOR);
            if !told && !self.usual.contains_key(&key) && self.unasked.networks.len() < REMEMBERED {
                self.unasked.networks.insert(key);
            }
        }
        let uses = tallies.uses.iter().map(|tally| (tally.token, tally.hour, tally.count, 0));
        let refusals = tallies.refusals.iter().map(|tally| (tally.token, tally.hour, 0, tally.count));
        for (token, hour, uses, refusals) in uses.chain(refusals) {
            let new = || Hour { hour, uses: Growth::to(rules.burst_uses), refusals: Growth::to(rules.spike_refusals) };
            let seen = self.hours.entry(token).or_insert_with(new);
            if seen.hour < hour {
                *seen = new();
            }
            // Of an hour that is over there may be some more to come, which is looked at as well.
            let grown = seen.uses.by(uses) | seen.refusals.by(refusals);
            if grown && self.unasked.hours.len() < REMEMBERED {
                self.unasked.hours.insert((hour, token));
            }
        }
    }

    /// Looks at what was noted, and stores and tells what is suspicious about it. What can't be had of the store now is looked at again.
    pub(super) async fn look(&mut self, inner: &Inner) -> Result<(), StoreError> {
        let rules = self.rules_read();
        let networks = self.new_networks(inner, &rules).await;
        let hours = self.busy(inner, &rules).await;
        if !self.found.is_empty() {
            let mut signals = Tallies { signals: self.found.clone(), ..Tallies::default() };
            // Those of before are the same again, or there is more of them.
            signals.sort();
            // What it is about and its largest count: stored twice, it is the same.
            inner.store.record(&signals).await?;
            self.found.clear();
            signals.signals.iter().for_each(tell);
        }
        networks.and(hours)
    }

    async fn new_networks(&mut self, inner: &Inner, rules: &SignalRules) -> Result<(), StoreError> {
        let mut tokens: Vec<TokenId> = self.unasked.networks.iter().map(|(token, _)| *token).collect();
        tokens.sort_unstable();
        tokens.dedup();
        if tokens.is_empty() {
            return Ok(());
        }
        let now = inner.clock.now();
        let since = now.saturating_sub(rules.new_network_for);
        let novel = inner.store.novel_sources(&tokens, since, NOVEL_MAX).await?;
        let mut unknown = std::mem::take(&mut self.unasked.networks);
        // Of what was cut off nothing is known, until it is used again.
        let all = u32::try_from(novel.len()).is_ok_and(|novel| novel < NOVEL_MAX);
        for NovelSource { token, began, source } in novel {
            let is_new = source.first_seen.since(began) >= rules.learning;
            if !is_new || !unknown.remove(&(token, source.network)) {
                continue;
            }
            self.told.insert((token, source.network), now);
            self.found.push(SignalTally {
                token,
                kind: SignalKind::NewNetwork,
                subject: source.network.to_string(),
                first: source.first_seen,
                last: source.last_seen,
                count: source.uses.saturating_add(source.refusals),
            });
        }
        if all {
            self.usual.extend(unknown.into_iter().map(|key| (key, ())));
        }
        Ok(())
    }

    async fn busy(&mut self, inner: &Inner, rules: &SignalRules) -> Result<(), StoreError> {
        while let Some((hour, _)) = self.unasked.hours.first().copied() {
            let of_hour = self.unasked.hours.iter().take_while(|(other, _)| *other == hour);
            let tokens: Vec<TokenId> = of_hour.map(|(_, token)| *token).collect();
            let query = BusyQuery {
                tokens: &tokens,
                hour,
                since: hour.saturating_sub(TRAILING),
                uses: rules.burst_uses,
                refusals: rules.spike_refusals,
            };
            let busy = inner.store.busy(&query).await?;
            self.unasked.hours.retain(|(other, _)| *other != hour);
            for token in &tokens {
                if let Some(seen) = self.hours.get_mut(token) {
                    seen.uses.asked();
                    seen.refusals.asked();
                }
            }
            let last = inner.clock.now();
            let signal =
                |token, kind, count| SignalTally { token, kind, subject: hour.to_string(), first: hour, last, count };
            for busy in busy {
                let stands_out = |count: u64, least: u64, factor: u32, before: u64| {
                    count >= least && count >= before.saturating_mul(factor.into())
                };
                let grown_up = hour.since(busy.created_at) >= rules.learning;
                if grown_up && stands_out(busy.uses, rules.burst_uses, rules.burst_factor, busy.uses_before) {
                    self.found.push(signal(busy.token, SignalKind::Burst, busy.uses));
                }
                if stands_out(busy.refusals, rules.spike_refusals, rules.spike_factor, busy.refusals_before) {
                    self.found.push(signal(busy.token, SignalKind::RefusalSpike, busy.refusals));
                }
            }
        }
        Ok(())
    }

    fn forget(&mut self) {
        if self.awake.len() > REMEMBERED {
            self.awake.clear();
        }
        if self.usual.len() > REMEMBERED {
            self.usual.clear();
        }
        if self.told.len() > REMEMBERED {
            self.told.clear();
        }
        if self.hours.len() > REMEMBERED {
            self.hours.clear();
        }
        // Of signals that can't be stored for long the first ones are the ones to keep.
        self.found.truncate(REMEMBERED);
    }
}
