//! Transactions that can be done again, and the lists of arguments they share.

use std::time::Duration;

use async_trait::async_trait;
use token_core::StoreError;

use super::SqlStore;
use crate::dialect::{Dialect, Row, Rows, Session, Sql};
use crate::error::Failure;
use crate::value::Value;

/// How often work is done from its start before a lock that others hold, or a lost race, is told to the caller.
pub(super) const ATTEMPTS: u32 = 5;

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
pub(crate) async fn persist<T, F>(attempts: u32, mut attempt: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut tried = 1;
    loop {
        match attempt().await {
            Err(failure) if failure.is_passing() && tried < attempts => {
                tracing::debug!(%failure, tried, "others were in the way in the token database; trying again");
                tokio::time::sleep(Duration::from_millis(10).saturating_mul(tried).min(Duration::from_millis(100)))
                    .await;
                tried += 1;
            }
            end => return end.map_err(StoreError::from),
        }
    }
}
