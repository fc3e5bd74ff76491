//! `cold.storm`: ten thousand tokens at once that no cache holds, as after a restart, over one query for each.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use token_core::testing::CountingStore;
use token_core::{TokenFormat, TokenStore as _};
use token_store_sqlx::SqlStore;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::Setting;
use crate::Trouble;
use crate::clock::now;
use crate::database::{Kind, Pool, Prepared, selector};
use crate::pairs::{Measured, pairs, percentile};
use crate::subject::{Keeping, build, verify};
use crate::table::Row;

const TASKS: usize = 64;
const PAIRS: usize = 9;

pub(super) fn measure(setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    let prepared = setting.databases.prepared(Kind::Postgres)?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let store = Arc::new(CountingStore::new(Arc::new(runtime.block_on(SqlStore::open(&prepared.url))?)));
    let pool = runtime.block_on(Pool::open(&prepared.url, 10))?;
    let ours = || {
        runtime.block_on(async {
            // A cache that has seen nothing.
            let (tokens, _background) = build(store.clone(), Keeping::default_of_the_service()).await?;
            storm(&prepared, move |prepared, at| {
                let tokens = tokens.clone();
                async move {
                    let verified = verify(&tokens, &prepared.headers[at]).await;
                    verified.map(drop).map_err(|refusal| refusal.reason().as_str().into())
                }
            })
            .await
        })
    };
    let queries = || {
        runtime.block_on(async {
            let pool = pool.clone();
            storm(&prepared, move |prepared, at| {
                let pool = pool.clone();
                async move { Ok(pool.point(selector(&prepared.headers[at])).await?) }
            })
            .await
        })
    };
    let before = store.calls();
    let measured = pairs(PAIRS, ours, queries)?;
    let calls = (store.calls() - before) as f64 / PAIRS as f64;

    // What one load of as many as there are tasks takes by itself.
    let texts = prepared.headers.iter().take(TASKS).map(|header| header.strip_prefix(b"Bearer ").unwrap_or_default());
    let format = TokenFormat::new("acme_live")?;
    let together = texts.map(|text| format.check(text)).collect::<Result<Vec<_>, _>>()?;
    let mut took = Vec::new();
    for _ in 0..200 {
        let started = now();
        runtime.block_on(store.load(&together))?;
        took.push(started.elapsed().as_secs_f64() * 1e6);
    }
    let took = percentile(&mut took, 0.5);
    let row = Row::new("cold.storm", "ms", Measured { ratio: 1.0 / measured.ratio, ..measured });
    let row =
        row.note(format!("calls to the store {calls:.0}, of {:.0} tokens each", prepared.headers.len() as f64 / calls));
    Ok(vec![row.note(format!("one load of {TASKS} by itself {took:.0} µs, {:.1} a row", took / TASKS as f64))])
}

/// Milliseconds until every token was asked for, by tasks that take the next one each.
async fn storm<F>(
    prepared: &Arc<Prepared>,
    ask: impl Fn(Arc<Prepared>, usize) -> F + Clone + Send + 'static,
) -> Result<f64, Trouble>
where
    F: Future<Output = Result<(), Trouble>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let started = now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (prepared, next, ask) = (Arc::clone(prepared), Arc::clone(&next), ask.clone());
        tasks.spawn(async move {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= prepared.headers.len() {
                    return Ok::<_, Trouble>(());
                }
                ask(Arc::clone(&prepared), at).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(started.elapsed().as_secs_f64() / Duration::from_millis(1).as_secs_f64())
}
