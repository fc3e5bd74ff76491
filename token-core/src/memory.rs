//! A store in memory: for tests, and for trying things out. Everything is gone with the process.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use futures_timer::Delay;

use crate::change::{Change, ChangeId, Committed, Fingerprint, Outcome, OwnerGuard, Standing, Write};
use crate::clock::Time;
use crate::event::{Event, Subject};
use crate::owner::Owner;
use crate::seal::Sealed;
use crate::secret::{Secret, Selector};
use crate::store::{Cursor, Delivery, Feed, ListFilter, ListQuery, Loaded, Page, Position, StoreError, TokenStore};
use crate::text::{KeyId, OwnerId, TokenName};
use crate::token::{SecretRef, SecretState, Token, TokenId, TokenState};
use crate::usage::{
    Busy, BusyQuery, Forget, NovelSource, RecentCall, Signal, Source, Tallies, TokenUsage, Usage, Whose,
};

mod usage;

use usage::UsageRows;

/// A [`TokenStore`] in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    owners: BTreeMap<OwnerId, Sealed<Owner>>,
    tokens: BTreeMap<TokenId, Sealed<Token>>,
    secrets: HashMap<Selector, Secret>,
    events: BTreeMap<Subject, BTreeMap<u64, Event>>,
    changes: BTreeMap<Cursor, ChangeRow>,
    last_cursor: i64,
    meta: HashMap<String, Vec<u8>>,
    usage: UsageRows,
    waiting: Vec<Waker>,
}

#[derive(Debug)]
struct ChangeRow {
    id: ChangeId,
    fingerprint: Fingerprint,
    subject: Subject,
    seq: u64,
    claimed_until: Option<Time>,
    delivered: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is made whole under the lock, and nothing in it panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn commit(&mut self, change: &Change) -> Committed {
        if let Some(outcome) = self.outcome(&change.id) {
            return Committed::Repeat(outcome);
        }
        let noted_only = matches!(change.write, Write::Nothing(_));
        if !noted_only && self.event(&change.event.subject, change.event.seq).is_some() {
            return Committed::Conflict;
        }
        match &change.write {
            Write::CreateToken { token, secret, owner, cap, now } => {
                let id = token.unverified().id;
                let owner_stands = match owner {
                    OwnerGuard::New(row) => !self.owners.contains_key(&row.unverified().id),
                    OwnerGuard::At { owner, revision } => {
                        self.owners.get(owner).is_some_and(|row| row.unverified().revision == *revision)
                    }
                };
                if !owner_stands || self.tokens.contains_key(&id) || self.secrets.contains_key(&secret.selector) {
                    return Committed::Conflict;
                }
                if self.live_others(token.unverified(), *now) >= u64::from(*cap) {
                    return Committed::CapReached;
                }
                if let OwnerGuard::New(row) = owner {
                    self.owners.insert(row.unverified().id.clone(), row.clone());
                }
                self.tokens.insert(id, token.clone());
                self.secrets.insert(secret.selector, secret.clone());
            }
            Write::UpdateToken { token, secret, longer } => {
                let row = token.unverified();
                let stands = self.tokens.get(&row.id).is_some_and(|old| old.unverified().revision + 1 == row.revision);
                let taken = secret.as_ref().is_some_and(|secret| self.secrets.contains_key(&secret.selector));
                if !stands || taken {
                    return Committed::Conflict;
                }
                if longer.is_some_and(|longer| self.live_others(row, longer.now) >= u64::from(longer.cap)) {
                    return Committed::CapReached;
                }
                self.tokens.insert(row.id, token.clone());
                if let Some(secret) = secret {
                    self.secrets.insert(secret.selector, secret.clone());
                }
            }
            Write::PutOwner { owner, expected } => {
                let row = owner.unverified();
                if self.owners.get(&row.id).map(|old| old.unverified().revision) != *expected {
                    return Committed::Conflict;
                }
                self.owners.insert(row.id.clone(), owner.clone());
            }
            Write::PutMeta { key, expected, value } => {
                if self.meta.get(key) != expected.as_ref() {
                    return Committed::Conflict;
                }
                self.meta.insert(key.clone(), value.clone());
            }
            Write::Nothing(standing) => {
                if !self.stands(standing) {
                    return Committed::Conflict;
                }
            }
        }
        self.last_cursor += 1;
        let row = ChangeRow {
            id: change.id,
            fingerprint: change.fingerprint,
            subject: change.event.subject.clone(),
            seq: change.event.seq,
            claimed_until: None,
            delivered: noted_only,
        };
        self.changes.insert(Cursor(self.last_cursor), row);
        let event = change.event.clone();
        if !noted_only {
            self.events.entry(event.subject.clone()).or_default().insert(event.seq, event);
        }
        self.waiting.drain(..).for_each(Waker::wake);
        Committed::Done
    }

