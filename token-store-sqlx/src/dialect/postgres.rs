//! PostgreSQL, from 15 on.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPoolOptions, PgRow, PgValueFormat};
use sqlx::query::Query;
use sqlx::types::Uuid;
use sqlx::types::time::OffsetDateTime;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgPool, Row as _, TypeInfo as _, ValueRef as _};
use token_core::{Fault, Time, TokenId};
use tokio::sync::Notify;

use super::connection::{Columns, KEPT_SQL, Link, boxed};
use super::listen::listen;
use super::schema::{bring_up_to_date, sorted};
use super::server::{Flavor, Server};
use super::tallies;
use super::{Row, Rows, Session as _, Sql, Tally};
use crate::error::{BadColumn, Failure, OpenError};
use crate::value::Value;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

pub(crate) struct Postgres;

impl Server<Postgres> {
    /// Connects to the database of an address.
    pub(crate) async fn connect(url: &str) -> Result<Server<Postgres>, OpenError> {
        let options: PgConnectOptions = url.parse().map_err(OpenError::Url)?;
        Server::open(options.disable_statement_logging(), PgPoolOptions::new()).await
    }
}

#[async_trait]
impl Flavor for Postgres {
    type Database = sqlx::Postgres;

    const NAME: &'static str = "postgres";

    // For this transaction only: the settings of a connection of the host's stay the host's. A client that went silent in the
    // middle keeps its locks no longer than that.
    const BEGIN: &'static str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
        SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '2s'; \
        SET LOCAL idle_in_transaction_session_timeout = '10s'";

    fn holds(column: &str) -> String {
        format!("strpos({column}, ?) > 0")
    }

    fn day(column: &str) -> String {
        format!("date_trunc('day', {column}, 'UTC')")
    }

    fn sum(column: &str) -> String {
        // `least` passes over nulls.
        format!("CAST(least(coalesce(sum({column}), 0), 9223372036854775807) AS bigint)")
    }

    // Seldom: changes are heard of, and this is for what was missed.
    const POLL: Duration = Duration::from_millis(500);

    async fn listen(pool: &PgPool, bell: &Notify) {
        listen(pool.clone(), bell).await;
    }

    async fn migrate(server: &Server<Postgres>) -> Result<Result<(), MigrateError>, Failure> {
        // Looked at first: a standby takes no writes, and may be up to date.
        let done = match server.pending().await? {
            Ok(pending) if pending.is_empty() => Ok(()),
            Ok(_) => {
                let mut transaction = server.transaction().await?;
                // Any number, the same on every node. It is let go with the transaction.
                let lock = "SELECT pg_advisory_xact_lock(7021868439310117)";
                transaction.query(lock.into(), &[]).await?;
                // Large tables take their time.
                let limit = "SELECT set_config('statement_timeout', '10min', TRUE)";
                transaction.query(limit.into(), &[]).await?;
                let migrated = bring_up_to_date(transaction.conn()?).await;
                match migrated {
                    Ok(()) => Box::new(transaction).commit().await?,
                    Err(_) => Box::new(transaction).rollback().await,
                }
                migrated
            }
            Err(error) => Err(error),
        };
        sorted::<PgConnection>(done)
    }
}

#[async_trait]
impl Link for PgConnection {
    const MIGRATIONS: &'static Migrator = &MIGRATOR;
    // Half of an answer may have been read.
    const OUTLIVES_DROPS: bool = false;
    // Looked for along the search path, as every table is.
    const TABLES: &'static str = "SELECT count(*) AS tables FROM pg_catalog.pg_class WHERE oid = to_regclass(?)";

    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    fn fault(error: &dyn DatabaseError) -> Fault {
        let code = error.code();
        match code.as_deref().unwrap_or_default() {
            // Connections: exceptions, those the server ends (shutting down, not up yet, idle in a transaction for too long).
            "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" => Fault::ConnectionLost,
            code if code.starts_with("08") => Fault::ConnectionLost,
            // too_many_connections
            "53300" => Fault::PoolExhausted,
            // disk_full
            "53100" => Fault::DiskFull,
            // query_canceled: by the limit on statements
            "57014" => Fault::TimedOut,
            // read_only_sql_transaction
            "25006" => Fault::ReadOnly,
            // deadlock_detected, lock_not_available
            "40P01" | "55P03" => Fault::Deadlock,
            // serialization_failure
            "40001" => Fault::Serialization,
            // data_corrupted, index_corrupted
            "XX001" | "XX002" => Fault::Corrupt,
            _ => Fault::Other,
        }
    }

