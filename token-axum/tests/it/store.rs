//! A store that can be taken down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use token_core::testing::{Call, Hook, HookedStore};
use token_core::{Fault, MemoryStore, StoreError};

#[derive(Default)]
pub(crate) struct Outage(AtomicBool);

#[async_trait]
impl Hook for Outage {
    async fn before(&self, _call: Call) -> Result<(), StoreError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(StoreError::new(Fault::PoolExhausted, "no connection for canary-of-the-database"));
        }
        Ok(())
    }
}

pub(crate) type FailingStore = HookedStore<Outage>;

pub(crate) fn failing_store() -> FailingStore {
    HookedStore::hooked(Arc::new(MemoryStore::new()), Outage::default())
}

pub(crate) fn set_down(store: &FailingStore, down: bool) {
    store.hook().0.store(down, Ordering::SeqCst);
}
