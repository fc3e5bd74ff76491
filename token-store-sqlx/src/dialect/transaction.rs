//! An open transaction, the same on every database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Database;
use sqlx::pool::PoolConnection;
use token_core::{Fault, StoreError};
use tokio::sync::OwnedSemaphorePermit;

use super::connection::Link;
use super::ready::{Asked, Ready};
use super::{Row, Rows, Session, Sql, Tally};
use crate::error::Failure;
use crate::value::Value;

/// What is traced of transactions, for whoever has to know how far one came.
macro_rules! trace {
    ($says:literal) => {
        tracing::trace!(target: "token_store_sqlx::transaction", $says)
    };
}

/// How long one statement may take before its connection is given up. Databases with limits of their own keep to those, which are
/// shorter; this one holds where nobody answers any more.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Tallies of one kind in one statement.
const ROWS: usize = 1000;

/// Does something on a connection, for as long as patience lasts.
pub(super) async fn within<T, C: Link>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(C::failure),
        Err(_) => Err(StoreError::from(Fault::TimedOut).into()),
    }
}

/// Asks one statement outside a transaction. A connection on which it failed, or was given up in the middle, is not used again.
pub(super) async fn query<DB>(mut asked: Asked<'_, DB>, sql: Sql, values: &[Value<'_>]) -> Result<Rows, Failure>
where
    DB: Database<Connection: Link>,
{
    let rows = within::<_, DB::Connection>(asked.conn()?.query(sql, values)).await;
    asked.settled(rows)
}

/// The same of the first row that it answers.
pub(super) async fn query_first<DB>(
    mut asked: Asked<'_, DB>,
    sql: Sql,
    values: &[Value<'_>],
) -> Result<Option<Box<dyn Row>>, Failure>
where
    DB: Database<Connection: Link>,
{
    let row = within::<_, DB::Connection>(asked.conn()?.query_first(sql, values)).await;
    asked.settled(row)
}

/// The same of the rows that hold one of these keys.
pub(super) async fn query_keys<DB>(
    mut asked: Asked<'_, DB>,
    select: &'static str,
    keys: &[&[u8]],
) -> Result<Rows, Failure>
where
    DB: Database<Connection: Link>,
{
    let rows = within::<_, DB::Connection>(asked.conn()?.query_keys(select, keys)).await;
    asked.settled(rows)
}

pub(super) struct Transaction<DB: Database<Connection: Link>> {
    /// `None` once the transaction has ended.
    conn: Option<PoolConnection<DB>>,
    /// The turn that this transaction has among others of this process.
    turn: Option<OwnedSemaphorePermit>,
    /// Those that are ready meanwhile, and no better than the transaction's own.
    ready: Option<Arc<Ready<DB>>>,
}

impl<DB: Database<Connection: Link>> Transaction<DB> {
    pub(super) async fn begin(
        conn: PoolConnection<DB>,
        turn: Option<OwnedSemaphorePermit>,
        ready: Option<Arc<Ready<DB>>>,
        begin: &'static str,
    ) -> Result<Transaction<DB>, Failure> {
        let mut transaction = Transaction { conn: Some(conn), turn, ready };
        let begun = within::<_, DB::Connection>(transaction.conn()?.run(begin)).await;
        transaction.checked(begun)?;
        trace!("begun");
        Ok(transaction)
    }

    pub(super) fn conn(&mut self) -> Result<&mut DB::Connection, Failure> {
        match &mut self.conn {
            Some(conn) => Ok(&mut **conn),
            None => Err(StoreError::from(Fault::ConnectionLost).into()),
        }
    }

    /// Gives a connection up that failed: the database rolls back what was begun on it.
    fn checked<T>(&mut self, done: Result<T, Failure>) -> Result<T, Failure> {
        if let Some(ready) = self.ready.as_ref().filter(|_| done.as_ref().is_err_and(Failure::ends_others)) {
            ready.close();
        }
        if done.as_ref().is_err_and(Failure::ends_connection) {
            if let Some(mut conn) = self.conn.take() {
                conn.close_on_drop();
            }
            self.turn = None;
        }
        done
    }
}

#[async_trait]
impl<DB: Database<Connection: Link>> Session for Transaction<DB> {
    async fn execute(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<u64, Failure> {
        let done = within::<_, DB::Connection>(self.conn()?.execute(sql, values)).await;
        self.checked(done)
    }

    async fn query(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<Rows, Failure> {
        let rows = within::<_, DB::Connection>(self.conn()?.query(sql, values)).await;
        self.checked(rows)
    }

    async fn tally(&mut self, kinds: &[(Tally, Vec<Value<'_>>)]) -> Result<(), Failure> {
        let chunks = kinds.iter().flat_map(|(kind, rows)| rows.chunks(ROWS * kind.width()).map(|rows| (*kind, rows)));
        let chunks: Vec<_> = chunks.collect();
        // Whatever is in how many statements, it is locked in the same order: one kind after the other.
        let together = DB::Connection::TOGETHER && chunks.len() <= kinds.len();
        for statement in chunks.chunks(if together { chunks.len().max(1) } else { 1 }) {
            let done = within::<_, DB::Connection>(self.conn()?.tally(statement)).await;
            self.checked(done)?;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), Failure> {
        trace!("committing");
        let done = within::<_, DB::Connection>(self.conn()?.run("COMMIT")).await;
        match self.checked(done) {
            Ok(()) => {
                trace!("committed");
                self.conn = None;
                Ok(())
            }
            Err(failure) => {
                self.rollback().await;
                Err(failure.during_commit())
            }
        }
    }

    async fn rollback(mut self: Box<Self>) {
        // Its connection stays with the transaction until the end: dropped before, that is still to be brought about.
        let Some(conn) = &mut self.conn else { return };
        roll_back(conn).await;
        self.conn = None;
    }
}

impl<DB: Database<Connection: Link>> Drop for Transaction<DB> {
    /// The caller gave up in the middle. Where the connection can be used again it goes back to the pool when its transaction is
    /// rolled back, and then it is the turn of the next.
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else { return };
        let turn = self.turn.take();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if DB::Connection::OUTLIVES_DROPS => drop(runtime.spawn(async move {
                roll_back(&mut conn).await;
                drop((conn, turn));
            })),
            // The database rolls back what was begun on a connection that ends.
            _ => conn.close_on_drop(),
        }
    }
}

/// Rolls back. Some faults, such as a full disk, have done so already: then this one fails, and nothing is amiss.
async fn roll_back<DB: Database<Connection: Link>>(conn: &mut PoolConnection<DB>) {
    trace!("rolling back");
    if let Err(error) = within::<_, DB::Connection>(conn.run("ROLLBACK")).await {
        tracing::debug!(%error, "nothing to roll back");
        if error.ends_connection() {
            conn.close_on_drop();
        }
    }
}
