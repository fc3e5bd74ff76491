//! A store that lets others run before and after every call, so that races happen on any runtime.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Change, ChangeId, Committed, Cursor, Delivery, Event, Feed, KeyId, ListQuery, Loaded, Outcome, Owner, OwnerId,
    Page, Sealed, Selector, StoreError, Subject, Tallies, Time, Token, TokenId, TokenStore, Usage,
};

/// Wraps a store; every call gives way once before it and once after it.
pub struct Interleaved(Arc<dyn TokenStore>);

impl Interleaved {
    /// Interleaves the calls to `inner`.
    pub fn new(inner: Arc<dyn TokenStore>) -> Interleaved {
        Interleaved(inner)
    }
}

impl std::fmt::Debug for Interleaved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interleaved(..)")
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

macro_rules! between {
    ($call:expr) => {{
        give_way().await;
        let answer = $call.await;
        give_way().await;
        answer
    }};
}

#[async_trait]
impl TokenStore for Interleaved {
    async fn load(&self, selectors: &[Selector]) -> Result<Vec<Loaded>, StoreError> {
        between!(self.0.load(selectors))
    }

    async fn commit(&self, change: &Change) -> Result<Committed, StoreError> {
        between!(self.0.commit(change))
    }

    async fn outcome(&self, change: &ChangeId) -> Result<Option<Outcome>, StoreError> {
        between!(self.0.outcome(change))
    }

    async fn token(&self, id: TokenId) -> Result<Option<Sealed<Token>>, StoreError> {
        between!(self.0.token(id))
    }

    async fn owner(&self, id: &OwnerId) -> Result<Option<Sealed<Owner>>, StoreError> {
        between!(self.0.owner(id))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        between!(self.0.list(query))
    }

    async fn events(&self, subject: &Subject, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        between!(self.0.events(subject, after, limit))
    }

    async fn usage(&self, token: TokenId, since: Time) -> Result<Usage, StoreError> {
        between!(self.0.usage(token, since))
    }

    async fn record(&self, tallies: &Tallies) -> Result<(), StoreError> {
        between!(self.0.record(tallies))
    }

    async fn changes(&self, cursor: Option<Cursor>, max_wait: Duration) -> Result<Feed, StoreError> {
        between!(self.0.changes(cursor, max_wait))
    }

    async fn claim(&self, now: Time, lease: Duration, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        between!(self.0.claim(now, lease, limit))
    }

    async fn ack(&self, delivered: &[Cursor], at: Time) -> Result<(), StoreError> {
        between!(self.0.ack(delivered, at))
    }

    async fn purge(&self, before: Time, keep_undelivered: bool, limit: u32) -> Result<u64, StoreError> {
        between!(self.0.purge(before, keep_undelivered, limit))
    }

    async fn keys(&self) -> Result<Vec<KeyId>, StoreError> {
        between!(self.0.keys())
    }

    async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        between!(self.0.meta(key))
    }

    async fn meta_or_insert(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        between!(self.0.meta_or_insert(key, value))
    }
}
