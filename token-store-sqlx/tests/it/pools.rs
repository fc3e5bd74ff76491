//! Pools of the host's: used as they are.

use std::time::Duration;

use token_core::{Committed, Fault, TokenStore};

use crate::database::{Database, Kind, on_every_database};
use crate::sample::*;

on_every_database! {
    the_hosts_pool_and_its_tables_are_used_as_they_are,
    what_the_hosts_sessions_are_set_to_changes_nothing,
    a_pool_without_a_free_connection_is_exhausted_and_a_closed_one_lost,
}

const WAIT: Duration = Duration::from_secs(1);

async fn the_hosts_pool_and_its_tables_are_used_as_they_are(db: &Database) {
    let pool = db.pool(4, 10 * WAIT).await;
    pool.run("CREATE TABLE tokens (mine INTEGER); CREATE TABLE _sqlx_migrations (mine INTEGER)").await;
    for number in 0..3 {
        let store = pool.store().await;
        let change = if number == 0 { create_first(token(0, "ann")) } else { create(token(number, "ann"), 10) };
        assert_eq!(store.commit(&change).await.unwrap(), Committed::Done);
    }
    let mut others = db.tables().await;
    others.retain(|table| !table.starts_with("api_token"));
    others.sort();
    assert_eq!(others, ["_sqlx_migrations", "tokens"]);
}

/// In a time zone that is not UTC, with other rules for transactions and for the language.
async fn what_the_hosts_sessions_are_set_to_changes_nothing(db: &Database) {
    let pool = db.pool(1, 10 * WAIT).await;
    pool.run(match db.kind() {
        Kind::Sqlite => "PRAGMA case_sensitive_like = ON; PRAGMA foreign_keys = OFF; PRAGMA recursive_triggers = ON",
        Kind::Postgres => {
            "SET TIME ZONE 'Asia/Kathmandu'; SET datestyle = 'German'; SET bytea_output = 'escape';
             SET default_transaction_isolation = 'serializable'; SET standard_conforming_strings = off"
        }
        Kind::MySql => {
            "SET time_zone = '+05:45', sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES,TRADITIONAL', autocommit = 1;
             SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"
        }
    })
    .await;
    let store = pool.store().await;
    let mut dated = token(1, "ann");
    dated.expires_at = Some(at(1_900_000_000));
    assert_eq!(store.commit(&create_first(dated.clone())).await.unwrap(), Committed::Done);
    assert_eq!(store.commit(&update("update", dated.clone(), Some(secret(1, 2)))).await.unwrap(), Committed::Done);
    // Read as others wrote it, and by others as it was written here.
    for store in [store, db.store().await] {
        let loaded = store.load(&[selector(1, 2)]).await.unwrap();
        assert_eq!(loaded[0].token.unverified().expires_at, dated.expires_at);
        assert_eq!(loaded[0].token.unverified().created_at, dated.created_at);
        assert_eq!(loaded[0].token.unverified().revision, 2);
    }
}

async fn a_pool_without_a_free_connection_is_exhausted_and_a_closed_one_lost(db: &Database) {
    let pool = db.pool(1, WAIT).await;
    let store = pool.store().await;
    let taken = pool.take().await;
    assert_eq!(store.token(id(1)).await.unwrap_err().fault(), Fault::PoolExhausted);
    assert_eq!(store.commit(&create_first(token(1, "ann"))).await.unwrap_err().fault(), Fault::PoolExhausted);
    drop(taken);
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    pool.close().await;
    assert_eq!(store.token(id(1)).await.unwrap_err().fault(), Fault::ConnectionLost);
}
