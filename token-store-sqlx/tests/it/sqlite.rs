//! What only SQLite has: files and their permissions, memory, one lock to write.

use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use token_core::{Fault, TokenStore};
use token_store_sqlx::SqlStore;

use crate::commits::drop_futures_of;
use crate::database::Database;
use crate::faults::whole;
use crate::sample::*;

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = SqlStore::open(&format!("sqlite://{}/tokens.db", dir.path().display())).await.unwrap();
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
        files += 1;
    }
    assert!(files > 1, "the log beside the file counts too");
}

#[tokio::test]
async fn a_file_that_can_not_be_made_is_named() {
    let error = SqlStore::open("sqlite:///no/such/directory/tokens.db").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "can't create /no/such/directory/tokens.db; check that its directory exists and may be written to"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_future_leaves_no_transaction_open_in_memory() {
    drop_futures_of(Arc::new(SqlStore::open("sqlite::memory:").await.unwrap())).await;
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_read_all_the_same() {
    let db = Database::sqlite().await;
    let writer = db.store().await;
    writer.commit(&create_first(token(1, "ann"))).await.unwrap();
    let store = SqlStore::open(&format!("{}?mode=ro", db.url())).await.unwrap();
    assert_eq!(store.load(&[selector(1, 1)]).await.unwrap().len(), 1);
    let error = store.commit(&create(token(2, "ann"), 10)).await.unwrap_err();
    assert_eq!(error.fault(), Fault::ReadOnly, "{}", whole(&error));
    // A writer beside it can still write.
    writer.commit(&create(token(2, "ann"), 10)).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_passes() {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let store = SqlStore::from_sqlite_pool(pool.clone()).await.unwrap();
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&pool).await.unwrap();
    let limit = format!("PRAGMA max_page_count = {}", pages + 2);
    sqlx::query(sqlx::AssertSqlSafe(limit)).execute(&pool).await.unwrap();
    let mut number = 1;
    let error = loop {
        match store.commit(&create(token(number, "ann"), 10_000)).await {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.fault(), Fault::DiskFull, "{}", whole(&error));
    assert!(store.token(id(number)).await.unwrap().is_none());
    sqlx::query("PRAGMA max_page_count = 100000").execute(&pool).await.unwrap();
    store.commit(&create(token(number, "ann"), 10_000)).await.unwrap();
}

#[tokio::test]
async fn a_lock_that_others_hold_too_long_is_a_deadlock() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(dir.path().join("tokens.db"))
        .create_if_missing(true)
        .busy_timeout(std::time::Duration::from_millis(20));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let store = SqlStore::from_sqlite_pool(pool.clone()).await.unwrap();
    let lock = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = store.commit(&create_first(token(1, "ann"))).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Deadlock, "{}", whole(&error));
    drop(lock);
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
}
