//! Connections that are ready for the next statement.
//!
//! A pool of sqlx's asks a connection that it is given back whether it lives, in a task of its own: for each statement another round trip
//! to the server, or another turn of SQLite's thread. One on which a statement has just ended as it should need not be asked. So a
//! few such connections stay out of a pool that is the store's alone. Whoever takes one has a turn, of which there are as many as the
//! pool has connections: without a turn, one might wait at the pool for a connection that is ready here.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::Database;
use sqlx::pool::PoolConnection;
use token_core::{Fault, StoreError};
use tokio::time::Instant;

use super::connection::Link;
use crate::error::Failure;

/// At most so many are ready at once: as many as loads and the background use side by side. The others the pool may close when they
/// have been idle for long.
pub(super) const READY: usize = 4;

/// How long one may stay out of its pool, which has it closed when it has grown old.
const OUT: Duration = Duration::from_secs(30);

/// Connections on which the last statement ended as it should.
pub(super) struct Ready<DB: Database> {
    most: usize,
    /// The one that was used last at the end.
    kept: Mutex<Vec<Taken<DB>>>,
    /// When one was found to be lost last.
    lost: Mutex<Option<Instant>>,
}

/// A connection that was taken out of its pool.
pub(super) struct Taken<DB: Database> {
    pub(super) conn: PoolConnection<DB>,
    out_since: Instant,
    used: Instant,
}

impl<DB: Database> Taken<DB> {
    pub(super) fn new(conn: PoolConnection<DB>) -> Taken<DB> {
        let now = Instant::now();
        Taken { conn, out_since: now, used: now }
    }

    /// How long nothing has happened on it.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(super) fn idle_for(&self) -> Duration {
        self.used.elapsed()
    }
}

impl<DB: Database> Ready<DB> {
    /// Keeps up to so many; none, where the pool is the host's, who may wait for them there.
    pub(super) fn up_to(most: usize) -> Ready<DB> {
        Ready { most, kept: Mutex::new(Vec::with_capacity(most)), lost: Mutex::new(None) }
    }

    /// The one that was used last, if there is one.
    pub(super) fn take(&self) -> Option<Taken<DB>> {
        self.lock().pop()
    }

    fn put(&self, mut taken: Taken<DB>) {
        taken.used = Instant::now();
        if taken.used.duration_since(taken.out_since) < OUT {
            let mut kept = self.lock();
            if kept.len() < self.most {
                kept.push(taken);
                return;
            }
        }
        // Back to its pool.
        drop(taken);
    }

    /// Closes all: one was found to be lost, and the others are no better.
    pub(super) fn close(&self) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let lost = std::mem::take(&mut *self.lock());
        lost.into_iter().for_each(|mut taken| taken.conn.close_on_drop());
    }

    /// Whether nothing was found to be lost since a connection of the pool was used, which is idle for so long.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(super) fn none_lost_within(&self, idle_for: Duration) -> bool {
        let lost = *self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.is_none_or(|lost| idle_for < lost.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Taken<DB>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<DB: Database> Drop for Ready<DB> {
    /// The store goes, perhaps after its runtime, and its pool with it: they are ended as those in the pool are, without a task.
    fn drop(&mut self) {
        let kept = std::mem::take(self.kept.get_mut().unwrap_or_else(PoisonError::into_inner));
        kept.into_iter().for_each(|taken| drop(taken.conn.leak()));
    }
}

/// A connection on which something is under way.
pub(super) struct Asked<'a, DB: Database> {
    /// `None` once it has gone where it goes.
    taken: Option<Taken<DB>>,
    ready: &'a Ready<DB>,
    then: Then,
}

/// What becomes of a connection.
enum Then {
    Close,
    ToPool,
    Keep,
}

