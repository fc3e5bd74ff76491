//! Hearing of changes as they are committed, where a server tells.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Executor as _, PgPool};
use tokio::sync::Notify;
use tokio::time::timeout;

/// What the trigger on the log of changes notifies.
const CHANNEL: &str = "api_token_changes";

/// How long a connection may say nothing before it is asked whether it is still there: one that was cut off without a word
/// looks like one on which nothing happens.
const SILENCE: Duration = Duration::from_secs(10);

/// How long an answer is waited for, and how long until another connection is tried.
const PAUSE: Duration = Duration::from_secs(2);

/// Rings the bell for every change that is committed, and whenever some may have been missed. Does not end.
pub(super) async fn listen(pool: PgPool, bell: &Notify) {
    loop {
        let ended = hear(&pool, bell).await;
        tracing::debug!(error = %ended, "changes are not heard of as they are committed; the log is looked at all the same");
        bell.notify_waiters();
        tokio::time::sleep(PAUSE).await;
    }
}

/// Listens until the connection fails. What comes between two connections is lost, so the library's own way of making another
/// without a word is not used.
async fn hear(pool: &PgPool, bell: &Notify) -> sqlx::Error {
    // A connection of its own: it is held for as long as there is a store.
    let own = PgPoolOptions::new().max_connections(1).acquire_timeout(PAUSE);
    let own = own.connect_lazy_with(pool.connect_options().as_ref().clone());
    let mut listener = match PgListener::connect_with(&own).await {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    listener.eager_reconnect(false);
    if let Err(error) = within(listener.listen(CHANNEL)).await {
        return error;
    }
    loop {
        bell.notify_waiters();
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None)) => return sqlx::Error::WorkerCrashed,
            Ok(Err(error)) => return error,
            Err(_) => {
                // Not by listening again: the library keeps a list of every time that it was asked to. What is told meanwhile it keeps
                // for the next look.
                let asked = async { listener.execute("SELECT 1").await.map(|_| ()) };
                if let Err(error) = within(asked).await {
                    return error;
                }
            }
        }
    }
}

async fn within(work: impl Future<Output = Result<(), sqlx::Error>>) -> Result<(), sqlx::Error> {
    timeout(PAUSE, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
