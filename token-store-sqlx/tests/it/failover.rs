//! Servers that fail over: connections that end all at once, and those that go on and take no writes any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use token_core::{Committed, Fault, TokenStore};
use token_store_sqlx::SqlStore;

use crate::database::{Database, Kind, on_every_server};
use crate::sample::*;

on_every_server! {
    connections_that_end_all_at_once_reach_no_caller,
    a_store_that_goes_takes_its_connections_along,
    a_connection_that_takes_no_writes_is_not_kept,
}

/// How many there are, without the one that counts.
async fn connections(db: &Database) -> i64 {
    let connections = match db.kind() {
        Kind::Postgres => "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()",
        _ => "SELECT count(*) FROM information_schema.processlist WHERE db = database()",
    };
    db.count(connections).await - 1
}

/// Has as many connections as the store makes, all of them used a moment ago.
async fn connect_all(db: &Database, store: &Arc<SqlStore>) {
    while connections(db).await < 10 {
        let reading: Vec<_> = (0..200)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.token(id(0)).await.map(|_| ()) })
            })
            .collect();
        for read in reading {
            read.await.unwrap().unwrap();
        }
    }
}

async fn connections_that_end_all_at_once_reach_no_caller(db: &Database) {
    let store = Arc::new(db.store().await);
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    for number in (1..40).step_by(10) {
        connect_all(db, &store).await;
        db.disconnect_all().await;
        assert_eq!(store.commit(&create(token(number, "ann"), 100)).await.unwrap(), Committed::Done);
        connect_all(db, &store).await;
        db.disconnect_all().await;
        let committing: Vec<_> = (number + 1..number + 10)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { store.commit(&create(token(number, "ann"), 100)).await })
            })
            .collect();
        for committed in committing {
            assert_eq!(committed.await.unwrap().unwrap(), Committed::Done);
        }
    }
}

async fn a_store_that_goes_takes_its_connections_along(db: &Database) {
    let store = Arc::new(db.store().await);
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    connect_all(db, &store).await;
    drop(Arc::into_inner(store).unwrap());
    let gone = async {
        while connections(db).await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("some are left");
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
