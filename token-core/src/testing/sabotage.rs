//! Stores that break one promise: the proof that the suite can fail.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_timer::Delay;

use crate::change::{Change, ChangeId, Committed, Outcome, OwnerGuard, Write};
use crate::clock::Time;
use crate::event::{Event, Subject};
use crate::keyring::Keyring;
use crate::owner::Owner;
use crate::random::Random;
use crate::scope::ScopeName;
use crate::seal::Sealed;
use crate::secret::{Generation, Selector};
use crate::store::{
    Cursor, Delivery, Fault, Feed, ListFilter, ListQuery, Loaded, Page, Position, StoreError, TokenStore,
};
use crate::text::{KeyId, OwnerId, TokenName};
use crate::token::{Token, TokenId};
use crate::usage::{
    Busy, BusyQuery, Forget, LastUse, NovelSource, RecentCall, Signal, SignalTally, Source, Tallies, TokenUsage, Usage,
    Whose,
};

use super::hooked::give_way;
use super::promise::Promise;

/// Wraps a store and breaks one of its promises.
pub struct Sabotaged {
    inner: Arc<dyn TokenStore>,
    breaks: Promise,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    last_uses: HashMap<(TokenId, Generation), LastUse>,
    earlier_names: HashMap<TokenId, TokenName>,
    commits_under_way: usize,
    lost_events: HashSet<(Subject, u64)>,
    noted: HashMap<ChangeId, ChangeId>,
    scopes: HashMap<ScopeName, Time>,
    counted: Option<Tallies>,
}

impl Sabotaged {
    /// Breaks `promise` of `inner`.
    pub fn new(inner: Arc<dyn TokenStore>, promise: Promise) -> Sabotaged {
        Sabotaged { inner, breaks: promise, memory: Mutex::default() }
    }

    fn breaks(&self, promise: Promise) -> bool {
        self.breaks == promise
    }

