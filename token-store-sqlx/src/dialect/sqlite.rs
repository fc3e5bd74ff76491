//! SQLite, from 3.37 on: `STRICT` tables.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqliteConnection, SqlitePool};
use token_core::{Fault, SignalKind, StoreError, Time, TokenId};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::connection::{Columns, KEPT_SQL, Link, boxed, id_of};
use super::ready::{Asked, READY, Ready, Taken};
use super::schema::{bring_up_to_date, pending, sorted};
use super::transaction::{Transaction, query, query_first, query_keys};
use super::{Dialect, Row, Rows, Session, Sql, Tally};
use crate::error::{BadColumn, Failure, OpenError};
use crate::store::persist_opening;
use crate::value::Value;

/// How long anything waits: for a connection, for its turn to write, for the lock of another process.
const WAIT: Duration = Duration::from_secs(5);

/// How many may read at once; each is a thread.
const READERS: u16 = 4;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

pub(crate) struct Sqlite {
    reads: SqlitePool,
    /// As many as there are connections that read, where these are the store's alone.
    read_turns: Option<Semaphore>,
    /// Of those, the ones that are ready.
    ready: Ready<sqlx::Sqlite>,
    writes: SqlitePool,
    /// SQLite lets one write at a time. Within a process they queue here, in order, and not by asking again and again.
    turn: Arc<Semaphore>,
}

impl Sqlite {
    /// Opens the database of an address, and makes it if there is none.
    pub(crate) async fn open(url: &str) -> Result<Sqlite, OpenError> {
        let Some(address) = url.strip_prefix("sqlite:") else {
            return Err(OpenError::Url(sqlx::Error::Configuration("it does not start with sqlite:".into())));
        };
        let options: SqliteConnectOptions = url.parse().map_err(OpenError::Url)?;
        let mode = mode(address);
        let options = options
            .foreign_keys(true)
            .busy_timeout(WAIT)
            // A commit that was answered survives the loss of power.
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        // SQLite needs no ping, and no connection grows old.
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(WAIT)
                .test_before_acquire(false)
                .max_lifetime(None)
                .idle_timeout(None)
        };

        if mode == Some("memory") {
            // Such a database is gone with its last connection, and a second one would be in the way of the first.
            return Sqlite::on(pool().max_connections(1).connect_lazy_with(options)).await;
        }
        if matches!(mode, None | Some("rwc")) {
            create_private(options.get_filename())?;
        }
        let options = options.create_if_missing(false);
        let writer = options.clone().journal_mode(SqliteJournalMode::Wal);
        let reader = options.pragma("query_only", "ON");
        let sqlite = Sqlite {
            reads: pool().max_connections(u32::from(READERS)).connect_lazy_with(reader),
            read_turns: Some(Semaphore::new(READERS.into())),
            ready: Ready::up_to(READY),
            writes: pool().max_connections(1).connect_lazy_with(writer),
            turn: Arc::new(Semaphore::new(1)),
        };
        sqlite.migrate().await?;
        Ok(sqlite)
    }

    /// Works on a pool of the host's.
    pub(crate) async fn on(pool: SqlitePool) -> Result<Sqlite, OpenError> {
        let sqlite = Sqlite {
            reads: pool.clone(),
            read_turns: None,
            ready: Ready::up_to(0),
            writes: pool,
            turn: Arc::new(Semaphore::new(1)),
        };
        sqlite.migrate().await?;
        Ok(sqlite)
    }

    /// Brings the tables up to date, however many processes do so at once.
    async fn migrate(&self) -> Result<(), OpenError> {
        // The first connection of a new database switches it to its write-ahead log, and SQLite does not wait for the
        // lock of that: so whoever comes second asks again.
        persist_opening(|| self.try_migrate()).await?.map_err(OpenError::Schema)
    }

    async fn try_migrate(&self) -> Result<Result<(), MigrateError>, Failure> {
        let mut conn = self.writes.acquire().await.map_err(SqliteConnection::failure)?;
        // Looked at first: a database that takes no writes may be up to date.
        let pending = pending(&mut *conn).await;
        drop(conn);
        let done = match pending {
            Ok(pending) if pending.is_empty() => Ok(()),
            Ok(_) => {
                let mut session = self.begin_session().await?;
                let migrated = bring_up_to_date(session.conn()?).await;
                match migrated {
                    Ok(()) => Box::new(session).commit().await?,
                    Err(_) => Box::new(session).rollback().await,
                }
                migrated
            }
            Err(error) => Err(error),
        };
        sorted::<SqliteConnection>(done)
    }

    /// A connection to read by, and the turn that it has.
    async fn reader(&self) -> Result<(Asked<'_, sqlx::Sqlite>, Option<SemaphorePermit<'_>>), Failure> {
        let turn = match &self.read_turns {
            None => None,
            Some(turns) => match tokio::time::timeout(WAIT, turns.acquire()).await {
                Ok(Ok(turn)) => Some(turn),
                _ => return Err(StoreError::from(Fault::PoolExhausted).into()),
            },
        };
        let taken = match self.ready.take() {
            Some(taken) => taken,
            None => Taken::new(self.reads.acquire().await.map_err(SqliteConnection::failure)?),
        };
        Ok((Asked::on(taken, &self.ready), turn))
    }

    async fn begin_session(&self) -> Result<Transaction<sqlx::Sqlite>, Failure> {
        let turn = tokio::time::timeout(WAIT, self.turn.clone().acquire_owned());
        let turn = match turn.await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) => return Err(StoreError::from(Fault::ConnectionLost).into()),
            Err(_) => return Err(StoreError::from(Fault::PoolExhausted).into()),
        };
        let conn = self.writes.acquire().await.map_err(SqliteConnection::failure)?;
        // The lock to write is taken first: one that begins by reading may find that it can't go on to write.
        Transaction::begin(conn, Some(turn), None, "BEGIN IMMEDIATE").await
    }
}

