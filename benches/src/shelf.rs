//! A store in memory that keeps what verification reads and nothing else: no events, no log, no indexes. A million tokens fit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use async_trait::async_trait;
use token_core::{
    Busy, BusyQuery, Change, ChangeId, Committed, Cursor, Delivery, Digest, Event, Fault, Feed, Forget, KeyId,
    ListQuery, Loaded, NovelSource, Outcome, Owner, OwnerGuard, OwnerId, Page, RecentCall, Sealed, Secret, Selector,
    Signal, Source, StoreError, Subject, Tallies, Time, Token, TokenId, TokenStore, TokenUsage, Usage, Whose, Write,
};

/// See above. Tokens are made in it and found in it; they can't be changed.
#[derive(Debug, Default)]
pub struct Shelf {
    rows: RwLock<Rows>,
    /// The byte of each digest that is not what it should be, counted from 1.
    spoiled: AtomicUsize,
}

#[derive(Debug, Default)]
struct Rows {
    tokens: HashMap<Selector, (Secret, Sealed<Token>)>,
    owners: HashMap<OwnerId, Sealed<Owner>>,
    facts: HashMap<String, Vec<u8>>,
}

impl Shelf {
    /// From now on, every digest is answered with this byte of it changed.
    pub fn spoil(&self, byte: usize) {
        self.spoiled.store(byte + 1, Ordering::Relaxed);
    }

    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStore for Shelf {
    async fn load(&self, selectors: &[Selector]) -> Result<Vec<Loaded>, StoreError> {
        let rows = self.read();
        let spoiled = self.spoiled.load(Ordering::Relaxed);
        let loaded = |selector| {
            let (mut secret, token) = rows.tokens.get(selector)?.clone();
            // All bytes are written, whichever is changed: a byte by itself is slower to be read again with its neighbours, and that
            // is a difference that the time of a comparison would be blamed for.
            let digest =
                std::array::from_fn(|at| secret.digest.as_bytes()[at] ^ if at + 1 == spoiled { 0x55 } else { 0 });
            secret.digest = Digest::from_bytes(digest);
            let owner = rows.owners.get(&token.unverified().owner).cloned();
            Some(Loaded { secret, token, owner })
        };
        Ok(selectors.iter().filter_map(loaded).collect())
    }

    async fn commit(&self, change: &Change) -> Result<Committed, StoreError> {
        let Write::CreateToken { token, secret, owner, .. } = &change.write else {
            return Err(StoreError::from(Fault::ReadOnly));
        };
        let mut rows = self.write();
        if let OwnerGuard::New(owner) = owner {
            rows.owners.insert(owner.unverified().id.clone(), owner.clone());
        }
        rows.tokens.insert(secret.selector, (secret.clone(), token.clone()));
        Ok(Committed::Done)
    }

    async fn outcome(&self, _change: &ChangeId) -> Result<Option<Outcome>, StoreError> {
        Ok(None)
    }

    async fn token(&self, _id: TokenId) -> Result<Option<Sealed<Token>>, StoreError> {
        Ok(None)
    }

    async fn owner(&self, id: &OwnerId) -> Result<Option<Sealed<Owner>>, StoreError> {
        Ok(self.read().owners.get(id).cloned())
    }

    async fn list(&self, _query: &ListQuery) -> Result<Page, StoreError> {
        Ok(Page { tokens: Vec::new(), next: None })
    }

    async fn events(&self, _subject: &Subject, _after: u64, _limit: u32) -> Result<Vec<Event>, StoreError> {
        Ok(Vec::new())
    }

    async fn usage(&self, _token: TokenId, _since: Time) -> Result<Usage, StoreError> {
        Ok(Usage::default())
    }

    async fn summaries(
        &self,
        _tokens: &[TokenId],
        _since: Time,
        _signals_since: Time,
    ) -> Result<Vec<TokenUsage>, StoreError> {
        Ok(Vec::new())
    }

    async fn sources(&self, _token: TokenId, _limit: u32) -> Result<Vec<Source>, StoreError> {
        Ok(Vec::new())
    }

    async fn calls(&self, _whose: &Whose, _limit: u32) -> Result<Vec<RecentCall>, StoreError> {
        Ok(Vec::new())
    }

    async fn signals(&self, _whose: &Whose, _since: Time, _limit: u32) -> Result<Vec<Signal>, StoreError> {
        Ok(Vec::new())
    }

    async fn last_used(&self, _tokens: &[TokenId]) -> Result<Vec<(TokenId, Time)>, StoreError> {
        Ok(Vec::new())
    }

    async fn novel_sources(
        &self,
        _tokens: &[TokenId],
        _since: Time,
        _limit: u32,
    ) -> Result<Vec<NovelSource>, StoreError> {
        Ok(Vec::new())
    }

    async fn busy(&self, _query: &BusyQuery<'_>) -> Result<Vec<Busy>, StoreError> {
        Ok(Vec::new())
    }

    async fn fold(&self, _before: Time, _limit: u32) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn forget(&self, _forget: &Forget, _limit: u32) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn record(&self, _tallies: &Tallies) -> Result<(), StoreError> {
        Ok(())
    }

    async fn changes(&self, cursor: Option<Cursor>, max_wait: Duration) -> Result<Feed, StoreError> {
        if cursor.is_some() {
            tokio::time::sleep(max_wait).await;
        }
        Ok(Feed { changes: Vec::new(), cursor: cursor.unwrap_or(Cursor(0)) })
    }

    async fn claim(&self, _now: Time, _lease: Duration, _limit: u32) -> Result<Vec<Delivery>, StoreError> {
        Ok(Vec::new())
    }

    async fn ack(&self, _delivered: &[Cursor], _at: Time) -> Result<(), StoreError> {
        Ok(())
    }

    async fn purge(&self, _before: Time, _keep_undelivered: bool, _limit: u32) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn keys(&self, _now: Time) -> Result<Vec<KeyId>, StoreError> {
        Ok(Vec::new())
    }

    async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read().facts.get(key).cloned())
    }

    async fn meta_or_insert(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.write().facts.entry(key.to_owned()).or_insert_with(|| value.to_vec()).clone())
    }
}