    fn remember<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        act(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Commits what was in conflict after all, with the guard that is broken made to fit whatever is stored by now.
    async fn force(&self, change: &Change) -> Result<Committed, StoreError> {
        let mut change = change.clone();
        match (&mut change.write, self.breaks) {
            (Write::UpdateToken { .. }, Promise::EventNumbersAreUnique) => {
                change.event.seq = self.inner.events(&change.event.subject, 0, 10_000).await?.len() as u64 + 1;
            }
            (Write::UpdateToken { token, .. }, _) => {
                let stored = self.inner.token(token.unverified().id).await?.ok_or(Fault::Other)?;
                *token = reseal(Token { revision: stored.unverified().revision + 1, ..token.unverified().clone() })?;
            }
            (Write::CreateToken { secret, .. }, Promise::SelectorsAreUnique) => {
                secret.selector = Selector::random(&Random::Os).map_err(|_| Fault::Other)?;
            }
            (Write::CreateToken { token, owner, .. }, _) => {
                if let Some(stored) = self.inner.owner(&token.unverified().owner).await? {
                    let stored = stored.unverified();
                    *owner = OwnerGuard::At { owner: stored.id.clone(), revision: stored.revision };
                }
            }
            (Write::PutOwner { owner, expected }, _) => {
                let stored = self.inner.owner(&owner.unverified().id).await?;
                *expected = stored.map(|stored| stored.unverified().revision);
            }
            (Write::PutMeta { key, expected, .. }, _) => *expected = self.inner.meta(key).await?,
            (Write::Nothing(_), _) => {}
        }
        self.inner.commit(&change).await
    }

    /// What every race is lost by: looks whether a change may be made, lets others run, and makes it. Right, unless there
    /// are two. `None` if the sabotage does not concern this change.
    async fn look_and_then_act(&self, change: &Change) -> Result<Option<Committed>, StoreError> {
        if let Some(outcome) = self.outcome(&change.id).await? {
            return Ok(self.breaks(Promise::RepeatRacesRepeat).then_some(Committed::Repeat(outcome)));
        }
        let mut acted = change.clone();
        match (self.breaks, &mut acted.write) {
            (Promise::RotateRacesRotate, Write::UpdateToken { token, secret: Some(_), .. }) => {
                self.update_unseen(token, change).await
            }
            (Promise::RotateRacesRevoke, Write::UpdateToken { token, .. })
                if token.unverified().revoked_at.is_some() =>
            {
                self.update_unseen(token, change).await
            }
            (Promise::CreateRacesCap, Write::CreateToken { token, cap, now, .. }) => {
                let live = self.live_by_the_list(&token.unverified().owner, *now, ListFilter::Live).await?;
                if live >= *cap as usize {
                    return Ok(None);
                }
                *cap = u32::MAX;
                give_way().await;
                self.inner.commit(&acted).await.map(Some)
            }
            (Promise::CreateRacesSuspend, Write::CreateToken { owner: OwnerGuard::At { owner, revision }, .. }) => {
                let stored = self.inner.owner(owner).await?;
                if stored.is_none_or(|stored| stored.unverified().revision != *revision) {
                    return Ok(None);
                }
                self.linger(&Subject::Owner(owner.clone()), *revision).await?;
                self.force(change).await.map(Some)
            }
            (Promise::RepeatRacesRepeat, _) => {
                give_way().await;
                acted.id = ChangeId::random(&Random::Os).map_err(|_| Fault::Other)?;
                let committed = self.inner.commit(&acted).await?;
                // The id is noted afterwards, on a row of its own.
                self.remember(|memory| memory.noted.insert(change.id, acted.id));
                Ok(Some(committed))
            }
            _ => Ok(None),
        }
    }

    /// Waits between looking and acting for another to be there first, though not for long: there may be none.
    async fn linger(&self, subject: &Subject, revision: u64) -> Result<(), StoreError> {
        for _ in 0..30 {
            let stored = match subject {
                Subject::Token(id) => self.inner.token(*id).await?.map(|row| row.unverified().revision),
                Subject::Owner(id) => self.inner.owner(id).await?.map(|row| row.unverified().revision),
                Subject::Policy => None,
            };
            if stored != Some(revision) {
                break;
            }
            Delay::new(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// An update whose affected rows nobody counts.
    async fn update_unseen(&self, token: &Sealed<Token>, change: &Change) -> Result<Option<Committed>, StoreError> {
        let row = token.unverified();
        let stored = self.inner.token(row.id).await?;
        let events = self.inner.events(&change.event.subject, change.event.seq - 1, 1).await?;
        if stored.is_none_or(|stored| stored.unverified().revision + 1 != row.revision) || !events.is_empty() {
            return Ok(None);
        }
        self.linger(&change.event.subject, row.revision - 1).await?;
        let committed = self.inner.commit(change).await?;
        Ok(Some(if committed == Committed::Conflict { Committed::Done } else { committed }))
    }

    /// The id and the event of a change that was refused, without its rows.
    async fn leave_a_trace(&self, change: &Change) -> Result<(), StoreError> {
        let mut trace = change.clone();
        trace.event.seq = self.inner.events(&change.event.subject, 0, 10_000).await?.len() as u64 + 1;
        trace.write = Write::PutMeta { key: "trace".into(), expected: None, value: b"trace".to_vec() };
        self.inner.commit(&trace).await.map(drop)
    }

    /// Loses the event of a change that is made while another is.
    async fn commit_among_others(&self, change: &Change) -> Result<Committed, StoreError> {
        self.remember(|memory| memory.commits_under_way += 1);
        give_way().await;
        let committed = self.inner.commit(change).await;
        self.remember(|memory| {
            if memory.commits_under_way > 1 && matches!(committed, Ok(Committed::Done)) {
                memory.lost_events.insert((change.event.subject.clone(), change.event.seq));
            }
            memory.commits_under_way -= 1;
        });
        committed
    }

    async fn live_by_the_list(&self, owner: &OwnerId, now: Time, filter: ListFilter) -> Result<usize, StoreError> {
        let query = ListQuery {
            owner: Some(owner.clone()),
            filter,
            text: None,
            from: Position::Created(None),
            now,
            limit: 1000,
        };
        Ok(self.inner.list(&query).await?.tokens.len())
    }

    /// The first two rows of each answer change places, or are the same one.
    fn spoil_page(&self, mut page: Page) -> Page {
        if self.breaks(Promise::ListIsOrdered) {
            page.tokens.reverse();
        }
        if self.breaks(Promise::ListPagesAreComplete) && page.next.is_some() {
            page.tokens.pop();
        }
        page
    }
}

fn reseal(row: Token) -> Result<Sealed<Token>, StoreError> {
    let keyring = Keyring::parse(super::sample::KEYRING).map_err(|error| StoreError::new(Fault::Other, error))?;
    Ok(Sealed::new(row, &keyring))
}

fn swap_case(text: &[u8]) -> Vec<u8> {
    text.iter().map(|b| if b.is_ascii_lowercase() { b.to_ascii_uppercase() } else { b.to_ascii_lowercase() }).collect()
}

impl std::fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sabotaged").field("breaks", &self.breaks).finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenStore for Sabotaged {
    async fn load(&self, selectors: &[Selector]) -> Result<Vec<Loaded>, StoreError> {
        let mut asked = selectors.to_vec();
        if self.breaks(Promise::SelectorsAreExact) {
            asked.extend(selectors.iter().filter_map(|selector| Selector::from_bytes(&swap_case(selector.as_bytes()))));
        }
        let mut rows = self.inner.load(&asked).await?;
        match self.breaks {
            Promise::ManyLoadAtOnce => rows.truncate(64),
            Promise::RowsComeBackAsWritten => {
                for row in &mut rows {
                    let mut token = row.token.unverified().clone();
                    token.name = TokenName::new(token.name.as_str().trim()).map_err(|_| Fault::Other)?;
                    row.token = Sealed::from_parts(token, row.token.seal().clone());
                }
            }
            Promise::EditRacesVerify => {
                // The name is that of an earlier load.
                for row in &mut rows {
                    let mut token = row.token.unverified().clone();
                    let earlier = self.remember(|memory| memory.earlier_names.insert(token.id, token.name.clone()));
                    token.name = earlier.unwrap_or_else(|| token.name.clone());
                    row.token = reseal(token)?;
                }
            }
            _ => {}
        }
        Ok(rows)
    }

    async fn commit(&self, change: &Change) -> Result<Committed, StoreError> {
        if let Some(committed) = self.look_and_then_act(change).await? {
            return Ok(committed);
        }
        let mut change = change.clone();
        match (self.breaks, &mut change.write) {
            (Promise::RepeatIsTold, _) => change.id = ChangeId::random(&Random::Os).map_err(|_| Fault::Other)?,
            (Promise::NothingIsNoted, Write::Nothing(_)) => return Ok(Committed::Done),
            (Promise::CapHolds, Write::CreateToken { cap, .. }) => *cap = u32::MAX,
            (Promise::CapHoldsForLongerLives, Write::UpdateToken { longer, .. }) => *longer = None,
            (Promise::CapCountsLiveOnly, Write::CreateToken { token, cap, now, .. }) => {
                let owner = token.unverified().owner.clone();
                if self.live_by_the_list(&owner, *now, ListFilter::Any).await? >= *cap as usize
                    && self.inner.outcome(&change.id).await?.is_none()
                {
                    return Ok(Committed::CapReached);
                }
            }
            (Promise::EventRacesChange, _) => return self.commit_among_others(&change).await,
            _ => {}
        }
        let committed = self.inner.commit(&change).await?;
        if committed != Committed::Conflict {
            return Ok(committed);
        }
        let forced = match &change.write {
            Write::UpdateToken { .. } => {
                matches!(self.breaks, Promise::TokenRevisionGuards | Promise::EventNumbersAreUnique)
            }
            Write::CreateToken { .. } => matches!(self.breaks, Promise::OwnerGuards | Promise::SelectorsAreUnique),
            Write::PutOwner { .. } => self.breaks(Promise::OwnerRevisionGuards),
            Write::PutMeta { .. } => self.breaks(Promise::MetaGuards),
            Write::Nothing(_) => false,
        };
        if forced {
            return self.force(&change).await;
        }
        if self.breaks(Promise::ConflictWritesNothing) {
            self.leave_a_trace(&change).await?;
        }
        Ok(Committed::Conflict)
    }

    async fn outcome(&self, change: &ChangeId) -> Result<Option<Outcome>, StoreError> {
        if self.breaks(Promise::OutcomeIsKnown) {
            return Ok(None);
        }
        let noted = self.remember(|memory| memory.noted.get(change).copied());
        self.inner.outcome(&noted.unwrap_or(*change)).await
    }

    async fn token(&self, id: TokenId) -> Result<Option<Sealed<Token>>, StoreError> {
        self.inner.token(id).await
    }

    async fn owner(&self, id: &OwnerId) -> Result<Option<Sealed<Owner>>, StoreError> {
        if self.breaks(Promise::OwnersAreExact)
            && let Ok(trimmed) = OwnerId::new(id.as_str().trim())
        {
            return self.inner.owner(&trimmed).await;
        }
        self.inner.owner(id).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        let mut query = query.clone();
        match self.breaks {
            Promise::ListKeepsToOwner => query.owner = None,
            Promise::ListKeepsToState => query.filter = ListFilter::Any,
            Promise::ListTextIsLiteral => query.text = query.text.filter(|text| !text.contains(['%', '_'])),
            _ => {}
        }
        self.inner.list(&query).await.map(|page| self.spoil_page(page))
    }

    async fn events(&self, subject: &Subject, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let mut events = self.inner.events(subject, after, limit).await?;
        match self.breaks {
            Promise::EventsComeInOrder => events.reverse(),
            Promise::EventAndChangeCommitTogether => drop(events.pop()),
            Promise::EventRacesChange => {
                self.remember(|memory| {
                    events.retain(|event| !memory.lost_events.contains(&(event.subject.clone(), event.seq)));
                });
            }
            _ => {}
        }
        Ok(events)
    }

    async fn usage(&self, token: TokenId, since: Time) -> Result<Usage, StoreError> {
        if self.breaks(Promise::UnknownIsNothing) && self.inner.token(token).await?.is_none() {
            return Err(Fault::Other.into());
        }
        let mut usage = self.inner.usage(token, since).await?;
        if self.breaks(Promise::LastUseMovesForward) {
            self.remember(|memory| {
                for (generation, last) in &mut usage.last {
                    *last = memory.last_uses.get(&(token, *generation)).unwrap_or(last).clone();
                }
            });
        }
        Ok(usage)
    }

    async fn summaries(
        &self,
        tokens: &[TokenId],
        since: Time,
        signals_since: Time,
    ) -> Result<Vec<TokenUsage>, StoreError> {
        let mut summaries = self.inner.summaries(tokens, since, signals_since).await?;
        if self.breaks(Promise::ScopesMoveForward) {
            // Told as it was recorded last.
            self.remember(|memory| {
                for scope in summaries.iter_mut().flat_map(|summary| &mut summary.scopes) {
                    scope.last = memory.scopes.get(&scope.scope).copied().unwrap_or(scope.last);
                }
            });
        }
        Ok(summaries)
    }

    async fn sources(&self, token: TokenId, limit: u32) -> Result<Vec<Source>, StoreError> {
        let mut sources = self.inner.sources(token, limit).await?;
        if self.breaks(Promise::SourcesSpread) {
            sources.iter_mut().for_each(|source| source.first_seen = source.last_seen);
        }
        Ok(sources)
    }

    async fn calls(&self, whose: &Whose, limit: u32) -> Result<Vec<RecentCall>, StoreError> {
        let whose = if self.breaks(Promise::CallsGoRound) { &Whose::Everyone } else { whose };
        self.inner.calls(whose, limit).await
    }

    async fn signals(&self, whose: &Whose, since: Time, limit: u32) -> Result<Vec<Signal>, StoreError> {
        self.inner.signals(whose, since, limit).await
    }

    async fn last_used(&self, tokens: &[TokenId]) -> Result<Vec<(TokenId, Time)>, StoreError> {
        self.inner.last_used(tokens).await
    }

    async fn novel_sources(&self, tokens: &[TokenId], since: Time, limit: u32) -> Result<Vec<NovelSource>, StoreError> {
        self.inner.novel_sources(tokens, since, limit).await
    }

    async fn busy(&self, query: &BusyQuery<'_>) -> Result<Vec<Busy>, StoreError> {
        let mut busy = self.inner.busy(query).await?;
        if self.breaks(Promise::BusyHoursAreCompared) {
            busy.iter_mut().for_each(|busy| busy.uses_before = busy.uses);
        }
        Ok(busy)
    }

    async fn fold(&self, before: Time, limit: u32) -> Result<u64, StoreError> {
        if self.breaks(Promise::FoldingLosesNothing) {
            // What was not removed is there to be added once more.
            let folded = self.inner.fold(before, limit).await?;
            let last = self.remember(|memory| memory.counted.take());
            if let Some(again) = last {
                self.inner.record(&again).await?;
            }
            return Ok(folded);
        }
        self.inner.fold(before, limit).await
    }

    async fn forget(&self, forget: &Forget, limit: u32) -> Result<u64, StoreError> {
        if self.breaks(Promise::ForgetsTheOldOnly) {
            let all = Forget { days: Time::MAX, sources: Time::MAX, calls: Time::MAX, signals: Time::MAX };
            return self.inner.forget(&all, limit).await;
        }
        self.inner.forget(forget, limit).await
    }

    async fn record(&self, tallies: &Tallies) -> Result<(), StoreError> {
        let mut tallies = tallies.clone();
        match self.breaks {
            Promise::UsageAddsUp => self.inner.record(&tallies).await?,
            Promise::LastUseMovesForward => self.remember(|memory| {
                let uses = tallies.uses.iter();
                memory.last_uses.extend(uses.map(|tally| ((tally.token, tally.generation), tally.last.clone())));
            }),
            Promise::UsageOfPurgedIsIgnored => {
                for tally in &tallies.uses {
                    self.inner.token(tally.token).await?.ok_or(Fault::Other)?;
                }
            }
            Promise::FoldingLosesNothing => self.remember(|memory| memory.counted = Some(tallies.clone())),
            Promise::ScopesMoveForward => self.remember(|memory| {
                memory.scopes.extend(tallies.scopes.iter().map(|tally| (tally.scope.clone(), tally.last)));
            }),
            // The same, told by another node under a subject of its own.
            Promise::SignalsAreOneRow => {
                let told: Vec<SignalTally> = tallies
                    .signals
                    .iter()
                    .map(|signal| SignalTally { subject: format!("{}.", signal.subject), ..signal.clone() })
                    .collect();
                tallies.signals.extend(told);
            }
            Promise::TrailsOfPurgedAreIgnored => {
                for tally in &tallies.sources {
                    self.inner.token(tally.token).await?.ok_or(Fault::Other)?;
                }
            }
            Promise::RedigestIsGuarded => {
                for redigest in &mut tallies.redigests {
                    for row in self.inner.load(&[redigest.selector]).await? {
                        redigest.from = row.secret.key;
                    }
                }
            }
            _ => {}
        }
        self.inner.record(&tallies).await
    }

    async fn changes(&self, cursor: Option<Cursor>, max_wait: Duration) -> Result<Feed, StoreError> {
        let mut feed = self.inner.changes(cursor, max_wait).await?;
        match self.breaks {
            Promise::FeedTellsEveryChange => drop(feed.changes.pop()),
            Promise::FeedWakesOrTimesOut if max_wait > Duration::ZERO => feed.changes.clear(),
            _ => {}
        }
        Ok(feed)
    }

    async fn claim(&self, now: Time, lease: Duration, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let lease = match self.breaks {
            Promise::ClaimsAreLeased => Duration::ZERO,
            // Of so long a lease none is too long.
            Promise::WrongLeasesEnd => Duration::MAX,
            _ => lease,
        };
        let mut claimed = self.inner.claim(now, lease, limit).await?;
        if self.breaks(Promise::ClaimsKeepOrder) {
            claimed.reverse();
        }
        Ok(claimed)
    }

    async fn ack(&self, delivered: &[Cursor], at: Time) -> Result<(), StoreError> {
        if self.breaks(Promise::AcksArePermanent) {
            return Ok(());
        }
        self.inner.ack(delivered, at).await
    }

    async fn purge(&self, before: Time, keep_undelivered: bool, limit: u32) -> Result<u64, StoreError> {
        match self.breaks {
            Promise::PurgeTakesTheDeadOnly => self.inner.purge(Time::MAX, keep_undelivered, limit).await,
            Promise::PurgeKeepsUndelivered => self.inner.purge(before, false, limit).await,
            Promise::PurgeIsBounded => self.inner.purge(before, keep_undelivered, 10_000).await,
            _ => self.inner.purge(before, keep_undelivered, limit).await,
        }
    }

    async fn keys(&self, now: Time) -> Result<Vec<KeyId>, StoreError> {
        let mut keys = self.inner.keys(now).await?;
        if self.breaks(Promise::KeysAreAllNamed) {
            keys.truncate(1);
        }
        Ok(keys)
    }

    async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.meta(key).await
    }

    async fn meta_or_insert(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let stored = self.inner.meta_or_insert(key, value).await?;
        Ok(if self.breaks(Promise::FactsAreWrittenOnce) { value.to_vec() } else { stored })
    }
}
