//! `naive.sqlite`, `naive.postgres`: a protected route, over one as it is written by hand: the hash of the token, a SELECT by it, and an
//! UPDATE of when it was last used, at every request.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use sha2::{Digest as _, Sha256};
use token_store_sqlx::SqlStore;

use super::web::CONNECTIONS;
use super::{Setting, runtime};
use crate::Trouble;
use crate::database::{Kind, Pool};
use crate::http::{App, Connections, Server, protected, request};
use crate::pairs::{Measured, pairs};
use crate::subject::{Keeping, build};
use crate::table::Row;

/// Beside one hot token, as `http.axum` has it, so many in turn: with one, all connections write the same row by hand.
const TOKENS: usize = 1000;
const PAIRS: usize = 15;
const SLICE: Duration = Duration::from_millis(500);

pub(super) fn sqlite(setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    measure(setting, "naive.sqlite", Kind::Sqlite)
}

pub(super) fn postgres(setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    measure(setting, "naive.postgres", Kind::Postgres)
}

fn measure(setting: &mut Setting, name: &'static str, kind: Kind) -> Result<Vec<Row>, Trouble> {
    let prepared = setting.databases.prepared(kind)?;
    let headers: Vec<_> = prepared.headers.iter().take(TOKENS).cloned().collect();
    let all: Vec<Vec<u8>> = headers.iter().map(|header| request("GET", "/projects", header)).collect();
    let url = prepared.url.clone();
    let ours = Server::start(move || {
        Box::pin(async move {
            let store = Arc::new(SqlStore::open(&url).await?);
            let (tokens, background) = build(store, Keeping::default_of_the_service()).await?;
            tokio::spawn(background);
            Ok(protected(&tokens))
        })
    })?;
    let url = prepared.url.clone();
    let by_hand = Server::start(move || {
        Box::pin(async move {
            let pool = Pool::stock(&url, 10).await?;
            prepare(&pool, &headers).await?;
            Ok(App::Bare(Router::new().route("/projects", get(by_hand)).with_state(pool)))
        })
    })?;
    let one = compare(&ours, &by_hand, all.iter().take(1).cloned().collect())?;
    let many = compare(&ours, &by_hand, all)?;
    let note = format!(
        "with {TOKENS} tokens in turn {:.0} /s, by hand {:.0} /s: {:.1}",
        many.ours, many.reference, many.ratio
    );
    Ok(vec![Row::new(name, "/s", one).note(note)])
}

fn compare(ours: &Server, by_hand: &Server, requests: Vec<Vec<u8>>) -> Result<Measured, Trouble> {
    let runtime = runtime()?;
    let open = |server: &Server| runtime.block_on(Connections::open(server.address, CONNECTIONS, requests.clone()));
    let (to_ours, to_theirs) = (RefCell::new(open(ours)?), RefCell::new(open(by_hand)?));
    let slice = |to: &RefCell<Connections>| runtime.block_on(to.borrow_mut().saturate(SLICE));
    // The first finds caches and pools empty.
    slice(&to_ours)?;
    slice(&to_theirs)?;
    pairs(PAIRS, || slice(&to_ours), || slice(&to_theirs))
}

async fn by_hand(State(pool): State<Pool>, headers: HeaderMap) -> Result<&'static str, StatusCode> {
    let value = headers.get("authorization").and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
    let hash = Sha256::digest(token.as_bytes());
    let failed = |_| StatusCode::SERVICE_UNAVAILABLE;
    let found = pool.select_by_hand(&hash).await.map_err(failed)?;
    let (id, scopes) = found.ok_or(StatusCode::UNAUTHORIZED)?;
    if !scopes.split(' ').any(|scope| scope == "projects:read") {
        return Err(StatusCode::FORBIDDEN);
    }
    pool.touch_by_hand(id).await.map_err(failed)?;
    Ok("ok")
}

/// The table that such a host has.
async fn prepare(pool: &Pool, headers: &[Box<[u8]>]) -> Result<(), Trouble> {
    let bytes = match pool {
        Pool::Sqlite(_) => "BLOB",
        Pool::Postgres(_) => "bytea",
        Pool::MySql(_) => "VARBINARY(32)",
    };
    pool.run("DROP TABLE IF EXISTS by_hand").await?;
    pool.run(&format!(
        "CREATE TABLE by_hand (id BIGINT PRIMARY KEY, hash {bytes} NOT NULL UNIQUE, owner TEXT NOT NULL, scopes TEXT NOT NULL, \
         revoked BIGINT, last_used BIGINT NOT NULL)"
    ))
    .await?;
    for (header, id) in headers.iter().zip(1_i64..) {
        let token = header.strip_prefix(b"Bearer ").ok_or("no bearer")?;
        pool.insert_by_hand(id, &Sha256::digest(token)).await?;
    }
    Ok(())
}
