//! A store that can be taken down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use token_core::{
    Change, ChangeId, Committed, Cursor, Delivery, Event, Fault, Feed, KeyId, ListQuery, Loaded, MemoryStore, Outcome,
    Owner, OwnerId, Page, Sealed, Selector, StoreError, Subject, Tallies, Time, Token, TokenId, TokenStore, Usage,
};

#[derive(Default)]
pub(crate) struct FailingStore {
    inner: MemoryStore,
    down: AtomicBool,
}

impl FailingStore {
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn up(&self) -> Result<&MemoryStore, StoreError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::new(Fault::PoolExhausted, "no connection for canary-of-the-database"));
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl TokenStore for FailingStore {
    async fn load(&self, selectors: &[Selector]) -> Result<Vec<Loaded>, StoreError> {
        self.up()?.load(selectors).await
    }

    async fn commit(&self, change: &Change) -> Result<Committed, StoreError> {
        self.up()?.commit(change).await
    }

    async fn outcome(&self, change: &ChangeId) -> Result<Option<Outcome>, StoreError> {
        self.up()?.outcome(change).await
    }

    async fn token(&self, id: TokenId) -> Result<Option<Sealed<Token>>, StoreError> {
        self.up()?.token(id).await
    }

    async fn owner(&self, id: &OwnerId) -> Result<Option<Sealed<Owner>>, StoreError> {
        self.up()?.owner(id).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        self.up()?.list(query).await
    }

    async fn events(&self, subject: &Subject, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.up()?.events(subject, after, limit).await
    }

    async fn usage(&self, token: TokenId, since: Time) -> Result<Usage, StoreError> {
        self.up()?.usage(token, since).await
    }

    async fn record(&self, tallies: &Tallies) -> Result<(), StoreError> {
        self.up()?.record(tallies).await
    }

    async fn changes(&self, cursor: Option<Cursor>, max_wait: Duration) -> Result<Feed, StoreError> {
        self.up()?.changes(cursor, max_wait).await
    }

    async fn claim(&self, now: Time, lease: Duration, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        self.up()?.claim(now, lease, limit).await
    }

    async fn ack(&self, delivered: &[Cursor], at: Time) -> Result<(), StoreError> {
        self.up()?.ack(delivered, at).await
    }

    async fn purge(&self, before: Time, keep_undelivered: bool, limit: u32) -> Result<u64, StoreError> {
        self.up()?.purge(before, keep_undelivered, limit).await
    }

    async fn keys(&self) -> Result<Vec<KeyId>, StoreError> {
        self.up()?.keys().await
    }

    async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.up()?.meta(key).await
    }

    async fn meta_or_insert(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.up()?.meta_or_insert(key, value).await
    }
}
