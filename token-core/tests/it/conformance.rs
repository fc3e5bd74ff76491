//! The store in memory keeps every promise, and the suite notices when one is broken.

use std::sync::Arc;

use token_core::testing::{conformance, sabotage_goes_unnoticed};
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
