//! Servers that answer bit by bit, or no more, and callers that don't wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use token_core::{Committed, Fault, ListFilter, ListQuery, Position, TokenStore};
use token_store_sqlx::{OpenError, SqlStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::database::{Database, on_every_server};
use crate::sample::*;

on_every_server! {
    callers_who_give_up_leave_nothing_amiss,
    opening_a_server_that_falls_silent_ends,
}

/// What lies between the store and its server.
#[derive(Clone, Copy)]
enum Way {
    /// Answers come in pieces of this size, so far apart.
    Slow { piece: usize, apart: Duration },
    /// What follows an error of PostgreSQL comes so much later.
    PauseInErrors(Duration),
    /// Nothing goes either way any more, once the store has sent this.
    SilentAfter(&'static [u8]),
}

/// The address of a database by such a way.
async fn by(way: Way, db: &Database) -> String {
    let (scheme, rest) = db.url().split_once("://").unwrap();
    let (user, rest) = rest.split_once('@').unwrap();
    let (server, name) = rest.split_once('/').unwrap();
    let (server, name) = (server.to_owned(), name.to_owned());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("{scheme}://{user}@127.0.0.1:{port}/{name}");
    tokio::spawn(async move {
        let silent = Arc::new(AtomicBool::new(false));
        while let Ok((client, _)) = listener.accept().await {
            let upstream = TcpStream::connect(&server).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = upstream.into_split();
            let (heard, told) = (silent.clone(), silent.clone());
            tokio::spawn(async move {
                let mut sent = vec![0; 65_536];
                while let Ok(length @ 1..) = from_client.read(&mut sent).await {
                    if let Way::SilentAfter(text) = way
                        && sent[..length].windows(text.len()).any(|window| window == text)
                    {
                        heard.store(true, Ordering::SeqCst);
                    }
                    if heard.load(Ordering::SeqCst) {
                        std::future::pending::<()>().await;
                    }
                    if to_server.write_all(&sent[..length]).await.is_err() {
                        return;
                    }
                }
            });
            tokio::spawn(async move {
                let size = if let Way::Slow { piece, .. } = way { piece } else { 65_536 };
                let mut answered = vec![0; size];
                while let Ok(length @ 1..) = from_server.read(&mut answered).await {
                    if let Way::Slow { apart, .. } = way {
                        tokio::time::sleep(apart).await;
                    }
                    let mut rest = &answered[..length];
                    if let Way::PauseInErrors(pause) = way
                        && let Some(start) = rest.windows(7).position(|window| window == b"SERROR\0")
                    {
                        // Before its first field an error has its letter and its length, which counts itself.
                        let size = u32::from_be_bytes(rest[start - 4..start].try_into().unwrap());
                        let (error, after) = rest.split_at(start - 4 + usize::try_from(size).unwrap());
                        drop(to_client.write_all(error).await);
                        tokio::time::sleep(pause).await;
                        rest = after;
                    }
                    if told.load(Ordering::SeqCst) {
                        std::future::pending::<()>().await;
                    }
                    if to_client.write_all(rest).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

async fn callers_who_give_up_leave_nothing_amiss(db: &Database) {
    let direct = db.store().await;
    direct.commit(&create_first(token(0, "ann"))).await.unwrap();
    for number in 1..50 {
        direct.commit(&create(token(number, "ann"), 100)).await.unwrap();
    }
    let slow = Way::Slow { piece: 1448, apart: Duration::from_millis(2) };
    let store = Arc::new(SqlStore::open(&by(slow, db).await).await.unwrap());
    let query = ListQuery {
        owner: Some(owner_id("ann")),
        filter: ListFilter::Any,
        text: None,
        from: Position::Created(None),
        now: at(100),
        limit: 50,
    };
    let giving_up: Vec<_> = (0..200_u64)
        .map(|number| {
            let (store, query) = (store.clone(), query.clone());
            tokio::spawn(async move {
                let patience = Duration::from_millis(number % 60);
                drop(tokio::time::timeout(patience, store.list(&query)).await);
            })
        })
        .collect();
    for gave_up in giving_up {
        gave_up.await.unwrap();
    }
    for _ in 0..20 {
        assert_eq!(store.load(&[selector(7, 1)]).await.unwrap().len(), 1);
        assert_eq!(store.list(&query).await.unwrap().tokens.len(), 50);
    }
}

/// An error of PostgreSQL is two messages; who gives up between them has seen the first only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the server at TOKEN_TEST_POSTGRES_URL"]
async fn a_rollback_that_is_given_up_leaves_no_transaction_in_the_hosts_pool_on_postgres() {
    let db = Database::postgres().await;
    db.store().await.commit(&create_first(token(0, "ann"))).await.unwrap();
    let pause = Way::PauseInErrors(Duration::from_millis(100));
    let pool = db.pool_at(&by(pause, &db).await, 1, Duration::from_secs(20)).await;
    let store = pool.store().await;
    // Its event is there already: an error in the middle, and a rollback.
    let mut taken = update("taken", token(0, "ann"), None);
    taken.event.seq = 1;
    for patience in (5..100).step_by(5) {
        drop(tokio::time::timeout(Duration::from_millis(patience), store.commit(&taken)).await);
        pool.run("INSERT INTO api_token_meta (name, value) VALUES ('host', '')").await;
        pool.run("DELETE FROM api_token_meta WHERE name = 'host'").await;
    }
    assert_eq!(store.commit(&taken).await.unwrap(), Committed::Conflict);
}

async fn opening_a_server_that_falls_silent_ends(db: &Database) {
    drop(db.store().await);
    for text in [&b"api_tokens_migrations"[..], b"success"] {
        let url = by(Way::SilentAfter(text), db).await;
        let opened = tokio::time::timeout(Duration::from_secs(60), SqlStore::open(&url)).await.unwrap();
        let error = opened.unwrap_err();
        assert!(matches!(&error, OpenError::Store(error) if error.fault() == Fault::TimedOut), "{error:?}");
    }
}
