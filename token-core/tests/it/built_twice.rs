//! A service that was built once for each worker is noticed, and two services are not taken for one.

use std::sync::Arc;

use token_core::{Background, Keyring, MemoryStore, TokenStore, Tokens};

use crate::log::Listening;
use crate::world::KEYS;

/// How often it was said while these were built, all of them alive to the end.
async fn warnings(services: &[(&Arc<MemoryStore>, &str)]) -> usize {
    let log = Listening::to(tracing::Level::WARN);
    let mut alive = Vec::new();
    for (store, prefix) in services {
        alive.push(build(store, prefix).await);
    }
    log.text().matches("before `HttpServer::new`").count()
}

async fn build(store: &Arc<MemoryStore>, prefix: &str) -> (Tokens, Background) {
    let builder = Tokens::builder_on(Arc::clone(store) as Arc<dyn TokenStore>).prefix(prefix);
    builder.keyring(Keyring::parse(KEYS).unwrap()).build().await.unwrap()
}

#[tokio::test]
async fn a_service_built_in_the_factory_of_workers_is_said_once() {
    let store = Arc::new(MemoryStore::new());
    assert_eq!(warnings(&[(&store, "acme"); 8]).await, 1);
}

#[tokio::test]
async fn services_that_differ_are_several() {
    let stores = [Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new())];
    assert_eq!(warnings(&[(&stores[0], "acme"), (&stores[1], "acme"), (&stores[0], "other")]).await, 0);
}

#[tokio::test]
async fn one_that_is_gone_does_not_count() {
    let store = Arc::new(MemoryStore::new());
    drop(build(&store, "acme").await);
    assert_eq!(warnings(&[(&store, "acme")]).await, 0);
}
