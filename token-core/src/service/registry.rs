//! The services of this process by number, so that a refusal can name the one that makes its receipt.
//!
//! A refusal that held on to its service would count itself in and out of a number that all threads share, which costs as much as
//! all else of refusing what is malformed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use super::{Inner, Tokens};

static SERVICES: RwLock<BTreeMap<u64, Weak<Inner>>> = RwLock::new(BTreeMap::new());

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
        services.get(&self.0).and_then(Weak::upgrade).map(Tokens)
    }
}

impl Tokens {
    pub(super) fn registered(inner: Inner) -> Tokens {
        let inner = Arc::new(inner);
        let mut services = SERVICES.write().unwrap_or_else(PoisonError::into_inner);
        services.insert(inner.id.0, Arc::downgrade(&inner));
        Tokens(inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        SERVICES.write().unwrap_or_else(PoisonError::into_inner).remove(&self.id.0);
    }
}
