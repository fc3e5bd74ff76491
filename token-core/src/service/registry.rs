//! The services of this process by number, so that a refusal can name the one that makes its receipt, and so that one which was built
//! twice is noticed.
//!
//! A refusal that held on to its service would count itself in and out of a number that all threads share, which costs as much as
//! all else of refusing what is malformed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use crate::random::Random;
use crate::store::TokenStore;

use super::{BuildError, Inner, Tokens};

static SERVICES: RwLock<BTreeMap<u64, Registered>> = RwLock::new(BTreeMap::new());

struct Registered {
    service: Weak<Inner>,
    store: StoreId,
    prefix: Box<str>,
}

/// Which store it is, however often it was opened: noted there by whoever was first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoreId(Vec<u8>);

impl StoreId {
    pub(super) async fn of(store: &dyn TokenStore) -> Result<StoreId, BuildError> {
        // Of the operating system's, whatever source was injected: two stores of a test that repeats itself are two.
        let new: [u8; 16] = Random::Os.array()?;
        Ok(StoreId(store.meta_or_insert("store-id", &new).await?))
    }
}

/// A service of this process. No two ever have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServiceId(u64);

impl ServiceId {
    pub(super) fn next() -> ServiceId {
        static LAST: AtomicU64 = AtomicU64::new(0);
        ServiceId(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The service, unless it is gone.
    pub(crate) fn service(self) -> Option<Tokens> {
        let services = SERVICES.read().unwrap_or_else(PoisonError::into_inner);
        services.get(&self.0).and_then(|registered| registered.service.upgrade()).map(Tokens)
    }
}

impl Tokens {
    pub(super) fn registered(inner: Inner, store: StoreId) -> Tokens {
        let inner = Arc::new(inner);
        let prefix = inner.format.prefix();
        let new = Registered { service: Arc::downgrade(&inner), store, prefix: prefix.into() };
        let mut services = SERVICES.write().unwrap_or_else(PoisonError::into_inner);
        let before =
            services.values().filter(|other| (&other.store, &other.prefix) == (&new.store, &new.prefix)).count();
        services.insert(inner.id.0, new);
        drop(services);
        // Said of the second, and not again of a hundred.
        if before == 1 {
            tracing::warn!(
                prefix,
                "this process has built the same service twice: two caches, two backgrounds, and usage that is stored apart. Build `Tokens` \
                 once and clone it; with actix-web, before `HttpServer::new`, whose closure runs once for each worker"
            );
        }
        Tokens(inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        SERVICES.write().unwrap_or_else(PoisonError::into_inner).remove(&self.id.0);
    }
}
