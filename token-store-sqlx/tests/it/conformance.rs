//! Each database keeps every promise of the storage trait, and the suite notices on it when one is broken.

use std::sync::Arc;

use token_core::TokenStore;
use token_core::testing::{conformance, sabotage_goes_unnoticed};
use tokio::sync::Mutex;

use crate::database::{Database, Kind, on_every_database};

on_every_database! {
    every_promise_is_kept,
    a_breach_of_any_promise_is_noticed,
}

/// A fresh database for each promise. The suite is done with one when it asks for the next.
struct Fresh {
    kind: Kind,
    last: Mutex<Option<Database>>,
}

impl Fresh {
    fn like(db: &Database) -> Fresh {
        Fresh { kind: db.kind(), last: Mutex::new(None) }
    }

    async fn open(&self) -> Arc<dyn TokenStore> {
        let database = Database::new(self.kind).await;
        let store = Arc::new(database.store().await);
        *self.last.lock().await = Some(database);
        store
    }
}

async fn every_promise_is_kept(db: &Database) {
    let fresh = Fresh::like(db);
    let broken = conformance(async || fresh.open().await).await;
    assert!(broken.is_empty(), "{}", broken.iter().map(|broken| format!("{broken}\n")).collect::<String>());
}

async fn a_breach_of_any_promise_is_noticed(db: &Database) {
    let fresh = Fresh::like(db);
    assert_eq!(sabotage_goes_unnoticed(async || fresh.open().await).await, []);
}
