//! A database with tokens that the service made.

use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use token_store_sqlx::SqlStore;

use super::Kind;
use crate::Trouble;
use crate::subject::{Keeping, Subject};

/// As many as `cold.*` asks for.
const TOKENS: usize = 10_000;

/// Where it is, and the header values of its tokens.
#[derive(Debug)]
pub struct Prepared {
    /// Of the database.
    pub url: String,
    /// `Bearer …`.
    pub headers: Vec<Box<[u8]>>,
}

pub(super) async fn prepare(kind: Kind, url: String) -> Result<Prepared, Trouble> {
    // Ten thousand commits that outlive a loss of power would take longer than what is measured on them.
    let store = match kind {
        Kind::Sqlite => {
            let options = url.parse::<SqliteConnectOptions>()?.create_if_missing(true);
            let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Off);
            SqlStore::from_sqlite_pool(SqlitePoolOptions::new().max_connections(1).connect_with(options).await?).await?
        }
        Kind::Postgres => {
            let options = url.parse::<PgConnectOptions>()?.options([("synchronous_commit", "off")]);
            SqlStore::from_postgres_pool(PgPoolOptions::new().connect_with(options).await?).await?
        }
        Kind::MariaDb => SqlStore::open(&url).await?,
    };
    let (subject, background) = Subject::on(Arc::new(store), Keeping::nothing(), TOKENS).await?;
    // The events of the tokens are delivered by nobody; turned once, it does not complain.
    background.turn().await?;
    if kind == Kind::Postgres {
        super::Pool::open(&url, 1).await?.run("VACUUM ANALYZE").await?;
    }
    Ok(Prepared { url, headers: subject.headers })
}
