//! A store that counts how often it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Change, ChangeId, Committed, Cursor, Delivery, Event, Feed, KeyId, ListQuery, Loaded, Outcome, Owner, OwnerId,
    Page, Sealed, Selector, StoreError, Subject, Tallies, Time, Token, TokenId, TokenStore, Usage,
};

/// Wraps a store and counts the calls that reach it: a test's proof that malformed input costs no statement.
pub struct CountingStore {
    inner: Arc<dyn TokenStore>,
    calls: AtomicU64,
}

impl CountingStore {
    /// Counts the calls to `inner`.
    pub fn new(inner: Arc<dyn TokenStore>) -> CountingStore {
        CountingStore { inner, calls: AtomicU64::new(0) }
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn count(&self) -> &dyn TokenStore {
        self.calls.fetch_add(1, Ordering::SeqCst);
        &*self.inner
    }
}

impl std::fmt::Debug for CountingStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CountingStore").field("calls", &self.calls()).finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenStore for CountingStore {
    async fn load(&self, selectors: &[Selector]) -> Result<Vec<Loaded>, StoreError> {
        self.count().load(selectors).await
    }

    async fn commit(&self, change: &Change) -> Result<Committed, StoreError> {
        self.count().commit(change).await
    }

    async fn outcome(&self, change: &ChangeId) -> Result<Option<Outcome>, StoreError> {
        self.count().outcome(change).await
    }

    async fn token(&self, id: TokenId) -> Result<Option<Sealed<Token>>, StoreError> {
        self.count().token(id).await
    }

    async fn owner(&self, id: &OwnerId) -> Result<Option<Sealed<Owner>>, StoreError> {
        self.count().owner(id).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        self.count().list(query).await
    }

    async fn events(&self, subject: &Subject, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.count().events(subject, after, limit).await
    }

    async fn usage(&self, token: TokenId, since: Time) -> Result<Usage, StoreError> {
        self.count().usage(token, since).await
    }

    async fn record(&self, tallies: &Tallies) -> Result<(), StoreError> {
        self.count().record(tallies).await
    }

    async fn changes(&self, cursor: Option<Cursor>, max_wait: Duration) -> Result<Feed, StoreError> {
        self.count().changes(cursor, max_wait).await
    }

    async fn claim(&self, now: Time, lease: Duration, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        self.count().claim(now, lease, limit).await
    }

    async fn ack(&self, delivered: &[Cursor], at: Time) -> Result<(), StoreError> {
        self.count().ack(delivered, at).await
    }

    async fn purge(&self, before: Time, keep_undelivered: bool, limit: u32) -> Result<u64, StoreError> {
        self.count().purge(before, keep_undelivered, limit).await
    }

    async fn keys(&self) -> Result<Vec<KeyId>, StoreError> {
        self.count().keys().await
    }

    async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.count().meta(key).await
    }

    async fn meta_or_insert(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.count().meta_or_insert(key, value).await
    }
}
