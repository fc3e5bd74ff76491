//! The store in memory keeps every promise, and the suite notices when one is broken.

use std::sync::Arc;

use token_core::testing::{Promise, Sabotaged, conformance, sabotage_goes_unnoticed};
use token_core::{MemoryStore, TokenStore};

async fn open() -> Arc<dyn TokenStore> {
    Arc::new(MemoryStore::new())
}

#[tokio::test]
async fn the_store_in_memory_is_conformant() {
    let broken = conformance(open).await;
    assert!(broken.is_empty(), "{}", broken.iter().map(|broken| format!("{broken}\n")).collect::<String>());
}

#[tokio::test]
async fn a_breach_of_any_promise_is_noticed() {
    assert_eq!(sabotage_goes_unnoticed(open).await, []);
}

/// Check-then-act passes every test that does one thing after another. Only the races find it.
#[tokio::test]
async fn what_loses_races_is_noticed_by_races_alone() {
    for broken in Promise::ALL.into_iter().filter(|promise| promise.is_race()) {
        for other in Promise::ALL.into_iter().filter(|promise| !promise.is_race()) {
            let store = Arc::new(Sabotaged::new(open().await, broken));
            assert_eq!(other.check(store).await, Ok(()), "sabotage of {broken:?}");
        }
    }
}
