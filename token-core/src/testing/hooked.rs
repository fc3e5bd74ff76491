//! A store with something that happens before and after every call.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Busy, BusyQuery, Change, ChangeId, Committed, Cursor, Delivery, Event, Feed, Forget, KeyId, ListQuery, Loaded,
    NovelSource, Outcome, Owner, OwnerId, Page, RecentCall, Sealed, Selector, Signal, Source, StoreError, Subject,
    Tallies, Time, Token, TokenId, TokenStore, TokenUsage, Usage, Whose,
};

/// A method of [`TokenStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the method of the same name")]
pub enum Call {
    Load,
    Commit,
    Outcome,
    Token,
    Owner,
    List,
    Events,
    Usage,
    Summaries,
    Sources,
    Calls,
    Signals,
    Record,
    LastUsed,
    NovelSources,
    Busy,
    Fold,
    Forget,
    Changes,
    Claim,
    Ack,
    Purge,
    Keys,
    Meta,
    MetaOrInsert,
}

/// What happens around the calls to a store: for tests that count them, hold them up, or make them fail.
#[async_trait]
pub trait Hook: Send + Sync + 'static {
    /// Before the store is asked. An error is the answer, and the store is not asked.
    async fn before(&self, _call: Call) -> Result<(), StoreError> {
        Ok(())
    }

    /// Before the store is asked for these secrets, after [`before`](Hook::before).
    async fn loading(&self, _selectors: &[Selector]) -> Result<(), StoreError> {
        Ok(())
    }

    /// What the store tells of changes, to be altered: some come to light late.
    fn told(&self, _feed: &mut Feed) {}

    /// After the store has answered. An error is the answer instead, as if the store's had been lost on the way.
    async fn after(&self, _call: Call) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A store with a hook around it.
pub struct HookedStore<H> {
    inner: Arc<dyn TokenStore>,
    hook: H,
}

impl<H: Hook> HookedStore<H> {
    /// Puts the hook around the store.
    pub fn hooked(inner: Arc<dyn TokenStore>, hook: H) -> HookedStore<H> {
        HookedStore { inner, hook }
    }

    /// The hook.
    pub fn hook(&self) -> &H {
        &self.hook
    }
}

impl<H> std::fmt::Debug for HookedStore<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookedStore(..)")
    }
}

/// Counts the calls that reach a store: a test's proof that malformed input costs no statement.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// A store that counts how often it is asked.
pub type CountingStore = HookedStore<Counter>;