    fn stands(&self, standing: &Standing) -> bool {
        match standing {
            Standing::Token { id, revision } => {
                self.tokens.get(id).is_some_and(|row| row.unverified().revision == *revision)
            }
            Standing::Owner { id, revision } => {
                self.owners.get(id).is_some_and(|row| row.unverified().revision == *revision)
            }
            Standing::Meta { key, value } => self.meta.get(key) == Some(value),
        }
    }

    fn live_others(&self, token: &Token, now: Time) -> u64 {
        let others = self.tokens.values().map(Sealed::unverified).filter(|other| other.id != token.id);
        others.filter(|other| other.owner == token.owner && other.state(now) == TokenState::Live).count() as u64
    }

    fn event(&self, subject: &Subject, seq: u64) -> Option<&Event> {
        self.events.get(subject)?.get(&seq)
    }

    fn outcome(&self, id: &ChangeId) -> Option<Outcome> {
        let row = self.changes.values().find(|row| row.id == *id)?;
        let event = self.event(&row.subject, row.seq)?.clone();
        Some(Outcome { fingerprint: row.fingerprint, event })
    }

    fn matches(&self, query: &ListQuery, token: &Token) -> bool {
        let state = token.state(query.now);
        let in_state = match query.filter {
            ListFilter::Any => true,
            ListFilter::Live => state == TokenState::Live,
            ListFilter::ExpiringBefore(end) => {
                state == TokenState::Live && token.expires_at.is_some_and(|expires| expires < end)
            }
            ListFilter::NeverUsed => state == TokenState::Live && !self.usage.ever_used(token.id),
            ListFilter::Expired => state == TokenState::Expired,
            ListFilter::Revoked => state == TokenState::Revoked,
        };
        in_state
            && query.owner.as_ref().is_none_or(|owner| token.owner == *owner)
            && query.text.as_ref().is_none_or(|text| token.name.as_str().contains(text.as_str()))
    }

    fn list(&self, query: &ListQuery) -> Page {
        let mut tokens: Vec<&Sealed<Token>> =
            self.tokens.values().filter(|row| self.matches(query, row.unverified())).collect();
        let never = |expires: Option<Time>| (expires.is_none(), expires);
        match &query.from {
            Position::Created(after) => {
                tokens.reverse();
                tokens.retain(|row| after.is_none_or(|last| row.unverified().id < last));
            }
            Position::Name(after) => {
                let key = |row: &Token| (row.name.clone(), row.id);
                tokens.sort_by_key(|row| key(row.unverified()));
                tokens.retain(|row| after.as_ref().is_none_or(|last| key(row.unverified()) > *last));
            }
            Position::Expiry(after) => {
                let key = |row: &Token| (never(row.expires_at), row.id);
                tokens.sort_by_key(|row| key(row.unverified()));
                tokens.retain(|row| after.is_none_or(|(last, id)| key(row.unverified()) > (never(last), id)));
            }
        }
        let limit = query.limit as usize;
        let more = tokens.len() > limit;
        let tokens: Vec<Sealed<Token>> = tokens.into_iter().take(limit).cloned().collect();
        let next = tokens.last().filter(|_| more).map(|last| query.from.after(last.unverified()));
        Page { tokens, next }
    }

    fn claim(&mut self, now: Time, lease: Duration, limit: u32) -> Vec<Delivery> {
        let after = |span| now.checked_add(span).unwrap_or(Time::MAX);
        let (until, longest) = (after(lease), after(lease.saturating_mul(2)));
        let mut held: Vec<Subject> = Vec::new();
        let mut taken = Vec::new();
        for (cursor, row) in &mut self.changes {
            if row.delivered || taken.len() == limit as usize {
                continue;
            }
            if row.claimed_until.is_some_and(|end| end > now && end <= longest) {
                held.push(row.subject.clone());
            } else if !held.contains(&row.subject) {
                row.claimed_until = Some(until);
                taken.push((*cursor, row.subject.clone(), row.seq));
            }
        }
        let event = |(cursor, subject, seq)| Some(Delivery { cursor, event: self.event(&subject, seq)?.clone() });
        taken.into_iter().filter_map(event).collect()
    }

