//! What databases with a server have in common: a pool of connections that can be lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{MigrateError, Migration};
use sqlx::pool::PoolOptions;
use sqlx::{ConnectOptions as _, Database, Pool};
use token_core::{Fault, StoreError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::connection::Link;
use super::ready::{Asked, READY, Ready, Taken};
use super::schema::pending;
use super::transaction::{self, PATIENCE, Transaction};
use super::{Dialect, Row, Rows, Session, Sql};
use crate::error::{Failure, OpenError};
use crate::store::{MIGRATING, persist_opening};
use crate::value::Value;

/// How long a connection is waited for.
const WAIT: Duration = Duration::from_secs(3);

/// A connection that was idle for longer than this may have been lost, and is asked first.
const TRUSTED: Duration = Duration::from_secs(1);

/// How long it has to answer: there may be several of that kind, and time must be left to make another.
const PING: Duration = Duration::from_millis(250);

/// What differs between databases with a server, beside their [`Link`].
#[async_trait]
pub(crate) trait Flavor: Send + Sync + 'static {
    /// How sqlx calls it.
    type Database: Database<Connection: Link>;

    /// Its name, for logs.
    const NAME: &'static str;

    /// Begins a transaction in which each statement sees what was committed before it, and none takes for ever.
    const BEGIN: &'static str;

    /// A condition: the column holds the text of one argument, byte for byte.
    fn holds(column: &str) -> String;

    /// The start of the day, in UTC, of a column of times.
    fn day(column: &str) -> String;

    /// The sum of a column of numbers.
    fn sum(column: &str) -> String;

    /// See [`Dialect::by_index`].
    fn by_index(_index: &'static str) -> String {
        String::new()
    }

    /// How often the log of changes is looked at.
    const POLL: Duration = super::POLL;

    /// Rings the bell for every change that any process commits, if the server tells of them.
    async fn listen(pool: &Pool<Self::Database>, bell: &Notify);

    /// Whether the connections of a pool are set as they must be.
    async fn check(_server: &Server<Self>) -> Result<(), OpenError>
    where
        Self: Sized,
    {
        Ok(())
    }

    /// Brings the tables up to date, however many processes do so at once.
    async fn migrate(server: &Server<Self>) -> Result<Result<(), MigrateError>, Failure>
    where
        Self: Sized;
}

/// A database with a server.
pub(crate) struct Server<F: Flavor> {
    pool: Pool<F::Database>,
    /// For a pool that is the store's alone: as many as it has connections. Whoever has one and gets no connection in time knows that
    /// none can be made, and not that others have them all.
    turns: Option<Arc<Semaphore>>,
    /// Of such a pool, the connections that are ready.
    ready: Arc<Ready<F::Database>>,
    /// Whether the last to ask for a connection could not be given one.
    unreachable: AtomicBool,
}

impl<F: Flavor> Server<F> {
    /// Works on a pool of the host's.
    pub(crate) async fn on(pool: Pool<F::Database>) -> Result<Server<F>, OpenError> {
        let ready = Arc::new(Ready::up_to(0));
        Server { pool, turns: None, ready, unreachable: AtomicBool::new(false) }.up_to_date().await
    }

    /// Opens a pool of its own.
    pub(super) async fn open(
        options: <<F::Database as Database>::Connection as sqlx::Connection>::Options,
        pool: PoolOptions<F::Database>,
    ) -> Result<Server<F>, OpenError> {
        let turns = usize::try_from(pool.get_max_connections()).unwrap_or(Semaphore::MAX_PERMITS);
        let ready = Arc::new(Ready::up_to(READY.min(turns)));
        // Those that are ready hold their pool, and would be held by it.
        let kept = Arc::downgrade(&ready);
        let pool = pool
            .acquire_timeout(WAIT)
            // Asking each connection whether it lives, each time, would take a fifth of all there is to do.
            .test_before_acquire(false)
            .before_acquire(move |conn, meta| {
                let none_lost = kept.upgrade().is_some_and(|ready| ready.none_lost_within(meta.idle_for));
                let trusted = none_lost && meta.idle_for <= TRUSTED;
                Box::pin(async move {
                    // One that does not answer is thrown away, and another made.
                    Ok(trusted || lives(conn).await)
                })
            });
        let server = Server {
            pool: pool.connect_lazy_with(options),
            turns: Some(Arc::new(Semaphore::new(turns))),
            ready,
            unreachable: AtomicBool::new(false),
        };
        server.up_to_date().await
    }

    async fn up_to_date(self) -> Result<Server<F>, OpenError> {
        F::check(&self).await?;
        let migrated = persist_opening(|| async {
            // Dropped in the middle, the connection of it is closed.
            let migrated = tokio::time::timeout(MIGRATING, F::migrate(&self)).await;
            migrated.unwrap_or_else(|_| Err(fault(Fault::TimedOut)))
        });
        migrated.await?.map_err(OpenError::Schema)?;
        Ok(self)
    }