/// The mode that an address asks for. sqlx reads it too, but does not tell.
fn mode(address: &str) -> Option<&str> {
    let (database, query) = address.split_once('?').unwrap_or((address, ""));
    match database.trim_start_matches("//") {
        ":memory:" => Some("memory"),
        _ => query.split('&').filter_map(|pair| pair.strip_prefix("mode=")).next_back(),
    }
}

/// Makes the file if there is none, readable by its owner alone from the start. SQLite gives the files that it puts
/// beside it the same permissions.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    match file.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(OpenError::File { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl Dialect for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    async fn query(&self, sql: Sql, values: &[Value<'_>]) -> Result<Rows, Failure> {
        let (asked, _turn) = self.reader().await?;
        query(asked, sql, values).await
    }

    async fn query_first(&self, sql: Sql, values: &[Value<'_>]) -> Result<Option<Box<dyn Row>>, Failure> {
        let (asked, _turn) = self.reader().await?;
        query_first(asked, sql, values).await
    }

    async fn query_keys(&self, select: &'static str, keys: &[&[u8]]) -> Result<Rows, Failure> {
        let (asked, _turn) = self.reader().await?;
        query_keys(asked, select, keys).await
    }

    async fn begin(&self) -> Result<Box<dyn Session>, Failure> {
        Ok(Box::new(self.begin_session().await?))
    }

    fn holds(&self, column: &str) -> String {
        format!("instr({column}, ?) > 0")
    }

    fn day(&self, column: &str) -> String {
        format!("{column} - {column} % 86400000000")
    }

    fn sum(&self, column: &str) -> String {
        format!("sum({column})")
    }

    async fn listen(&self, _bell: &Notify) {}

    fn lock(&self) -> &'static str {
        // A transaction that may write has the whole database to itself.
        ""
    }
}

/// A statement that writes so many rows.
fn tally(kind: Tally, rows: usize) -> String {
    let of_tokens = rows_of_tokens(kind, rows);
    let adds = |table: &str, second: &str, third: &str, count: &str| {
        format!(
            "INSERT INTO {table} (token, {second}, {third}, {count}) SELECT * {of_tokens} \
             ON CONFLICT (token, {second}, {third}) DO UPDATE SET {count} = {}",
            added(count)
        )
    };
    match kind {
        Tally::LastUses => format!(
            "INSERT INTO api_token_usage_last (token, generation, at, address, client) SELECT * {of_tokens} \
             ON CONFLICT (token, generation) DO UPDATE SET at = excluded.at, address = excluded.address, \
             client = excluded.client WHERE excluded.at > at"
        ),
        Tally::Hours => adds("api_token_usage_hours", "hour", "generation", "uses"),
        Tally::Refusals => adds("api_token_refusals", "hour", "reason", "refusals"),
        Tally::Days => adds("api_token_usage_days", "day", "reason", "requests"),
        Tally::Sources => format!(
            "INSERT INTO api_token_usage_sources \
             (token, network, first_seen, last_seen, last_day, uses, refusals) SELECT * {of_tokens} \
             ON CONFLICT (token, network) DO UPDATE SET first_seen = min(first_seen, excluded.first_seen), \
             last_seen = max(last_seen, excluded.last_seen), last_day = max(last_day, excluded.last_day), \
             uses = {}, refusals = {}",
            added("uses"),
            added("refusals")
        ),
        Tally::Scopes => format!(
            "INSERT INTO api_token_usage_scopes (token, scope, last_at) SELECT * {of_tokens} \
             ON CONFLICT (token, scope) DO UPDATE SET last_at = excluded.last_at WHERE excluded.last_at > last_at"
        ),
        Tally::Calls => format!(
            "INSERT INTO api_token_usage_calls (token, slot, at, method, route, reason, address, owner) \
             SELECT *, {OWNER} {of_tokens} \
             ON CONFLICT (token, slot) DO UPDATE SET at = excluded.at, method = excluded.method, \
             route = excluded.route, reason = excluded.reason, address = excluded.address WHERE excluded.at > at"
        ),
        Tally::Signals => format!(
            "INSERT INTO api_token_signals (token, kind, subject, first_at, last_at, times, owner) \
             SELECT *, {OWNER} {of_tokens} \
             ON CONFLICT (token, kind, subject) DO UPDATE SET first_at = min(first_at, excluded.first_at), \
             last_at = max(last_at, excluded.last_at), \
             times = CASE WHEN kind >= {} THEN max(times, excluded.times) ELSE {} END",
            SignalKind::FIRST_OF_LARGEST,
            added("times")
        ),
        Tally::Digests => format!(
            "UPDATE api_token_secrets SET key_id = column3, digest = column4 FROM ({}) \
             WHERE selector = column1 AND key_id = column2",
            rows_of(kind, rows)
        ),
    }
}

