//! Servers that fail over: connections that go on and take no writes any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use token_core::{Committed, Fault, TokenStore};
use token_store_sqlx::SqlStore;

use crate::database::{Database, Kind, on_every_server};
use crate::sample::*;

on_every_server! {
    a_connection_that_takes_no_writes_is_not_kept,
}

/// As those to a primary that was made a replica.
async fn a_connection_that_takes_no_writes_is_not_kept(db: &Database) {
    db.store().await.commit(&create_first(token(0, "ann"))).await.unwrap();
    let replica = Arc::new(AtomicBool::new(true));
    let is_replica = replica.clone();
    let store = match db.kind() {
        Kind::Postgres => {
            let pool = PgPoolOptions::new().max_connections(1).after_connect(move |conn, _| {
                let sql = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
                let sql = if is_replica.load(Ordering::SeqCst) { sql } else { "" };
                Box::pin(async move { sqlx::raw_sql(sql).execute(conn).await.map(|_| ()) })
            });
            SqlStore::from_postgres_pool(pool.connect(db.url()).await.unwrap()).await.unwrap()
        }
        _ => {
            let pool = MySqlPoolOptions::new().max_connections(1).after_connect(move |conn, _| {
                let sql = if is_replica.load(Ordering::SeqCst) { "SET SESSION TRANSACTION READ ONLY" } else { "DO 0" };
                Box::pin(async move { sqlx::raw_sql(sql).execute(conn).await.map(|_| ()) })
            });
            SqlStore::from_mysql_pool(pool.connect(db.url()).await.unwrap()).await.unwrap()
        }
    };
    let change = create(token(1, "ann"), 100);
    for _ in 0..2 {
        assert_eq!(store.commit(&change).await.unwrap_err().fault(), Fault::ReadOnly);
        assert!(store.token(id(0)).await.unwrap().is_some());
    }
    // From here on the name leads to another server.
    replica.store(false, Ordering::SeqCst);
    assert_eq!(store.commit(&change).await.unwrap_err().fault(), Fault::ReadOnly, "of the connection from before");
    assert_eq!(store.commit(&change).await.unwrap(), Committed::Done);
}
