//! What goes wrong is named by its kind.

use std::error::Error;

use token_core::{Fault, StoreError, Subject, TokenStore};
use token_store_sqlx::SqlStore;

use crate::sample::*;

/// Everything that an error and its causes say.
fn whole(error: &StoreError) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

async fn by_hand(dir: &tempfile::TempDir, sql: &'static str) {
    let pool = sqlx::SqlitePool::connect(&url(dir)).await.unwrap();
    sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    pool.close().await;
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_read_all_the_same() {
    let (writer, dir) = store().await;
    writer.commit(&create_first(token(1, "ann"))).await.unwrap();
    let store = SqlStore::open(&format!("{}?mode=ro", url(&dir))).await.unwrap();
    assert_eq!(store.load(&[selector(1, 1)]).await.unwrap().len(), 1);
    let error = store.commit(&create(token(2, "ann"), 10)).await.unwrap_err();
    assert_eq!(error.fault(), Fault::ReadOnly, "{}", whole(&error));
    // A writer beside it can still write.
    writer.commit(&create(token(2, "ann"), 10)).await.unwrap();
}

#[tokio::test]
async fn a_column_that_can_not_be_read_is_named() {
    let (store, dir) = store().await;
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    let cases = [
        ("grants", "UPDATE api_tokens SET grants = '{'"),
        ("networks", "UPDATE api_tokens SET networks = '[]'"),
        ("expires_at", "UPDATE api_tokens SET expires_at = -1"),
        ("name", "UPDATE api_tokens SET name = char(10)"),
        ("seal", "PRAGMA ignore_check_constraints = ON; UPDATE api_tokens SET seal = x'00'"),
        ("revision", "PRAGMA ignore_check_constraints = ON; UPDATE api_tokens SET revision = -1"),
        ("old_generation", "PRAGMA ignore_check_constraints = ON; UPDATE api_tokens SET old_until = 1"),
        ("scheme", "UPDATE api_token_secrets SET scheme = 77"),
        ("owner_seal_key", "UPDATE api_token_owners SET seal_key = ''"),
    ];
    for (column, sql) in cases {
        by_hand(
            &dir,
            "DELETE FROM api_token_secrets; DELETE FROM api_tokens; DELETE FROM api_token_owners;
                       DELETE FROM api_token_events; DELETE FROM api_token_changes;",
        )
        .await;
        store.commit(&create_first(token(1, "ann"))).await.unwrap();
        by_hand(&dir, sql).await;
        let error = store.load(&[selector(1, 1)]).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Corrupt, "{column}");
        assert!(whole(&error).contains(&format!("column {column} can't be read")), "{}", whole(&error));
    }
}

#[tokio::test]
async fn a_change_whose_event_is_gone_is_no_empty_answer() {
    let (store, dir) = store().await;
    let change = create_first(token(1, "ann"));
    store.commit(&change).await.unwrap();
    by_hand(&dir, "DELETE FROM api_token_events").await;
    assert_eq!(store.outcome(&change.id).await.unwrap_err().fault(), Fault::Corrupt);
    assert!(store.events(&Subject::Token(id(1)), 0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_owner_whose_row_is_gone_is_told_as_missing() {
    let (store, dir) = store().await;
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    by_hand(&dir, "PRAGMA foreign_keys = OFF; DELETE FROM api_token_owners").await;
    assert!(store.load(&[selector(1, 1)]).await.unwrap()[0].owner.is_none());
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
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
    drop(dir);
}

#[tokio::test]
async fn a_lock_that_others_hold_too_long_is_a_deadlock() {
    let dir = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new()
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

#[tokio::test]
async fn a_pool_without_a_free_connection_is_exhausted_and_a_closed_one_lost() {
    let pool = sqlx::sqlite::SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(std::time::Duration::from_millis(50))
        .connect("sqlite::memory:")
        .await
        .unwrap();
    let store = SqlStore::from_sqlite_pool(pool.clone()).await.unwrap();
    let taken = pool.acquire().await.unwrap();
    assert_eq!(store.token(id(1)).await.unwrap_err().fault(), Fault::PoolExhausted);
    assert_eq!(store.commit(&create_first(token(1, "ann"))).await.unwrap_err().fault(), Fault::PoolExhausted);
    drop(taken);
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    pool.close().await;
    assert_eq!(store.token(id(1)).await.unwrap_err().fault(), Fault::ConnectionLost);
}