    fn purge(&mut self, before: Time, keep_undelivered: bool, limit: u32) -> u64 {
        let undelivered = |id: TokenId| {
            keep_undelivered && self.changes.values().any(|row| !row.delivered && row.subject == Subject::Token(id))
        };
        let dead = |token: &Token| {
            token.revoked_at.is_some_and(|at| at < before) || token.expires_at.is_some_and(|at| at < before)
        };
        let doomed = self.tokens.values().map(Sealed::unverified).filter(|token| dead(token) && !undelivered(token.id));
        let doomed: Vec<TokenId> = doomed.map(|token| token.id).take(limit as usize).collect();
        for id in &doomed {
            let subject = Subject::Token(*id);
            self.tokens.remove(id);
            self.events.remove(&subject);
            self.secrets.retain(|_, secret| secret.token != *id);
            self.changes.retain(|_, row| row.subject != subject);
            self.usage.forget_token(*id);
        }
        doomed.len() as u64
    }

    fn record(&mut self, tallies: &Tallies) {
        self.usage.record(tallies, |token| self.tokens.contains_key(&token));
        for redigest in &tallies.redigests {
            if let Some(secret) = self.secrets.get_mut(&redigest.selector).filter(|secret| secret.key == redigest.from)
            {
                secret.digest = redigest.digest;
                secret.key = redigest.to.clone();
            }
        }
    }

    fn is_of(&self, token: TokenId, whose: &Whose) -> bool {
        match whose {
            Whose::Everyone => true,
            Whose::Owner(owner) => self.tokens.get(&token).is_some_and(|row| row.unverified().owner == *owner),
            Whose::Token(id) => token == *id,
        }
    }

