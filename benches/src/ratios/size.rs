//! `scale.store`: the hot lookup among ten million tokens, over the same among ten thousand.

use std::cell::RefCell;

use token_core::{Selector, TokenStore as _};
use token_store_sqlx::SqlStore;
use tokio::runtime::Runtime;

use super::{Setting, runtime};
use crate::Trouble;
use crate::clock::now;
use crate::database::{Filled, Kind, filled};
use crate::pairs::{pairs, percentile};
use crate::table::Row;
use crate::walk::Walk;

const FEW: u64 = 10_000;
const RUNS: usize = 250;

pub(super) fn measure(setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    let mut rows = Vec::new();
    for (name, kind) in [("scale.store.sqlite", Kind::Sqlite), ("scale.store.postgres", Kind::Postgres)] {
        if setting.asks_for(name) {
            let (many, few) =
                (filled(&setting.databases, kind, setting.stored)?, filled(&setting.databases, kind, FEW)?);
            let runtime = runtime()?;
            let mut many = Lookups::of(&runtime, many, SESSIONS)?;
            let mut few = Lookups::of(&runtime, few, SESSIONS + 1)?;
            many.warm()?;
            few.warm()?;
            let kept = many.filled.kept()?;
            let (many, few) = (RefCell::new(many), RefCell::new(few));
            // Every session of the one meets each of the other twice.
            let measured = pairs(
                2 * SESSIONS * (SESSIONS + 1),
                || many.borrow_mut().slice(RUNS),
                || few.borrow_mut().slice(RUNS),
            )?;
            rows.push(
                Row::new(name, "us", measured)
                    .note(format!("p50 of the lookup among {} and {FEW} tokens, kept {kept}", setting.stored)),
            );
        }
    }
    Ok(rows)
}

/// Sessions with a database, which take turns: on which processor a system runs what answers a session is settled as it begins,
/// and makes two of them differ by more than what is looked for.
pub(crate) const SESSIONS: usize = 8;

/// Random lookups in one database.
pub(crate) struct Lookups<'a> {
    runtime: &'a Runtime,
    /// The one whose turn it is last.
    stores: Vec<SqlStore>,
    filled: Filled,
    walk: Walk,
}

impl<'a> Lookups<'a> {
    pub(crate) fn of(runtime: &'a Runtime, filled: Filled, sessions: usize) -> Result<Lookups<'a>, Trouble> {
        filled.warm()?;
        let open = |_| runtime.block_on(SqlStore::open(&filled.url));
        let stores = (0..sessions).map(open).collect::<Result<_, _>>()?;
        Ok(Lookups { runtime, stores, filled, walk: Walk::new(5) })
    }

    /// Has every session look up as much as fills its caches with what each lookup needs.
    pub(crate) fn warm(&mut self) -> Result<(), Trouble> {
        (0..self.stores.len()).try_for_each(|_| self.slice(4_000).map(drop))
    }

    /// The median of so many lookups of the next session in microseconds.
    pub(crate) fn slice(&mut self, runs: usize) -> Result<f64, Trouble> {
        let Lookups { runtime, stores, filled, walk } = self;
        stores.rotate_left(1);
        let store = stores.last().ok_or("no session")?;
        runtime.block_on(async {
            let mut seen = Vec::with_capacity(runs);
            for _ in 0..runs {
                let selector: Selector = filled.selector(walk).ok_or("no selector")?;
                let started = now();
                let loaded = store.load(&[selector]).await?;
                seen.push(started.elapsed().as_secs_f64() * 1e6);
                if loaded.len() != 1 {
                    return Err("a token is not there".into());
                }
            }
            Ok(percentile(&mut seen, 0.5))
        })
    }
}
