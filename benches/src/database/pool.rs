//! A bare pool of sqlx's on any of the databases, and the statements that references make.

use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use token_core::{Time, TokenId};

use crate::Trouble;

/// A pool, as the store has it unless it says otherwise: it asks no connection whether it lives.
#[derive(Debug, Clone)]
pub enum Pool {
    /// In WAL mode with `synchronous = NORMAL`, as such hosts run it.
    Sqlite(SqlitePool),
    /// PostgreSQL.
    Postgres(PgPool),
    /// MariaDB or MySQL.
    MySql(MySqlPool),
}

/// The hot lookup's columns and joins: what a cache miss reads.
macro_rules! point {
    ($mark:literal) => {
        concat!(
            "SELECT s.selector, s.generation, s.scheme, s.digest, s.key_id, t.id, t.owner, t.name, t.grants, t.networks, \
             t.created_at, t.created_by, t.expires_at, t.revoked_at, t.current_generation, t.current_selector, \
             t.old_generation, t.old_selector, t.old_until, t.revision, t.head_seq, t.head_hash, t.head_at, t.seal, t.seal_key, \
             o.owner AS owner_id, o.suspended_at, o.revision AS owner_revision, o.head_seq AS owner_head_seq, \
             o.head_hash AS owner_head_hash, o.head_at AS owner_head_at, o.seal AS owner_seal, o.seal_key AS owner_seal_key \
             FROM api_token_secrets s JOIN api_tokens t ON t.id = s.token LEFT JOIN api_token_owners o ON o.owner = t.owner \
             WHERE s.selector = ",
            $mark
        )
    };
}

