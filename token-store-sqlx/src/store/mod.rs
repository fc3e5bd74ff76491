//! The store: what each promise of [`TokenStore`] is in SQL, for any dialect.

mod commit;
mod feed;
mod fold;
mod list;
mod purge;
mod read;
mod summary;
mod usage;
mod work;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use token_core::{
    Busy, BusyQuery, Change, ChangeId, Committed, Cursor, Delivery, Event, Feed, Forget, KeyId, ListQuery, Loaded,
    NovelSource, Outcome, Owner, OwnerId, Page, RecentCall, Sealed, Selector, Signal, Source, StoreError, Subject,
    Tallies, Time, Token, TokenId, TokenStore, TokenUsage, Usage, Whose,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::dialect::Dialect;
#[cfg(feature = "mysql")]
use crate::dialect::MySql;
#[cfg(feature = "postgres")]
use crate::dialect::Postgres;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::dialect::Server;
#[cfg(feature = "sqlite")]
use crate::dialect::Sqlite;
use crate::error::OpenError;

#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) use work::MIGRATING;
pub(crate) use work::persist_opening;

/// Tokens in an SQL database.
///
/// One store serves a whole process: it holds the pool of connections, and its futures may be dropped at any moment.
pub struct SqlStore {
    dialect: Arc<dyn Dialect>,
    /// Rung for each commit, of this process and, where the database tells, of others: feeds need not wait until they look again.
    bell: Arc<Notify>,
    /// Who listens for what the database tells, from the first feed on.
    listener: OnceLock<Listener>,
}

/// A task that ends with the store.
struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl SqlStore {
    /// Opens the database of an address, and makes the tables in it or brings them up to date. With the features of the
    /// databases, it is one of
    ///
    /// - `sqlite://path/to/tokens.db`, or `sqlite::memory:` for a test. A missing file is made, with permissions for its owner alone.
    ///   The file is kept in WAL mode, with a lock for one writer at a time across all processes. A database that takes no writes
    ///   (`?mode=ro`) opens if its tables are up to date.
    /// - `postgres://user:password@host/database` (or `postgresql:`), with the [parameters of sqlx][postgres]. From PostgreSQL 15 on.
    /// - `mysql://user:password@host/database` (or `mariadb:`), with the [parameters of sqlx][mysql]. From MariaDB 10.11 on; MySQL
    ///   8.0.19 and later is spoken too. The database must be there; its tables need InnoDB.
    ///
    /// Servers are reached through a pool of up to 10 connections, and on PostgreSQL one more that listens for changes; [`from_postgres_pool`](SqlStore::from_postgres_pool) and
    /// [`from_mysql_pool`](SqlStore::from_mysql_pool) take one of any other size. Encrypted connections need the feature `tls`.
    ///
    /// Across a network, ask for encryption by name (`sslmode=verify-full`, `ssl-mode=VERIFY_IDENTITY`): the default goes on without
    /// where the server has none. A PostgreSQL database must be encoded in UTF-8; MariaDB's `binlog_format` must not be `STATEMENT`.
    /// MySQL 8 by its default authentication needs `tls`. On a Galera cluster, let all nodes of a service write to one of the
    /// servers: locks of rows are not the cluster's.
    ///
    /// Nothing waits for ever. A connection is waited for up to 3 seconds, a lock that others hold up to 2 (SQLite: 5), a statement up to 10;
    /// work that others were in the way of is done again up to 5 times. Changing large tables for a new version has ten minutes, and
    /// whoever opens them meanwhile waits as long.
    ///
    /// [postgres]: https://docs.rs/sqlx/0.9/sqlx/postgres/struct.PgConnectOptions.html
    /// [mysql]: https://docs.rs/sqlx/0.9/sqlx/mysql/struct.MySqlConnectOptions.html
    ///
    /// # Errors
    /// [`OpenError`] if the address can't be read, the file can't be made, or the database fails.
    pub async fn open(url: &str) -> Result<SqlStore, OpenError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            #[cfg(feature = "sqlite")]
            Some("sqlite") => Ok(SqlStore::on(Sqlite::open(url).await?)),
            #[cfg(feature = "postgres")]
            Some("postgres" | "postgresql") => Ok(SqlStore::on(Server::<Postgres>::connect(url).await?)),
            #[cfg(feature = "mysql")]
            Some("mysql" | "mariadb") => Ok(SqlStore::on(Server::<MySql>::connect(url).await?)),
            _ => Err(OpenError::Url(sqlx::Error::Configuration("it begins with the name of no such database".into()))),
        }
    }

    /// Keeps tokens in the host's own SQLite database, beside its other tables, and makes the tables there.
    ///
    /// The pool's settings stay the host's: use WAL mode, `synchronous` at `FULL` so that nothing that was answered
    /// is lost with the power, a busy timeout and an acquire timeout of some seconds, and leave foreign keys on.
    ///
    /// # Errors
    /// [`OpenError`] if the tables can't be made or brought up to date.
    #[cfg(feature = "sqlite")]
    pub async fn from_sqlite_pool(pool: sqlx::SqlitePool) -> Result<SqlStore, OpenError> {
        Ok(SqlStore::on(Sqlite::on(pool).await?))
    }

    /// Keeps tokens in the host's own PostgreSQL database, beside its other tables, and makes the tables there, in the first schema
    /// of the search path.
    ///
    /// The pool's settings stay the host's; transactions of the store limit themselves. A connection beside the pool listens for
    /// changes, each of which notifies (`NOTIFY api_token_changes`) as it commits. An acquire timeout of a few seconds keeps
    /// requests from piling up when the database is gone.
    ///
    /// # Errors
    /// [`OpenError`] if the tables can't be made or brought up to date.
    #[cfg(feature = "postgres")]
    pub async fn from_postgres_pool(pool: sqlx::PgPool) -> Result<SqlStore, OpenError> {
        Ok(SqlStore::on(Server::<Postgres>::on(pool).await?))
    }

    /// Keeps tokens in the host's own MariaDB or MySQL database, beside its other tables, and makes the tables there.
    ///
    /// The pool's settings stay the host's: `autocommit` must be on, as it is by default; an acquire timeout and an `innodb_lock_wait_timeout` of a few seconds keep requests
    /// from piling up.
    ///
    /// # Errors
    /// [`OpenError`] if the tables can't be made or brought up to date.
    #[cfg(feature = "mysql")]
    pub async fn from_mysql_pool(pool: sqlx::MySqlPool) -> Result<SqlStore, OpenError> {
        Ok(SqlStore::on(Server::<MySql>::on(pool).await?))
    }

    fn on(dialect: impl Dialect) -> SqlStore {
        SqlStore { dialect: Arc::new(dialect), bell: Arc::new(Notify::new()), listener: OnceLock::new() }
    }
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlStore({})", self.dialect.name())
    }
}