impl<'a, DB: Database<Connection: Link>> Asked<'a, DB> {
    /// Given up in the middle, it is closed or goes back to its pool.
    pub(super) fn on(taken: Taken<DB>, ready: &'a Ready<DB>) -> Asked<'a, DB> {
        let then = if DB::Connection::OUTLIVES_DROPS { Then::ToPool } else { Then::Close };
        Asked { taken: Some(taken), ready, then }
    }

    pub(super) fn conn(&mut self) -> Result<&mut DB::Connection, Failure> {
        match &mut self.taken {
            Some(taken) => Ok(&mut taken.conn),
            None => Err(StoreError::from(Fault::ConnectionLost).into()),
        }
    }

    /// Nothing is under way any more, and this came of it.
    pub(super) fn settled<T>(mut self, done: Result<T, Failure>) -> Result<T, Failure> {
        self.then = match &done {
            Ok(_) => Then::Keep,
            Err(failure) if failure.ends_connection() => Then::Close,
            Err(_) => Then::ToPool,
        };
        if done.as_ref().is_err_and(Failure::ends_others) {
            self.ready.close();
        }
        done
    }

    /// Nothing is under way any more: the connection again.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(super) fn into_taken(mut self) -> Option<Taken<DB>> {
        self.taken.take()
    }
}

impl<DB: Database> Drop for Asked<'_, DB> {
    fn drop(&mut self) {
        let Some(mut taken) = self.taken.take() else { return };
        match self.then {
            Then::Close => taken.conn.close_on_drop(),
            Then::ToPool => {}
            Then::Keep => self.ready.put(taken),
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::SqlitePool;
    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    fn pool() -> SqlitePool {
        SqlitePoolOptions::new().connect_lazy("sqlite::memory:").unwrap()
    }

    async fn asked<'a>(pool: &SqlitePool, ready: &'a Ready<sqlx::Sqlite>) -> Asked<'a, sqlx::Sqlite> {
        Asked::on(Taken::new(pool.acquire().await.unwrap()), ready)
    }

    #[tokio::test]
    async fn those_that_did_what_they_should_are_ready_up_to_a_few() {
        let (pool, ready) = (pool(), Ready::up_to(2));
        let three = [asked(&pool, &ready).await, asked(&pool, &ready).await, asked(&pool, &ready).await];
        for asked in three {
            asked.settled(Ok(())).unwrap();
        }
        let one = ready.take().unwrap();
        assert!(ready.take().is_some() && ready.take().is_none());
        Asked::on(one, &ready).settled(Ok(())).unwrap();
        assert!(ready.take().is_some());

        let none = Ready::up_to(0);
        asked(&pool, &none).await.settled(Ok(())).unwrap();
        assert!(none.take().is_none(), "a host waits for its own at the pool");
    }

    #[tokio::test]
    async fn those_that_failed_or_were_given_up_are_not() {
        let (pool, ready) = (pool(), Ready::up_to(2));
        drop(asked(&pool, &ready).await);
        for fault in [Fault::TimedOut, Fault::Corrupt, Fault::Other] {
            let failed: Result<(), Failure> = Err(StoreError::from(fault).into());
            assert!(asked(&pool, &ready).await.settled(failed).is_err());
        }
        assert!(ready.take().is_none());
    }

    #[tokio::test]
    async fn one_that_broke_or_takes_no_writes_takes_the_others_along() {
        let (pool, ready) = (pool(), Ready::up_to(2));
        for failure in [
            Failure::Broken(StoreError::from(Fault::ConnectionLost)),
            Failure::Fault(StoreError::from(Fault::ReadOnly)),
        ] {
            let ended = asked(&pool, &ready).await;
            asked(&pool, &ready).await.settled(Ok(())).unwrap();
            assert!(ended.settled(Err::<(), _>(failure)).is_err());
            assert!(ready.take().is_none());
        }
    }

    #[tokio::test]
    async fn one_that_has_been_out_for_long_goes_back_to_its_pool() {
        let (pool, ready) = (pool(), Ready::up_to(2));
        let mut taken = Taken::new(pool.acquire().await.unwrap());
        taken.out_since = taken.out_since.checked_sub(OUT).unwrap();
        Asked::on(taken, &ready).settled(Ok(())).unwrap();
        assert!(ready.take().is_none());
    }
}