    pub(super) async fn acquire(&self) -> Result<(Taken<F::Database>, Option<OwnedSemaphorePermit>), Failure> {
        let turn = match &self.turns {
            None => None,
            Some(turns) => match tokio::time::timeout(WAIT, turns.clone().acquire_owned()).await {
                Ok(Ok(turn)) => Some(turn),
                _ if self.unreachable.load(Ordering::Relaxed) => return Err(fault(Fault::ConnectionLost)),
                _ => return Err(fault(Fault::PoolExhausted)),
            },
        };
        if let Some(ready) = self.ready().await {
            return Ok((ready, turn));
        }
        let conn = self.pool.acquire().await;
        self.unreachable.store(conn.is_err(), Ordering::Relaxed);
        match conn {
            Ok(conn) => Ok((Taken::new(conn), turn)),
            Err(error @ sqlx::Error::PoolTimedOut) if turn.is_some() => Err(self.why_none_is_made(error).await),
            Err(error) => Err(<F::Database as Database>::Connection::failure(error)),
        }
    }

    /// A connection that is ready, unless it is found to be lost.
    async fn ready(&self) -> Option<Taken<F::Database>> {
        let taken = self.ready.take()?;
        if taken.idle_for() <= TRUSTED {
            return Some(taken);
        }
        let mut asked = Asked::on(taken, &self.ready);
        if lives(asked.conn().ok()?).await {
            return asked.into_taken();
        }
        self.ready.close();
        None
    }

    /// The pool has tried again and again, and does not tell what for.
    async fn why_none_is_made(&self, error: sqlx::Error) -> Failure {
        match tokio::time::timeout(PING, self.pool.connect_options().connect()).await {
            Ok(Err(error)) => match <F::Database as Database>::Connection::failure(error) {
                // There is no use in another try.
                Failure::Broken(error) => Failure::Fault(error),
                other => other,
            },
            Ok(Ok(_)) | Err(_) => StoreError::new(Fault::ConnectionLost, error).into(),
        }
    }

    /// The migrations that were not done yet.
    pub(super) async fn pending(&self) -> Result<Result<Vec<&'static Migration>, MigrateError>, Failure> {
        let (conn, _turn) = self.acquire().await?;
        let mut asked = Asked::on(conn, &self.ready);
        let pending = tokio::time::timeout(PATIENCE, pending(asked.conn()?)).await;
        let pending = pending.map_err(|_| fault(Fault::TimedOut))?;
        if pending.is_ok() { asked.settled(Ok(pending)) } else { Ok(pending) }
    }

    pub(super) async fn transaction(&self) -> Result<Transaction<F::Database>, Failure> {
        let (conn, turn) = self.acquire().await?;
        let ready = Some(Arc::clone(&self.ready));
        Transaction::begin(conn.conn, turn, ready, F::BEGIN).await
    }
}

/// Whether a connection answers.
async fn lives(conn: &mut impl sqlx::Connection) -> bool {
    matches!(tokio::time::timeout(PING, conn.ping()).await, Ok(Ok(())))
}

fn fault(fault: Fault) -> Failure {
    StoreError::from(fault).into()
}

#[async_trait]
impl<F: Flavor> Dialect for Server<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    async fn query(&self, sql: Sql, values: &[Value<'_>]) -> Result<Rows, Failure> {
        let (conn, _turn) = self.acquire().await?;
        transaction::query(Asked::on(conn, &self.ready), sql, values).await
    }

    async fn query_first(&self, sql: Sql, values: &[Value<'_>]) -> Result<Option<Box<dyn Row>>, Failure> {
        let (conn, _turn) = self.acquire().await?;
        transaction::query_first(Asked::on(conn, &self.ready), sql, values).await
    }

    async fn query_keys(&self, select: &'static str, keys: &[&[u8]]) -> Result<Rows, Failure> {
        let (conn, _turn) = self.acquire().await?;
        transaction::query_keys(Asked::on(conn, &self.ready), select, keys).await
    }

    async fn begin(&self) -> Result<Box<dyn Session>, Failure> {
        Ok(Box::new(self.transaction().await?))
    }

    fn holds(&self, column: &str) -> String {
        F::holds(column)
    }

    fn day(&self, column: &str) -> String {
        F::day(column)
    }

    fn sum(&self, column: &str) -> String {
        F::sum(column)
    }

    async fn listen(&self, bell: &Notify) {
        F::listen(&self.pool, bell).await;
    }

    fn poll(&self) -> Duration {
        F::POLL
    }

    fn by_index(&self, index: &'static str) -> String {
        F::by_index(index)
    }

    fn lock(&self) -> &'static str {
        " FOR UPDATE"
    }
}