#[async_trait]
impl TokenStore for SqlStore {
    async fn load(&self, selectors: &[Selector]) -> Result<Vec<Loaded>, StoreError> {
        self.load_selectors(selectors).await
    }

    async fn commit(&self, change: &Change) -> Result<Committed, StoreError> {
        self.commit_change(change).await
    }

    async fn outcome(&self, change: &ChangeId) -> Result<Option<Outcome>, StoreError> {
        self.outcome_of(change).await
    }

    async fn token(&self, id: TokenId) -> Result<Option<Sealed<Token>>, StoreError> {
        self.token_of(id).await
    }

    async fn owner(&self, id: &OwnerId) -> Result<Option<Sealed<Owner>>, StoreError> {
        self.owner_of(id).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        self.page(query).await
    }

    async fn events(&self, subject: &Subject, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.events_of(subject, after, limit).await
    }

    async fn usage(&self, token: TokenId, since: Time) -> Result<Usage, StoreError> {
        self.usage_of(token, since).await
    }

    async fn record(&self, tallies: &Tallies) -> Result<(), StoreError> {
        self.record_tallies(tallies).await
    }

    async fn summaries(
        &self,
        tokens: &[TokenId],
        since: Time,
        signals_since: Time,
    ) -> Result<Vec<TokenUsage>, StoreError> {
        self.summaries_of(tokens, since, signals_since).await
    }

    async fn sources(&self, token: TokenId, limit: u32) -> Result<Vec<Source>, StoreError> {
        self.sources_of(token, limit).await
    }

    async fn calls(&self, whose: &Whose, limit: u32) -> Result<Vec<RecentCall>, StoreError> {
        self.calls_of(whose, limit).await
    }

    async fn signals(&self, whose: &Whose, since: Time, limit: u32) -> Result<Vec<Signal>, StoreError> {
        self.signals_of(whose, since, limit).await
    }

    async fn last_used(&self, tokens: &[TokenId]) -> Result<Vec<(TokenId, Time)>, StoreError> {
        self.last_used_of(tokens).await
    }

    async fn novel_sources(&self, tokens: &[TokenId], since: Time, limit: u32) -> Result<Vec<NovelSource>, StoreError> {
        self.novel_sources_of(tokens, since, limit).await
    }

    async fn busy(&self, query: &BusyQuery<'_>) -> Result<Vec<Busy>, StoreError> {
        self.busy_of(query).await
    }

    async fn fold(&self, before: Time, limit: u32) -> Result<u64, StoreError> {
        self.transact(&fold::Fold { before, limit, lock: self.dialect.lock() }).await
    }

    async fn forget(&self, forget: &Forget, limit: u32) -> Result<u64, StoreError> {
        self.transact(&fold::Forgetting { forget: *forget, limit }).await
    }

    async fn changes(&self, cursor: Option<Cursor>, max_wait: Duration) -> Result<Feed, StoreError> {
        self.changes_after(cursor, max_wait).await
    }

    async fn claim(&self, now: Time, lease: Duration, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let after = |span| now.checked_add(span).unwrap_or(Time::MAX);
        let (until, longest) = (after(lease), after(lease.saturating_mul(2)));
        self.transact(&feed::Claim { now, until, longest, limit, lock: self.dialect.lock() }).await
    }

    async fn ack(&self, delivered: &[Cursor], at: Time) -> Result<(), StoreError> {
        if delivered.is_empty() { Ok(()) } else { self.transact(&feed::Ack { delivered, at }).await }
    }

    async fn purge(&self, before: Time, keep_undelivered: bool, limit: u32) -> Result<u64, StoreError> {
        let by_token = self.dialect.by_index("api_token_secrets_generation");
        self.purge_dead(&purge::Purge { before, keep_undelivered, limit, lock: self.dialect.lock(), by_token }).await
    }

    async fn keys(&self, now: Time) -> Result<Vec<KeyId>, StoreError> {
        self.key_ids(now).await
    }

    async fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.fact(key).await
    }

    async fn meta_or_insert(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        // Nearly always there: no lock is taken for that.
        match self.fact(key).await? {
            Some(stored) => Ok(stored),
            None => self.transact(&commit::FirstFact { key, value }).await,
        }
    }
}
