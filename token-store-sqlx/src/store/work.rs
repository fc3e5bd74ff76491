//! Transactions that can be done again, and the lists of arguments they share.

use std::time::Duration;

use async_trait::async_trait;
use token_core::StoreError;
use tokio::time::Instant;

use super::SqlStore;
use crate::dialect::{Dialect, Row, Rows, Session, Sql};
use crate::error::Failure;
use crate::value::Value;

/// How often work is done from its start before a lock that others hold, or a lost race, is told to the caller.
pub(super) const ATTEMPTS: u32 = 5;

/// How long making the tables may take, or changing them: they may be large. The statements that do so have as long, and so have
/// those who open the store meanwhile.
pub(crate) const MIGRATING: Duration = Duration::from_secs(600);

/// At most so many items are named in one statement.
pub(super) const CHUNK: usize = 512;

/// The work of one transaction, as a value, so that it can be done again from its start.
#[async_trait]
pub(super) trait Work: Sync {
    type Done: Send;

    async fn run(&self, session: &mut dyn Session) -> Result<End<Self::Done>, Failure>;
}

/// How a transaction ends.
pub(super) enum End<T> {
    /// What was written is kept.
    Keep(T),
    /// Nothing is.
    Undo(T),
}

impl SqlStore {
    /// Does the work in one transaction, again if others were in the way.
    pub(super) async fn transact<W: Work>(&self, work: &W) -> Result<W::Done, StoreError> {
        transact(&*self.dialect, work).await
    }

    /// Asks one statement, again if others were in the way.
    pub(super) async fn read(&self, sql: Sql, values: &[Value<'_>]) -> Result<Rows, StoreError> {
        persist(ATTEMPTS, || self.dialect.query(sql.clone(), values)).await
    }

    /// The same of one that answers one row or none.
    pub(super) async fn read_first(&self, sql: Sql, values: &[Value<'_>]) -> Result<Option<Box<dyn Row>>, StoreError> {
        persist(ATTEMPTS, || self.dialect.query_first(sql.clone(), values)).await
    }
}

/// Does the work in one transaction, again if others were in the way.
pub(super) async fn transact<W: Work>(dialect: &dyn Dialect, work: &W) -> Result<W::Done, StoreError> {
    persist(ATTEMPTS, || attempt(dialect, work)).await
}

async fn attempt<W: Work>(dialect: &dyn Dialect, work: &W) -> Result<W::Done, Failure> {
    let mut session = dialect.begin().await?;
    match work.run(&mut *session).await {
        Ok(End::Keep(done)) => {
            session.commit().await?;
            Ok(done)
        }
        Ok(End::Undo(done)) => {
            session.rollback().await;
            Ok(done)
        }
        Err(failure) => {
            session.rollback().await;
            Err(failure)
        }
    }
}

/// Tries up to `attempts` times, as long as what fails is passing, with a growing pause of up to 100 ms between.
pub(crate) async fn persist<T, F>(attempts: u32, attempt: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, Failure>>,
{
    persist_for(Duration::ZERO, attempts, attempt).await
}

/// The same of what may have to wait until others have changed the tables.
pub(crate) async fn persist_opening<T, F>(attempt: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, Failure>>,
{
    persist_for(MIGRATING, 50, attempt).await
}

/// The same, and for that long as often as it takes while others hold a lock.
async fn persist_for<T, F>(locked: Duration, attempts: u32, mut attempt: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, Failure>>,
{
    let (begun, mut tried) = (Instant::now(), 1);
    loop {
        match attempt().await {
            Err(failure)
                if failure.is_passing() && (tried < attempts || failure.is_of_a_lock() && begun.elapsed() < locked) =>
            {
                tracing::debug!(%failure, tried, "others were in the way in the token database; trying again");
                tokio::time::sleep(Duration::from_millis(10).saturating_mul(tried).min(Duration::from_millis(100)))
                    .await;
                tried += 1;
            }
            end => return end.map_err(StoreError::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use token_core::Fault;

    use super::*;

    /// How often something is tried that fails so many times, with this patience for a lock.
    async fn tries(fault: Fault, times: u32, locked: Duration) -> (u32, Result<(), Fault>) {
        let mut tried = 0;
        let done = persist_for(locked, 3, || {
            tried += 1;
            let error = StoreError::from(fault);
            let failure = if fault == Fault::ConnectionLost { Failure::Broken(error) } else { Failure::Fault(error) };
            std::future::ready(if tried > times { Ok(()) } else { Err(failure) })
        });
        let done = done.await.map_err(|error| error.fault());
        (tried, done)
    }

    #[tokio::test]
    async fn who_waits_for_a_lock_tries_for_as_long_as_it_may() {
        const LONG: Duration = Duration::from_secs(600);
        assert_eq!(tries(Fault::Deadlock, 9, LONG).await, (10, Ok(())));
        assert_eq!(tries(Fault::Deadlock, 9, Duration::ZERO).await, (3, Err(Fault::Deadlock)));
        assert_eq!(tries(Fault::Deadlock, 2, Duration::ZERO).await, (3, Ok(())));
        assert_eq!(tries(Fault::ConnectionLost, 9, LONG).await, (3, Err(Fault::ConnectionLost)));
        assert_eq!(tries(Fault::TimedOut, 9, LONG).await, (1, Err(Fault::TimedOut)));
        let (tried, done) = tries(Fault::Deadlock, u32::MAX, Duration::from_millis(200)).await;
        assert!(tried > 3 && done == Err(Fault::Deadlock));
    }
}
