//! `cold.*`: a verification that misses the cache, over the same row read by a bare query that makes no sense of it.

use std::cell::RefCell;
use std::sync::Arc;

use token_core::TokenStore as _;
use token_core::testing::CountingStore;
use token_store_sqlx::SqlStore;

use super::{Setting, runtime};
use crate::Trouble;
use crate::clock::now;
use crate::database::{Kind, Pool, selector};
use crate::pairs::pairs;
use crate::processors::Together;
use crate::subject::{Keeping, build, verify};
use crate::table::Row;
use crate::walk::Walk;

const PAIRS: usize = 101;
/// Verifications, or queries, of one side of a pair.
const RUNS: usize = 200;

pub(super) fn sqlite(setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    measure(setting, "cold.sqlite", "cold.sqlite.statements", Kind::Sqlite)
}

pub(super) fn postgres(setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    measure(setting, "cold.postgres", "cold.postgres.statements", Kind::Postgres)
}

pub(super) fn mariadb(setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    measure(setting, "cold.mariadb", "cold.mariadb.statements", Kind::MariaDb)
}

fn measure(setting: &Setting, name: &'static str, counted: &'static str, kind: Kind) -> Result<Vec<Row>, Trouble> {
    // SQLite's threads are this process's own.
    let _together = if kind == Kind::Sqlite { Some(Together::new()?) } else { None };
    let prepared = setting.databases.prepared(kind)?;
    let headers = &prepared.headers;
    let runtime = runtime()?;
    let store = Arc::new(runtime.block_on(SqlStore::open(&prepared.url))?);
    let (tokens, _background) = runtime.block_on(build(store.clone(), Keeping::nothing()))?;
    let pool = runtime.block_on(Pool::open(&prepared.url, if kind == Kind::Sqlite { 4 } else { 10 }))?;

    let ours = |walk: &mut Walk| {
        runtime.block_on(async {
            let started = now();
            for _ in 0..RUNS {
                let header = &headers[walk.below(headers.len())];
                verify(&tokens, header).await.map_err(|refusal| refusal.reason().as_str())?;
            }
            Ok(started.elapsed().as_secs_f64() * 1e6 / RUNS as f64)
        })
    };
    let query = |walk: &mut Walk| {
        runtime.block_on(async {
            let started = now();
            for _ in 0..RUNS {
                pool.point(selector(&headers[walk.below(headers.len())])).await?;
            }
            Ok(started.elapsed().as_secs_f64() * 1e6 / RUNS as f64)
        })
    };
    let walks = RefCell::new((Walk::new(1), Walk::new(1)));
    let measured = pairs(PAIRS, || ours(&mut walks.borrow_mut().0), || query(&mut walks.borrow_mut().1))?;

    // Where the time between the two goes: the store's part of a verification.
    let load = |walk: &mut Walk| {
        runtime.block_on(async {
            let selectors: Result<Vec<_>, _> = (0..RUNS)
                .map(|_| {
                    let header = &headers[walk.below(headers.len())];
                    tokens.format().check(header.strip_prefix(b"Bearer ").unwrap_or_default())
                })
                .collect();
            let selectors = selectors?;
            let started = now();
            for selector in &selectors {
                store.load(std::slice::from_ref(selector)).await?;
            }
            Ok(started.elapsed().as_secs_f64() * 1e6 / RUNS as f64)
        })
    };
    let part = pairs(PAIRS / 4, || load(&mut walks.borrow_mut().0), || query(&mut walks.borrow_mut().1))?;
    let statements = runtime.block_on(statements(store.clone(), headers))?;
    let row = Row::new(name, "us", measured);
    let row = row.note(format!("the store's load alone is {:.3} of the query", part.ratio));
    Ok(vec![row, Row::plain(counted, "", statements)])
}

/// How many statements a miss takes. A load of one selector is one statement: the store promises it, and its tests hold it to that.
async fn statements(store: Arc<SqlStore>, headers: &[Box<[u8]>]) -> Result<f64, Trouble> {
    let counting = Arc::new(CountingStore::new(store));
    let (tokens, _background) = build(counting.clone(), Keeping::nothing()).await?;
    let before = counting.calls();
    for header in headers.iter().take(RUNS) {
        verify(&tokens, header).await.map_err(|refusal| refusal.reason().as_str())?;
    }
    Ok((counting.calls() - before) as f64 / RUNS as f64)
}