impl CountingStore {
    /// Counts the calls to `inner`.
    pub fn new(inner: Arc<dyn TokenStore>) -> CountingStore {
        HookedStore::hooked(inner, Counter::default())
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.hook.0.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Hook for Counter {
    async fn before(&self, _call: Call) -> Result<(), StoreError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Lets others run before and after every call, so that races happen on any runtime.
pub(super) struct GivingWay;

#[async_trait]
impl Hook for GivingWay {
    async fn before(&self, _call: Call) -> Result<(), StoreError> {
        give_way().await;
        Ok(())
    }

    async fn after(&self, _call: Call) -> Result<(), StoreError> {
        give_way().await;
        Ok(())
    }
}

/// Gives way once: pending at the first poll, ready at the second.
pub(super) async fn give_way() {
    let mut gave_way = false;
    poll_fn(|context| {
        if gave_way {
            return Poll::Ready(());
        }
        gave_way = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

macro_rules! around {
    ($store:ident, $call:ident, $answer:expr) => {{
        $store.hook.before(Call::$call).await?;
        let answer = $answer.await;
        $store.hook.after(Call::$call).await?;
        answer
    }};
}

#[async_trait]
impl<H: Hook> TokenStore for HookedStore<H> {
    async fn load(&self, selectors: &[Selector]) -> Result<Vec<Loaded>, StoreError> {
        around!(self, Load, async {
            self.hook.loading(selectors).await?;
            self.inner.load(selectors).await
        })
    }

    async fn commit(&self, change: &Change) -> Result<Committed, StoreError> {
        around!(self, Commit, self.inner.commit(change))
    }

    async fn outcome(&self, change: &ChangeId) -> Result<Option<Outcome>, StoreError> {
        around!(self, Outcome, self.inner.outcome(change))
    }

    async fn token(&self, id: TokenId) -> Result<Option<Sealed<Token>>, StoreError> {
        around!(self, Token, self.inner.token(id))
    }

    async fn owner(&self, id: &OwnerId) -> Result<Option<Sealed<Owner>>, StoreError> {
        around!(self, Owner, self.inner.owner(id))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        around!(self, List, self.inner.list(query))
    }

    async fn events(&self, subject: &Subject, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        around!(self, Events, self.inner.events(subject, after, limit))
    }

    async fn usage(&self, token: TokenId, since: Time) -> Result<Usage, StoreError> {
        around!(self, Usage, self.inner.usage(token, since))
    }

    async fn summaries(
        &self,
        tokens: &[TokenId],
        since: Time,
        signals_since: Time,
    ) -> Result<Vec<TokenUsage>, StoreError> {
        around!(self, Summaries, self.inner.summaries(tokens, since, signals_since))
    }

    async fn sources(&self, token: TokenId, limit: u32) -> Result<Vec<Source>, StoreError> {
        around!(self, Sources, self.inner.sources(token, limit))
    }

    async fn calls(&self, whose: &Whose, limit: u32) -> Result<Vec<RecentCall>, StoreError> {
        around!(self, Calls, self.inner.calls(whose, limit))
    }

    async fn signals(&self, whose: &Whose, since: Time, limit: u32) -> Result<Vec<Signal>, StoreError> {
        around!(self, Signals, self.inner.signals(whose, since, limit))
    }

    async fn last_used(&self, tokens: &[TokenId]) -> Result<Vec<(TokenId, Time)>, StoreError> {
        around!(self, LastUsed, self.inner.last_used(tokens))
    }

    async fn novel_sources(&self, tokens: &[TokenId], since: Time, limit: u32) -> Result<Vec<NovelSource>, StoreError> {
        around!(self, NovelSources, self.inner.novel_sources(tokens, since, limit))
    }

    async fn busy(&self, query: &BusyQuery<'_>) -> Result<Vec<Busy>, StoreError> {
        around!(self, Busy, self.inner.busy(query))
    }

    async fn fold(&self, before: Time, limit: u32) -> Result<u64, StoreError> {
        around!(self, Fold, self.inner.fold(before, limit))
    }

    async fn forget(&self, forget: &Forget, limit: u32) -> Result<u64, StoreError> {
        around!(self, Forget, self.inner.forget(forget, limit))
    }

    async fn record(&self, tallies: &Tallies) -> Result<(), StoreError> {
        around!(self, Record, self.inner.record(tallies))
    }

    async fn changes(&self, cursor: Option<Cursor>, max_wait: Duration) -> Result<Feed, StoreError> {
        let mut feed: Feed = around!(self, Changes, self.inner.changes(cursor, max_wait))?;
        self.hook.told(&mut feed);
        Ok(feed)
    }

    async fn claim(&self, now: Time, lease: Duration, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        around!(self, Claim, self.inner.claim(now, lease, limit))
    }

    async fn ack(&self, delivered: &[Cursor], at: Time) -> Result<(), StoreError> {
        around!(self, Ack, self.inner.ack(delivered, at))
    }

    async fn purge(&self, before: Time, keep_undelivered: bool, limit: u32) -> Result<u64, StoreError> {
        around!(self, Purge, self.inner.purge(before, keep_undelivered, limit))
    }

    async fn keys(&self, now: Time) -> Result<Vec<KeyId>, StoreError> {
        around!(self, Keys, self.inner.keys(now))
    }

    async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        around!(self, Meta, self.inner.meta(key))
    }

    async fn meta_or_insert(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        around!(self, MetaOrInsert, self.inner.meta_or_insert(key, value))
    }
}