/// The owner of a token that is the first value of a row.
const OWNER: &str = "(SELECT owner FROM api_tokens WHERE id = column1)";

/// Rows of arguments. Marked without numbers: SQLite looks numbered ones up one by one, in a list.
fn rows_of(kind: Tally, rows: usize) -> String {
    let row = format!("(?{})", ", ?".repeat(kind.width().saturating_sub(1)));
    format!("VALUES {row}{}", format!(", {row}").repeat(rows.saturating_sub(1)))
}

/// Such rows, those whose first value is the id of a token that exists.
fn rows_of_tokens(kind: Tally, rows: usize) -> String {
    format!("FROM ({}) WHERE EXISTS (SELECT 1 FROM api_tokens WHERE id = column1)", rows_of(kind, rows))
}

/// The sum of a stored count and a new one, which stays at the largest number and does not turn into a fraction.
fn added(column: &str) -> String {
    format!(
        "CASE WHEN {column} > {max} - excluded.{column} THEN {max} ELSE {column} + excluded.{column} END",
        max = i64::MAX
    )
}

#[async_trait]
impl Link for SqliteConnection {
    const MIGRATIONS: &'static Migrator = &MIGRATOR;
    // Statements run on a thread of their own, to their end.
    const OUTLIVES_DROPS: bool = true;
    const TABLES: &'static str = "SELECT count(*) AS tables FROM sqlite_master WHERE type = 'table' AND name = ?";

    /// <https://www.sqlite.org/rescode.html>: the low byte is the primary code.
    fn fault(error: &dyn DatabaseError) -> Fault {
        let code = error.code().and_then(|code| code.parse::<i32>().ok());
        match code.map(|code| code & 0xff) {
            // BUSY, LOCKED, PROTOCOL: others hold a lock.
            Some(5 | 6 | 15) => Fault::Deadlock,
            // READONLY
            Some(8) => Fault::ReadOnly,
            // IOERR, CANTOPEN
            Some(10 | 14) => Fault::ConnectionLost,
            // CORRUPT, NOTADB
            Some(11 | 26) => Fault::Corrupt,
            // FULL
            Some(13) => Fault::DiskFull,
            _ => Fault::Other,
        }
    }

    async fn execute(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<u64, sqlx::Error> {
        bound(sql, values).execute(self).await.map(|done| done.rows_affected())
    }

    async fn query(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<Rows, sqlx::Error> {
        bound(sql, values).fetch_all(self).await.map(|rows| rows.into_iter().map(boxed).collect())
    }

    // The thread of the connection is done with the statement when it has sent the row, and sends nothing more.
    async fn query_first(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<Option<Box<dyn Row>>, sqlx::Error> {
        let row = bound(sql, values).fetch_optional(self).await?;
        Ok(row.map(boxed))
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(sql).execute(self).await.map(|_| ())
    }

    async fn tally(&mut self, kinds: &[(Tally, &[Value<'_>])]) -> Result<(), sqlx::Error> {
        for (kind, rows) in kinds {
            Link::execute(self, tally(*kind, rows.len() / kind.width()).into(), rows).await?;
        }
        Ok(())
    }
}

fn bound<'q>(sql: Sql, values: &'q [Value<'_>]) -> sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    let keep = sql.len() <= KEPT_SQL;
    values.iter().fold(sqlx::query(AssertSqlSafe(sql)).persistent(keep), |query, value| match value {
        Value::Int(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_deref()),
        Value::Bytes(bytes) => query.bind(*bytes),
        Value::Time(time) => query.bind(time.map(Time::as_micros)),
        Value::Id(id) => query.bind(id.as_ref().map(|id| id.as_bytes().as_slice())),
    })
}

impl Row for Columns<SqliteRow> {
    fn int(&self, column: &'static str) -> Result<Option<i64>, BadColumn> {
        self.get(column)
    }

    fn text(&self, column: &'static str) -> Result<Option<&str>, BadColumn> {
        self.get(column)
    }

    fn bytes(&self, column: &'static str) -> Result<Option<&[u8]>, BadColumn> {
        self.get(column)
    }

    fn time(&self, column: &'static str) -> Result<Option<Time>, BadColumn> {
        let time = |micros| Time::from_micros(micros).ok_or_else(|| BadColumn::new(column, "not a time"));
        self.int(column)?.map(time).transpose()
    }

    fn id(&self, column: &'static str) -> Result<Option<TokenId>, BadColumn> {
        self.bytes(column)?.map(|bytes| id_of(bytes, column)).transpose()
    }
}
