//! Opening: files, permissions, tables.

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use token_core::{Committed, TokenStore};
use token_store_sqlx::{OpenError, SqlStore};

use crate::sample::{create_first, id, store, token, url};

#[tokio::test]
async fn what_was_stored_is_there_when_the_file_is_opened_again() {
    let (first, dir) = store().await;
    assert_eq!(first.commit(&create_first(token(1, "ann"))).await.unwrap(), Committed::Done);
    drop(first);
    let again = SqlStore::open(&url(&dir)).await.unwrap();
    assert_eq!(again.token(id(1)).await.unwrap().unwrap().unverified(), &token(1, "ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_open_a_new_file_at_once() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let opening: Vec<_> = (0..8)
            .map(|_| {
                let url = url(&dir);
                tokio::spawn(async move { SqlStore::open(&url).await })
            })
            .collect();
        for store in opening {
            assert!(store.await.unwrap().unwrap().keys(token_core::Time::EPOCH).await.unwrap().is_empty());
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (store, dir) = store().await;
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
async fn the_hosts_pool_and_its_tables_are_used_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(dir.path().join("host.db")).create_if_missing(true);
    let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
    sqlx::query("CREATE TABLE tokens (mine TEXT)").execute(&pool).await.unwrap();
    sqlx::query("CREATE TABLE _sqlx_migrations (mine TEXT)").execute(&pool).await.unwrap();

    for _ in 0..2 {
        SqlStore::from_sqlite_pool(pool.clone()).await.unwrap();
    }
    let store = SqlStore::from_sqlite_pool(pool.clone()).await.unwrap();
    assert_eq!(store.commit(&create_first(token(1, "ann"))).await.unwrap(), Committed::Done);
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'").fetch_all(&pool).await.unwrap();
    let others: Vec<_> = tables.iter().filter(|name| !name.starts_with("api_token")).collect();
    assert_eq!(others, ["tokens", "_sqlx_migrations", "sqlite_sequence"]);
}

#[tokio::test]
async fn a_newer_version_may_have_added_to_the_tables() {
    let (store, dir) = store().await;
    drop(store);
    let pool = SqlitePoolOptions::new().connect(&url(&dir)).await.unwrap();
    let later = "INSERT INTO api_tokens_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'later', TRUE, x'00', 0)";
    sqlx::query(later).execute(&pool).await.unwrap();
    SqlStore::open(&url(&dir)).await.unwrap();
}

#[tokio::test]
async fn tables_that_were_changed_by_hand_are_not_opened() {
    let (store, dir) = store().await;
    drop(store);
    let pool = SqlitePoolOptions::new().connect(&url(&dir)).await.unwrap();
    sqlx::query("UPDATE api_tokens_migrations SET checksum = x'00'").execute(&pool).await.unwrap();
    assert!(matches!(SqlStore::open(&url(&dir)).await, Err(OpenError::Schema(_))));
}

#[tokio::test]
async fn what_can_not_be_opened_is_said_clearly() {
    for address in ["", "tokens.db", "postgres://user:hunter2@host/db", "sqlite://tokens.db?mode=often"] {
        let error = SqlStore::open(address).await.unwrap_err();
        assert!(matches!(error, OpenError::Url(_)), "{address}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let error = SqlStore::open("sqlite:///no/such/directory/tokens.db").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "can't create /no/such/directory/tokens.db; check that its directory exists and may be written to"
    );
}

#[tokio::test]
async fn the_store_prints_its_kind_and_nothing_else() {
    assert_eq!(format!("{:?}", store().await.0), "SqlStore(sqlite)");
}