    async fn execute(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<u64, sqlx::Error> {
        bound(&sql, values).execute(self).await.map(|done| done.rows_affected())
    }

    async fn query(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<Rows, sqlx::Error> {
        bound(&sql, values).fetch_all(self).await.map(|rows| rows.into_iter().map(boxed).collect())
    }

    // One argument however many keys there are: one statement to prepare, and less to read for each key.
    async fn query_keys(&mut self, select: &'static str, keys: &[&[u8]]) -> Result<Rows, sqlx::Error> {
        let sql = AssertSqlSafe(format!("{select} = ANY($1)"));
        sqlx::query(sql).bind(keys).fetch_all(self).await.map(|rows| rows.into_iter().map(boxed).collect())
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(self).await.map(|_| ())
    }

    // Tokens are come to, and locked, once for all kinds.
    const TOGETHER: bool = true;

    async fn tally(&mut self, kinds: &[(Tally, &[Value<'_>])]) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(tallies::statement(kinds.iter().map(|(kind, _)| *kind)));
        let mut query = sqlx::query(sql);
        if let Some(tokens) = tallies::tokens(kinds) {
            query = query.bind(tokens.into_iter().map(uuid).collect::<Vec<_>>());
        }
        for (kind, rows) in kinds {
            let width = kind.width();
            query = (0..width).fold(query, |query, column| bind_column(query, rows, width, column));
        }
        query.execute(self).await.map(|_| ())
    }
}

type Bound<'q> = Query<'q, sqlx::Postgres, PgArguments>;

fn bound<'q>(sql: &str, values: &[Value<'_>]) -> Bound<'q> {
    let keep = sql.len() <= KEPT_SQL;
    let query = sqlx::query(AssertSqlSafe(numbered(sql))).persistent(keep);
    values.iter().fold(query, |query, value| match value {
        Value::Int(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_deref()),
        Value::Bytes(bytes) => query.bind(*bytes),
        Value::Time(time) => query.bind(time.map(moment)),
        Value::Id(id) => query.bind(id.map(uuid)),
    })
}

/// One column of rows as an array; the first row tells its type.
fn bind_column<'q>(query: Bound<'q>, rows: &[Value<'_>], width: usize, column: usize) -> Bound<'q> {
    let values = || rows.iter().skip(column).step_by(width);
    macro_rules! array {
        ($kind:ident, $element:ty, $value:ident => $as:expr) => {{
            let array: Vec<Option<$element>> = values()
                .map(|value| match value {
                    Value::$kind($value) => $as,
                    _ => None,
                })
                .collect();
            query.bind(array)
        }};
    }
    match values().next() {
        Some(Value::Text(_)) => array!(Text, String, text => text.as_deref().map(str::to_owned)),
        Some(Value::Bytes(_)) => array!(Bytes, Vec<u8>, bytes => bytes.map(<[u8]>::to_vec)),
        Some(Value::Time(_)) => array!(Time, OffsetDateTime, time => time.map(moment)),
        Some(Value::Id(_)) => array!(Id, Uuid, id => id.map(uuid)),
        Some(Value::Int(_)) | None => array!(Int, i64, number => *number),
    }
}

/// Arguments are numbered here: `?` becomes `$1`, `$2` and so on. No statement has that character in it otherwise.
fn numbered(sql: &str) -> String {
    let mut numbered = String::with_capacity(sql.len() + 32);
    for (number, part) in sql.split('?').enumerate() {
        if number > 0 {
            numbered.push('$');
            numbered.push_str(&number.to_string());
        }
        numbered.push_str(part);
    }
    numbered
}

/// In microseconds since 1970.
const YEAR_2000: i64 = 946_684_800_000_000;

fn uuid(id: TokenId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

fn moment(time: Time) -> OffsetDateTime {
    // Every time of the domain is one of this kind: from 1970 to 9999.
    OffsetDateTime::UNIX_EPOCH + std::time::Duration::from_micros(time.as_micros().unsigned_abs())
}

impl Row for Columns<PgRow> {
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
        // As it is sent, microseconds since 2000: sqlx panics for what its own type can't hold, `infinity` among it.
        let sent = self.row.try_get_raw(self.place(column)?).map_err(|error| BadColumn::new(column, error))?;
        if sent.is_null() {
            return Ok(None);
        }
        let binary = sent.format() == PgValueFormat::Binary && sent.type_info().name() == "TIMESTAMPTZ";
        let bytes = sent.as_bytes().ok().filter(|_| binary).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
        let micros = bytes.and_then(|bytes| i64::from_be_bytes(bytes).checked_add(YEAR_2000));
        micros.and_then(Time::from_micros).map(Some).ok_or_else(|| BadColumn::new(column, "not a time"))
    }

    fn id(&self, column: &'static str) -> Result<Option<TokenId>, BadColumn> {
        let id: Option<Uuid> = self.get(column)?;
        Ok(id.map(|id| TokenId::from_bytes(id.into_bytes())))
    }
}
