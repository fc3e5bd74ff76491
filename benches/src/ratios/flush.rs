//! `flush.*`: the usage of a thousand tokens stored, over a thousand updates of when they were last used.

use std::cell::Cell;
use std::time::Duration;

use token_core::{Generation, LastUse, Tallies, Time, TokenId, TokenStore as _, UseTally};
use token_store_sqlx::SqlStore;

use super::{Setting, runtime};
use crate::Trouble;
use crate::clock::now;
use crate::database::{Kind, Pool};
use crate::pairs::{Measured, pairs};
use crate::table::Row;

const TOKENS: usize = 1000;
const PAIRS: usize = 7;
/// <https://www.postgresql.org/docs/current/sql-prepare.html>, "Notes"
const PLANNED_ANEW: usize = 5;

pub(super) fn measure(setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    let mut rows = Vec::new();
    for (name, kind) in [("flush.sqlite", Kind::Sqlite), ("flush.postgres", Kind::Postgres)] {
        if setting.asks_for(name) {
            rows.push(on(setting, name, kind)?);
        }
    }
    Ok(rows)
}

fn on(setting: &Setting, name: &'static str, kind: Kind) -> Result<Row, Trouble> {
    let prepared = setting.databases.prepared(kind)?;
    let runtime = runtime()?;
    let store = runtime.block_on(SqlStore::open(&prepared.url))?;
    let pool = runtime.block_on(Pool::stock(&prepared.url, 1))?;
    if kind == Kind::Sqlite {
        // As the store has it: what was answered is not lost with the power.
        runtime.block_on(pool.run("PRAGMA synchronous = FULL"))?;
    }
    let format = token_core::TokenFormat::new("acme_live")?;
    let texts = prepared.headers.iter().take(TOKENS).map(|header| header.strip_prefix(b"Bearer ").unwrap_or_default());
    let selectors = texts.map(|text| format.check(text)).collect::<Result<Vec<_>, _>>()?;
    let loaded = runtime.block_on(store.load(&selectors))?;
    let tokens: Vec<TokenId> = loaded.iter().map(|loaded| loaded.secret.token).collect();

    // Time goes on, so that every row is written by both.
    let at = Cell::new("2027-01-31T00:00:00Z".parse::<Time>()?);
    let later = || {
        at.set(at.get().checked_add(Duration::from_secs(1)).unwrap_or(Time::MAX));
        at.get()
    };
    let ours = || -> Result<f64, Trouble> {
        let at = later();
        let last = LastUse { at, address: None, client: None };
        let used = |token: &TokenId| UseTally {
            token: *token,
            generation: Generation::FIRST,
            hour: at.hour(),
            count: 3,
            last: last.clone(),
        };
        let tallies = Tallies { uses: tokens.iter().map(used).collect(), ..Tallies::default() };
        let started = now();
        runtime.block_on(store.record(&tallies))?;
        Ok(started.elapsed().as_secs_f64() * 1000.0)
    };
    let singly = || {
        let at = later();
        let started = now();
        runtime.block_on(async {
            for token in &tokens {
                pool.touch(*token, at).await?;
            }
            Ok::<_, Trouble>(())
        })?;
        Ok(started.elapsed().as_secs_f64() * 1000.0)
    };
    // The rows are there from here on. A statement that comes for the first time, and on PostgreSQL for the first five on a connection, is
    // planned anew: of a service that runs those are its first seconds, and of the reference the first of its thousand.
    for _ in 0..PLANNED_ANEW {
        ours()?;
    }
    let measured = pairs(PAIRS, ours, singly)?;
    let row = Row::new(name, "ms", Measured { ratio: 1.0 / measured.ratio, ..measured });
    Ok(row.note("ours in one transaction, the last uses and the hours; theirs a commit each, of the last use alone"))
}
