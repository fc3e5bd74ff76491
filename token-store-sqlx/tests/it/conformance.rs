//! Each database keeps every promise of the storage trait, and the suite notices on it when one is broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use token_core::TokenStore;
use token_core::testing::{conformance, sabotage_goes_unnoticed};
use token_store_sqlx::SqlStore;
use tokio::sync::Mutex;

use crate::database::{Database, Kind, on_every_database};

on_every_database! {
    every_promise_is_kept,
    a_breach_of_any_promise_is_noticed,
}

/// A fresh database for each promise, or what is as good: on PostgreSQL, where making one takes long, a schema of its own.
struct Fresh<'a> {
    db: &'a Database,
    opened: AtomicU32,
    /// The suite is done with one when it asks for the next.
    last: Mutex<Option<Database>>,
}

impl Fresh<'_> {
    fn like(db: &Database) -> Fresh<'_> {
        Fresh { db, opened: AtomicU32::new(0), last: Mutex::new(None) }
    }

    async fn open(&self) -> Arc<dyn TokenStore> {
        if self.db.kind() == Kind::Postgres {
            let schema = format!("promise_{}", self.opened.fetch_add(1, Ordering::Relaxed));
            self.db.raw(&format!("CREATE SCHEMA {schema}")).await;
            let url = format!("{}?options[search_path]={schema}", self.db.url());
            return Arc::new(SqlStore::open(&url).await.unwrap());
        }
        let database = Database::new(self.db.kind()).await;
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
