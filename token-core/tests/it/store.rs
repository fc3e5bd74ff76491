//! A store in memory that counts what is loaded, and that can be held up, taken down, or kept from telling of changes.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use token_core::testing::{Call, Hook, HookedStore};
use token_core::{Fault, Feed, MemoryStore, Selector, StoreError, Subject};
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Weather {
    /// Whether the store fails at everything.
    pub(crate) down: AtomicBool,
    /// Whether its feed fails, or never answers.
    pub(crate) feed_fails: AtomicBool,
    pub(crate) feed_hangs: AtomicBool,
    /// Whether loads wait for [`Weather::let_go`].
    pub(crate) loads_wait: AtomicBool,
    go: Notify,
    /// How many selectors each load asked for.
    pub(crate) loads: Mutex<Vec<usize>>,
    pub(crate) loading: AtomicUsize,
    /// Requests that were sent, and are on their way to the store unless they were answered.
    pub(crate) sent: AtomicUsize,
    /// A subject whose changes are not told yet, as of a transaction that has its number and has not committed.
    pub(crate) late: Mutex<Option<Subject>>,
    /// Secrets with rows that can't be read.
    pub(crate) unreadable: Mutex<HashSet<Selector>>,
}

impl Weather {
    pub(crate) fn set(&self, what: &AtomicBool, now: bool) {
        what.store(now, Ordering::SeqCst);
    }

    /// Loads go on, those that wait included.
    pub(crate) fn let_go(&self) {
        self.loads_wait.store(false, Ordering::SeqCst);
        self.go.notify_waiters();
    }

    /// The loads since the last time.
    pub(crate) fn take_loads(&self) -> Vec<usize> {
        std::mem::take(&mut self.loads.lock().unwrap())
    }

    /// Lets others run until so many requests were sent.
    pub(crate) async fn until_sent(&self, count: usize) {
        while self.sent.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    }

    /// Lets others run until so many loads are under way.
    pub(crate) async fn until_loading(&self, count: usize) {
        while self.loading.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    }
}

/// Counts down, however a load ends.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Hook for Weather {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        if call == Call::Changes && self.feed_hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let fails = call == Call::Changes && self.feed_fails.load(Ordering::SeqCst);
        if fails || self.down.load(Ordering::SeqCst) { Err(Fault::ConnectionLost.into()) } else { Ok(()) }
    }

    fn told(&self, feed: &mut Feed) {
        let late = self.late.lock().unwrap();
        feed.changes.retain(|(_, subject)| Some(subject) != late.as_ref());
    }

    async fn loading(&self, selectors: &[Selector]) -> Result<(), StoreError> {
        self.loads.lock().unwrap().push(selectors.len());
        self.loading.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay(&self.loading);
        while self.loads_wait.load(Ordering::SeqCst) {
            let go = self.go.notified();
            if self.loads_wait.load(Ordering::SeqCst) {
                go.await;
            }
        }
        let unreadable = self.unreadable.lock().unwrap();
        let spoilt = selectors.iter().any(|selector| unreadable.contains(selector));
        if spoilt { Err(Fault::Corrupt.into()) } else { Ok(()) }
    }
}

pub(crate) type WeatheredStore = HookedStore<Weather>;

pub(crate) fn weathered() -> (Arc<MemoryStore>, Arc<WeatheredStore>) {
    let memory = Arc::new(MemoryStore::new());
    (Arc::clone(&memory), Arc::new(HookedStore::hooked(memory, Weather::default())))
}