    fn name(&self, token: TokenId) -> Option<TokenName> {
        self.tokens.get(&token).map(|row| row.unverified().name.clone())
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn load(&self, selectors: &[Selector]) -> Result<Vec<Loaded>, StoreError> {
        let state = self.lock();
        let load = |selector: &Selector| {
            let secret = state.secrets.get(selector)?.clone();
            let token = state.tokens.get(&secret.token)?.clone();
            let owner = state.owners.get(&token.unverified().owner).cloned();
            Some(Loaded { secret, token, owner })
        };
        Ok(selectors.iter().filter_map(load).collect())
    }

    async fn commit(&self, change: &Change) -> Result<Committed, StoreError> {
        Ok(self.lock().commit(change))
    }

    async fn outcome(&self, change: &ChangeId) -> Result<Option<Outcome>, StoreError> {
        Ok(self.lock().outcome(change))
    }

    async fn token(&self, id: TokenId) -> Result<Option<Sealed<Token>>, StoreError> {
        Ok(self.lock().tokens.get(&id).cloned())
    }

    async fn owner(&self, id: &OwnerId) -> Result<Option<Sealed<Owner>>, StoreError> {
        Ok(self.lock().owners.get(id).cloned())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        Ok(self.lock().list(query))
    }

    async fn events(&self, subject: &Subject, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let state = self.lock();
        let events = state.events.get(subject).into_iter().flatten();
        let events = events.filter(|(seq, _)| **seq > after).map(|(_, event)| event);
        Ok(events.take(limit as usize).cloned().collect())
    }

    async fn usage(&self, token: TokenId, since: Time) -> Result<Usage, StoreError> {
        Ok(self.lock().usage.of(token, since))
    }

    async fn summaries(
        &self,
        tokens: &[TokenId],
        since: Time,
        signals_since: Time,
    ) -> Result<Vec<TokenUsage>, StoreError> {
        let state = self.lock();
        let summary = |token: &TokenId| {
            let mut summary = state.usage.summary(*token, since);
            summary.signals = state.usage.signals(signals_since, |of| of == *token, |of| state.name(of));
            summary
        };
        Ok(tokens.iter().map(summary).collect())
    }

    async fn sources(&self, token: TokenId, limit: u32) -> Result<Vec<Source>, StoreError> {
        let mut sources = self.lock().usage.sources(token);
        sources.truncate(limit as usize);
        Ok(sources)
    }

    async fn calls(&self, whose: &Whose, limit: u32) -> Result<Vec<RecentCall>, StoreError> {
        let state = self.lock();
        let mut calls = state.usage.calls(|token| state.is_of(token, whose), |token| state.name(token));
        calls.truncate(limit as usize);
        Ok(calls)
    }

    async fn signals(&self, whose: &Whose, since: Time, limit: u32) -> Result<Vec<Signal>, StoreError> {
        let state = self.lock();
        let mut signals = state.usage.signals(since, |token| state.is_of(token, whose), |token| state.name(token));
        signals.truncate(limit as usize);
        Ok(signals)
    }

    async fn last_used(&self, tokens: &[TokenId]) -> Result<Vec<(TokenId, Time)>, StoreError> {
        let state = self.lock();
        Ok(tokens.iter().filter_map(|token| Some((*token, state.usage.last_used(*token)?))).collect())
    }

    async fn novel_sources(&self, tokens: &[TokenId], since: Time, limit: u32) -> Result<Vec<NovelSource>, StoreError> {
        let state = self.lock();
        let mut novel: Vec<NovelSource> =
            tokens.iter().flat_map(|token| state.usage.novel_sources(*token, since)).collect();
        novel.sort_by_key(|novel| std::cmp::Reverse(novel.source.last_seen));
        novel.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(novel)
    }

    async fn busy(&self, query: &BusyQuery<'_>) -> Result<Vec<Busy>, StoreError> {
        let state = self.lock();
        Ok(query
            .tokens
            .iter()
            .filter_map(|token| state.usage.busy(*token, state.tokens.get(token)?.unverified().created_at, query))
            .collect())
    }

    async fn fold(&self, before: Time, limit: u32) -> Result<u64, StoreError> {
        Ok(self.lock().usage.fold(before, limit))
    }

    async fn forget(&self, forget: &Forget, limit: u32) -> Result<u64, StoreError> {
        Ok(self.lock().usage.forget(forget, limit))
    }

    async fn record(&self, tallies: &Tallies) -> Result<(), StoreError> {
        self.lock().record(tallies);
        Ok(())
    }

    async fn changes(&self, cursor: Option<Cursor>, max_wait: Duration) -> Result<Feed, StoreError> {
        let Some(cursor) = cursor else {
            return Ok(Feed { changes: Vec::new(), cursor: Cursor(self.lock().last_cursor) });
        };
        let mut timeout = pin!(Delay::new(max_wait));
        poll_fn(|context| {
            let mut state = self.lock();
            let new = state.changes.range(Cursor(cursor.0.saturating_add(1))..);
            let changes: Vec<(Cursor, Subject)> = new.map(|(at, row)| (*at, row.subject.clone())).collect();
            if !changes.is_empty() || timeout.as_mut().poll(context).is_ready() {
                let end = changes.last().map_or(cursor, |(last, _)| *last);
                return Poll::Ready(Ok(Feed { changes, cursor: end }));
            }
            // One entry a waiter, however often it is polled.
            if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                state.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    async fn claim(&self, now: Time, lease: Duration, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.lock().claim(now, lease, limit))
    }

    async fn ack(&self, delivered: &[Cursor], _at: Time) -> Result<(), StoreError> {
        let mut state = self.lock();
        for cursor in delivered {
            if let Some(row) = state.changes.get_mut(cursor) {
                row.delivered = true;
            }
        }
        Ok(())
    }

    async fn purge(&self, before: Time, keep_undelivered: bool, limit: u32) -> Result<u64, StoreError> {
        Ok(self.lock().purge(before, keep_undelivered, limit))
    }

    async fn keys(&self, now: Time) -> Result<Vec<KeyId>, StoreError> {
        let state = self.lock();
        let live = |token: &&Sealed<Token>| token.unverified().state(now) == TokenState::Live;
        let needed = |secret: &&Secret| {
            let named = SecretRef { generation: secret.generation, selector: secret.selector };
            let token = state.tokens.get(&secret.token).filter(live);
            token.is_some_and(|token| token.unverified().secret_state(named, now) != SecretState::Ended)
        };
        let mut keys: Vec<KeyId> = state.secrets.values().filter(needed).map(|secret| secret.key.clone()).collect();
        keys.extend(state.tokens.values().filter(live).map(|token| token.seal().key.clone()));
        keys.extend(state.owners.values().map(|owner| owner.seal().key.clone()));
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().meta.get(key).cloned())
    }

    async fn meta_or_insert(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.lock().meta.entry(key.to_owned()).or_insert_with(|| value.to_vec()).clone())
    }
}
