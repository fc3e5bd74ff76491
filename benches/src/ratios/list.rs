//! `scale.list`: the first page of an owner with 10,000 tokens, over that of one with 10.

use token_core::{ListFilter, ListQuery, OwnerId, Position, Time, TokenStore as _};
use token_store_sqlx::SqlStore;

use super::{Setting, runtime};
use crate::Trouble;
use crate::clock::now;
use crate::database::{Kind, filled};
use crate::pairs::pairs;
use crate::table::Row;

const PAIRS: usize = 61;
const RUNS: usize = 50;
/// Tokens on a page.
const PAGE: u32 = 25;

pub(super) fn measure(setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    let mut rows = Vec::new();
    for (name, kind) in [("scale.list.sqlite", Kind::Sqlite), ("scale.list.postgres", Kind::Postgres)] {
        if setting.asks_for(name) {
            let filled = filled(&setting.databases, kind, 10_000)?;
            let runtime = runtime()?;
            let store = runtime.block_on(SqlStore::open(&filled.url))?;
            let now_at: Time = "2027-01-31T00:00:00Z".parse()?;
            let page = |owner: &str, at_least: usize| {
                let query = ListQuery {
                    owner: Some(OwnerId::new(owner)?),
                    filter: ListFilter::Any,
                    text: None,
                    from: Position::Created(None),
                    now: now_at,
                    limit: PAGE,
                };
                let started = now();
                for _ in 0..RUNS {
                    let page = runtime.block_on(store.list(&query))?;
                    if page.tokens.len() < at_least {
                        return Err("a page is too short".into());
                    }
                }
                Ok(started.elapsed().as_secs_f64() * 1e6 / RUNS as f64)
            };
            let measured = pairs(PAIRS, || page("crowd", PAGE as usize), || page("owner-1", 10))?;
            rows.push(
                Row::new(name, "us", measured).note(format!("{PAGE} tokens on the page of the one, 10 on the other's")),
            );
        }
    }
    Ok(rows)
}