impl Pool {
    /// Opens up to so many connections.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn open(url: &str, connections: u32) -> Result<Pool, Trouble> {
        Pool::with(url, connections, false).await
    }

    /// The same as a host gets it that writes its own: every connection is asked whether it lives, before it is used.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn stock(url: &str, connections: u32) -> Result<Pool, Trouble> {
        Pool::with(url, connections, true).await
    }

    async fn with(url: &str, connections: u32, ping: bool) -> Result<Pool, Trouble> {
        Ok(if url.starts_with("sqlite") {
            let options = url.parse::<SqliteConnectOptions>()?.create_if_missing(true).disable_statement_logging();
            let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal);
            let options = options.busy_timeout(std::time::Duration::from_secs(30));
            let pool = SqlitePoolOptions::new().max_connections(connections).test_before_acquire(ping);
            Pool::Sqlite(pool.connect_with(options).await?)
        } else if url.starts_with("postgres") {
            let options = url.parse::<PgConnectOptions>()?.disable_statement_logging();
            let pool = PgPoolOptions::new().max_connections(connections).test_before_acquire(ping);
            Pool::Postgres(pool.connect_with(options).await?)
        } else {
            let options = url.parse::<MySqlConnectOptions>()?.disable_statement_logging();
            let pool = MySqlPoolOptions::new().max_connections(connections).test_before_acquire(ping);
            Pool::MySql(pool.connect_with(options).await?)
        })
    }

    /// Runs statements that answer nothing, on one connection.
    ///
    /// # Errors
    /// What the database says.
    pub async fn run(&self, sql: &str) -> Result<(), Trouble> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Pool::Sqlite(pool) => sqlx::raw_sql(sql).execute(pool).await.map(|_| ())?,
            Pool::Postgres(pool) => sqlx::raw_sql(sql).execute(pool).await.map(|_| ())?,
            Pool::MySql(pool) => sqlx::raw_sql(sql).execute(pool).await.map(|_| ())?,
        }
        Ok(())
    }

    /// Whether the server has a database of this name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn has_database(&self, name: &str) -> Result<bool, Trouble> {
        Ok(match self {
            Pool::Sqlite(_) => false,
            Pool::Postgres(pool) => {
                let sql = "SELECT 1 FROM pg_database WHERE datname = $1";
                sqlx::query(sql).bind(name).fetch_optional(pool).await?.is_some()
            }
            Pool::MySql(pool) => {
                let sql = "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?";
                sqlx::query(sql).bind(name).fetch_optional(pool).await?.is_some()
            }
        })
    }

    /// A number that a statement answers.
    ///
    /// # Errors
    /// What the database says.
    pub async fn number(&self, sql: &str) -> Result<i64, Trouble> {
        let sql = AssertSqlSafe(sql.to_owned());
        Ok(match self {
            Pool::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await?,
            Pool::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(pool).await?,
            Pool::MySql(pool) => sqlx::query_scalar(sql).fetch_one(pool).await?,
        })
    }

    /// The row of a selector, thrown away: nothing of it is made sense of.
    ///
    /// # Errors
    /// If there is none.
    pub async fn point(&self, selector: &[u8]) -> Result<(), sqlx::Error> {
        match self {
            Pool::Sqlite(pool) => sqlx::query(point!("?")).bind(selector).fetch_one(pool).await.map(drop),
            Pool::Postgres(pool) => sqlx::query(point!("$1")).bind(selector).fetch_one(pool).await.map(drop),
            Pool::MySql(pool) => sqlx::query(point!("?")).bind(selector).fetch_one(pool).await.map(drop),
        }
    }

    /// What a host that writes its own looks up: id and scopes.
    pub(crate) async fn select_by_hand(&self, hash: &[u8]) -> Result<Option<(i64, String)>, sqlx::Error> {
        const MARKED: &str = "SELECT id, scopes FROM by_hand WHERE hash = ? AND revoked IS NULL";
        match self {
            Pool::Sqlite(pool) => sqlx::query_as(MARKED).bind(hash).fetch_optional(pool).await,
            Pool::Postgres(pool) => {
                let sql = "SELECT id, scopes FROM by_hand WHERE hash = $1 AND revoked IS NULL";
                sqlx::query_as(sql).bind(hash).fetch_optional(pool).await
            }
            Pool::MySql(pool) => sqlx::query_as(MARKED).bind(hash).fetch_optional(pool).await,
        }
    }

    /// What it writes at every request.
    pub(crate) async fn touch_by_hand(&self, id: i64) -> Result<(), sqlx::Error> {
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX));
        const MARKED: &str = "UPDATE by_hand SET last_used = ? WHERE id = ?";
        match self {
            Pool::Sqlite(pool) => sqlx::query(MARKED).bind(now).bind(id).execute(pool).await.map(drop),
            Pool::Postgres(pool) => {
                let sql = "UPDATE by_hand SET last_used = $1 WHERE id = $2";
                sqlx::query(sql).bind(now).bind(id).execute(pool).await.map(drop)
            }
            Pool::MySql(pool) => sqlx::query(MARKED).bind(now).bind(id).execute(pool).await.map(drop),
        }
    }

    pub(crate) async fn insert_by_hand(&self, id: i64, hash: &[u8]) -> Result<(), sqlx::Error> {
        const MARKED: &str = "INSERT INTO by_hand VALUES (?, ?, 'owner', 'projects:read projects:write', NULL, 0)";
        match self {
            Pool::Sqlite(pool) => sqlx::query(MARKED).bind(id).bind(hash).execute(pool).await.map(drop),
            Pool::Postgres(pool) => {
                let sql = "INSERT INTO by_hand VALUES ($1, $2, 'owner', 'projects:read projects:write', NULL, 0)";
                sqlx::query(sql).bind(id).bind(hash).execute(pool).await.map(drop)
            }
            Pool::MySql(pool) => sqlx::query(MARKED).bind(id).bind(hash).execute(pool).await.map(drop),
        }
    }

    /// The last use of a token's first secret, as a service writes it that writes at every request.
    pub(crate) async fn touch(&self, token: TokenId, at: Time) -> Result<(), sqlx::Error> {
        let (id, micros) = (token.as_bytes(), at.as_micros());
        match self {
            Pool::Sqlite(pool) => {
                let sql = "UPDATE api_token_usage_last SET at = ? WHERE token = ? AND generation = 1";
                sqlx::query(sql).bind(micros).bind(id.as_slice()).execute(pool).await.map(drop)
            }
            Pool::Postgres(pool) => {
                let sql = "UPDATE api_token_usage_last SET at = to_timestamp($1::double precision / 1000000) \
                           WHERE token = encode($2, 'hex')::uuid AND generation = 1";
                sqlx::query(sql).bind(micros).bind(id.as_slice()).execute(pool).await.map(drop)
            }
            Pool::MySql(_) => Err(sqlx::Error::Configuration("not on this database".into())),
        }
    }
}
