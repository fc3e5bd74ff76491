//! MariaDB, from 10.11 on, and MySQL, from 8.0.19 on.

use async_trait::async_trait;
use serde_json::Value as Json;
use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::mysql::{
    MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlPoolOptions, MySqlRow,
};
use sqlx::query::Query;
use sqlx::types::time::{OffsetDateTime, PrimitiveDateTime};
use sqlx::{AssertSqlSafe, ConnectOptions as _, MySqlPool};
use token_core::{Fault, StoreError, Time, TokenId};
use tokio::sync::Notify;

use super::connection::{Columns, KEPT_SQL, Link, boxed, id_of};
use super::schema::{bring_up_to_date, sorted};
use super::server::{Flavor, Server};
use super::transaction::within;
use super::{Dialect as _, Row, Rows, Sql, Tally};
use crate::error::{BadColumn, Failure, OpenError};
use crate::value::Value;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/mysql");

/// The settings of a pool of its own. Reads end as they are answered, and the next sees what was committed since. Limits on waiting for a lock, and where there are such, on a statement and on a client that went silent
/// in a transaction, in seconds; only MariaDB reads the part in the comment.
const LIMITS: &str = "SET SESSION autocommit = 1, SESSION innodb_lock_wait_timeout = 2 \
    /*M!100303 , SESSION max_statement_time = 5, SESSION idle_transaction_timeout = 10 */";

/// What a connection is given that changes tables, which may be large.
const UNHURRIED: &str = "SET SESSION lock_wait_timeout = 5 /*M!100303 , SESSION max_statement_time = 600 */";

pub(crate) struct MySql;

impl Server<MySql> {
    /// Connects to the database of an address.
    pub(crate) async fn connect(url: &str) -> Result<Server<MySql>, OpenError> {
        let options: MySqlConnectOptions = url.parse().map_err(OpenError::Url)?;
        if options.get_database().is_none() {
            return Err(OpenError::Url(sqlx::Error::Configuration("it names no database".into())));
        }
        let pool = MySqlPoolOptions::new()
            .after_connect(|conn, _| Box::pin(async move { sqlx::raw_sql(LIMITS).execute(conn).await.map(|_| ()) }));
        Server::open(options.disable_statement_logging(), pool).await
    }
}

#[async_trait]
impl Flavor for MySql {
    type Database = sqlx::MySql;

    const NAME: &'static str = "mysql";

    // The usual level here would go on seeing what was there when the transaction first looked: a count of live tokens, say.
    const BEGIN: &'static str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION";

    fn by_index(index: &'static str) -> String {
        format!(" FORCE INDEX ({index})")
    }

    fn holds(column: &str) -> String {
        format!("locate(?, {column}) > 0")
    }

    fn day(column: &str) -> String {
        format!("CAST(DATE({column}) AS DATETIME(6))")
    }

    fn sum(column: &str) -> String {
        format!("CAST(least(sum({column}), 9223372036854775807) AS SIGNED)")
    }

    async fn listen(_pool: &MySqlPool, _bell: &Notify) {}

    /// Without autocommit a read begins a transaction that nobody ends, and goes on seeing what was there then.
    async fn check(server: &Server<MySql>) -> Result<(), OpenError> {
        let asked = server.query("SELECT CAST(@@autocommit AS SIGNED) AS autocommit".into(), &[]).await;
        let rows = asked.map_err(StoreError::from)?;
        let on = rows.first().map(|row| row.int("autocommit")).transpose().map_err(StoreError::from)?.flatten();
        if on == Some(1) { Ok(()) } else { Err(OpenError::NoAutocommit) }
    }

    /// Tables are made outside of transactions here. A migration that was cut off is done again from its start, so each
    /// of its statements may be repeated.
    async fn migrate(server: &Server<MySql>) -> Result<Result<(), MigrateError>, Failure> {
        let done = match server.pending().await? {
            Ok(pending) if pending.is_empty() => Ok(()),
            Ok(_) => {
                let (taken, _turn) = server.acquire().await?;
                let mut conn = taken.conn;
                // The lock is let go with the connection, whatever happens.
                conn.close_on_drop();
                // First of all: who waits for the lock runs a statement as well, which would be over its limit.
                within::<_, MySqlConnection>(conn.run(UNHURRIED)).await?;
                let lock = "SELECT get_lock(concat('api_tokens.', md5(database())), 5) AS had";
                let had = within::<_, MySqlConnection>(conn.query(lock.into(), &[])).await?;
                match had.first().map(|row| row.int("had")).transpose()?.flatten() {
                    Some(1) => {}
                    Some(_) => return Err(StoreError::from(Fault::Deadlock).into()),
                    None => return Err(StoreError::new(Fault::Other, "no database is chosen").into()),
                }
                bring_up_to_date(&mut *conn).await
            }
            Err(error) => Err(error),
        };
        sorted::<MySqlConnection>(done)
    }
}

#[async_trait]
impl Link for MySqlConnection {
    const MIGRATIONS: &'static Migrator = &MIGRATOR;
    // Half of an answer may have been read.
    const OUTLIVES_DROPS: bool = false;
    const TABLES: &'static str =
        "SELECT count(*) AS tables FROM information_schema.tables WHERE table_schema = database() AND table_name = ?";

    /// <https://mariadb.com/docs/server/reference/error-codes>,
    /// <https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>
    fn fault(error: &dyn DatabaseError) -> Fault {
        match error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number) {
            // Shutting down, killed, a node of a cluster that is not ready.
            Some(1053 | 1927 | 1047) => Fault::ConnectionLost,
            // Too many connections: of all, of a user.
            Some(1040 | 1203 | 1226) => Fault::PoolExhausted,
            // Disk full, table full
            Some(1021 | 1114) => Fault::DiskFull,
            // A statement over its limit: MariaDB's, MySQL's; one that was interrupted.
            Some(1969 | 3024 | 1317) => Fault::TimedOut,
            // --read-only, a transaction or a server that only reads
            Some(1290 | 1792 | 1836) => Fault::ReadOnly,
            // Deadlock, which is also what a conflict between nodes of a cluster is told as; a lock that was not had in time
            Some(1213 | 1205) => Fault::Deadlock,
            // The row was changed since it was read
            Some(1020) => Fault::Serialization,
            // Tables and indexes that are broken
            Some(1034 | 1194 | 1712) => Fault::Corrupt,
            _ => Fault::Other,
        }
    }

    async fn execute(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<u64, sqlx::Error> {
        bound(sql, values).execute(self).await.map(|done| done.rows_affected())
    }

    async fn query(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<Rows, sqlx::Error> {
        let rows = bound(sql, values).fetch_all(self).await?;
        Ok(rows.into_iter().map(boxed).collect())
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(self).await.map(|_| ())
    }

    async fn tally(&mut self, kinds: &[(Tally, &[Value<'_>])]) -> Result<(), sqlx::Error> {
        for (kind, rows) in kinds {
            let rows = rows.chunks(kind.width()).map(|row| row.iter().map(json).collect()).collect();
            sqlx::query(tally(*kind)).bind(Json::Array(rows).to_string()).execute(&mut *self).await?;
        }
        Ok(())
    }
}

/// Rows of arguments come as one array of arrays, sorted; what they fall on is locked in that order. A token that a purge is about to
/// delete is waited for, and then is not there: its first secret stands for it, which a purge deletes and no change writes. The types are those of the columns, but bytes are in hexadecimal digits, and times
/// in microseconds.
fn tally(kind: Tally) -> &'static str {
    /// Rows of tokens that exist.
    macro_rules! rows_of_tokens {
        ($($columns:literal),+) => {
            concat!(
                "FROM JSON_TABLE(?, '$[*]' COLUMNS (token CHAR(32) PATH '$[0]'",
                $(", ", $columns,)+
                ")) AS v ",
                "STRAIGHT_JOIN api_token_secrets s ON s.token = unhex(v.token) AND s.generation = 1 ",
                "ORDER BY s.token LOCK IN SHARE MODE "
            )
        };
    }
    macro_rules! time {
        ($column:literal) => {
            concat!("timestamp('1970-01-01') + INTERVAL v.", $column, " MICROSECOND")
        };
    }
    /// A stored count and the new one. At the largest number it stays.
    macro_rules! added {
        ($table:literal, $count:literal) => {
            concat!(
                "if(",
                $table,
                ".",
                $count,
                " > 9223372036854775807 - VALUES(",
                $count,
                "), 9223372036854775807, ",
                $table,
                ".",
                $count,
                " + VALUES(",
                $count,
                "))"
            )
        };
    }
    macro_rules! adds {
        ($table:literal, $second:literal, $third:literal, $count:literal) => {
            concat!(
                "INSERT INTO ",
                $table,
                " (token, ",
                $second,
                ", ",
                $third,
                ", ",
                $count,
                ") SELECT s.token, ",
                time!("started"),
                ", v.third, v.more ",
                rows_of_tokens!("started BIGINT PATH '$[1]'", "third BIGINT PATH '$[2]'", "more BIGINT PATH '$[3]'"),
                "ON DUPLICATE KEY UPDATE ",
                $count,
                " = ",
                added!($table, $count)
            )
        };
    }
    /// A column that is written only by what is later than the row.
    macro_rules! if_later {
        ($table:literal, $at:literal, $column:literal) => {
            concat!(
                $column,
                " = if(VALUES(",
                $at,
                ") > ",
                $table,
                ".",
                $at,
                ", VALUES(",
                $column,
                "), ",
                $table,
                ".",
                $column,
                ")"
            )
        };
    }
    macro_rules! end_of {
        ($function:literal, $table:literal, $column:literal) => {
            concat!($column, " = ", $function, "(", $table, ".", $column, ", VALUES(", $column, "))")
        };
    }
    /// The owner, looked up beside: a row of a token that is read here is locked, and changes would wait for it.
    macro_rules! owner {
        () => {
            "(SELECT t.owner FROM api_tokens t WHERE t.id = s.token), "
        };
    }
    match kind {
        // From left to right: everything by the time before, which is written last.
        Tally::LastUses => concat!(
            "INSERT INTO api_token_usage_last (token, generation, at, address, client) SELECT s.token, v.generation, ",
            time!("used"),
            ", v.address, v.client ",
            rows_of_tokens!(
                "generation BIGINT PATH '$[1]'",
                "used BIGINT PATH '$[2]'",
                "address VARCHAR(45) PATH '$[3]'",
                "client VARCHAR(80) PATH '$[4]'"
            ),
            "ON DUPLICATE KEY UPDATE ",
            if_later!("api_token_usage_last", "at", "address"),
            ", ",
            if_later!("api_token_usage_last", "at", "client"),
            ", ",
            end_of!("greatest", "api_token_usage_last", "at")
        ),
        Tally::Hours => adds!("api_token_usage_hours", "hour", "generation", "uses"),
        Tally::Refusals => adds!("api_token_refusals", "hour", "reason", "refusals"),
        Tally::Days => adds!("api_token_usage_days", "day", "reason", "requests"),
        Tally::Sources => concat!(
            "INSERT INTO api_token_usage_sources ",
            "(token, network, first_seen, last_seen, last_day, uses, refusals) SELECT s.token, v.network, ",
            time!("began"),
            ", ",
            time!("ended"),
            ", ",
            time!("ended_on"),
            ", v.used, v.refused ",
            rows_of_tokens!(
                "network VARCHAR(64) PATH '$[1]'",
                "began BIGINT PATH '$[2]'",
                "ended BIGINT PATH '$[3]'",
                "ended_on BIGINT PATH '$[4]'",
                "used BIGINT PATH '$[5]'",
                "refused BIGINT PATH '$[6]'"
            ),
            "ON DUPLICATE KEY UPDATE ",
            end_of!("least", "api_token_usage_sources", "first_seen"),
            ", ",
            end_of!("greatest", "api_token_usage_sources", "last_seen"),
            ", ",
            end_of!("greatest", "api_token_usage_sources", "last_day"),
            ", uses = ",
            added!("api_token_usage_sources", "uses"),
            ", refusals = ",
            added!("api_token_usage_sources", "refusals")
        ),
        Tally::Scopes => concat!(
            "INSERT INTO api_token_usage_scopes (token, scope, last_at) SELECT s.token, v.scope, ",
            time!("used"),
            " ",
            rows_of_tokens!("scope VARCHAR(255) PATH '$[1]'", "used BIGINT PATH '$[2]'"),
            "ON DUPLICATE KEY UPDATE ",
            end_of!("greatest", "api_token_usage_scopes", "last_at")
        ),
        Tally::Calls => concat!(
            "INSERT INTO api_token_usage_calls (token, slot, owner, at, method, route, reason, address) ",
            "SELECT s.token, v.slot, ",
            owner!(),
            time!("called"),
            ", v.method, v.route, v.reason, v.address ",
            rows_of_tokens!(
                "slot BIGINT PATH '$[1]'",
                "called BIGINT PATH '$[2]'",
                "method VARCHAR(16) PATH '$[3]'",
                "route VARCHAR(96) PATH '$[4]'",
                "reason BIGINT PATH '$[5]'",
                "address VARCHAR(45) PATH '$[6]'"
            ),
            "ON DUPLICATE KEY UPDATE ",
            if_later!("api_token_usage_calls", "at", "method"),
            ", ",
            if_later!("api_token_usage_calls", "at", "route"),
            ", ",
            if_later!("api_token_usage_calls", "at", "reason"),
            ", ",
            if_later!("api_token_usage_calls", "at", "address"),
            ", ",
            end_of!("greatest", "api_token_usage_calls", "at")
        ),
        Tally::Signals => concat!(
            "INSERT INTO api_token_signals (token, kind, subject, owner, first_at, last_at, times) ",
            "SELECT s.token, v.kind, v.subject, ",
            owner!(),
            time!("began"),
            ", ",
            time!("ended"),
            ", v.seen ",
            rows_of_tokens!(
                "kind BIGINT PATH '$[1]'",
                "subject VARCHAR(64) PATH '$[2]'",
                "began BIGINT PATH '$[3]'",
                "ended BIGINT PATH '$[4]'",
                "seen BIGINT PATH '$[5]'"
            ),
            "ON DUPLICATE KEY UPDATE ",
            end_of!("least", "api_token_signals", "first_at"),
            ", ",
            end_of!("greatest", "api_token_signals", "last_at"),
            ", times = if(api_token_signals.kind >= 16, greatest(api_token_signals.times, VALUES(times)), ",
            added!("api_token_signals", "times"),
            ")"
        ),
        Tally::Digests => {
            "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (selector CHAR(32) PATH '$[0]', key_before VARCHAR(255) PATH '$[1]', \
             key_after VARCHAR(255) PATH '$[2]', digest CHAR(64) PATH '$[3]')) AS v \
             STRAIGHT_JOIN api_token_secrets s ON s.selector = unhex(v.selector) AND s.key_id = CAST(v.key_before AS BINARY) \
             SET s.key_id = v.key_after, s.digest = unhex(v.digest)"
        }
    }
}

fn json(value: &Value<'_>) -> Json {
    match value {
        Value::Int(number) => (*number).into(),
        Value::Text(text) => text.as_deref().into(),
        Value::Bytes(bytes) => bytes.map(hex).into(),
        Value::Time(time) => time.map(Time::as_micros).into(),
        Value::Id(id) => id.map(|id| hex(id.as_bytes())).into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |four: u8| char::from(b"0123456789abcdef"[usize::from(four)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

fn bound<'q>(sql: Sql, values: &'q [Value<'_>]) -> Query<'q, sqlx::MySql, MySqlArguments> {
    let keep = sql.len() <= KEPT_SQL;
    values.iter().fold(sqlx::query(AssertSqlSafe(sql)).persistent(keep), |query, value| match value {
        Value::Int(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_deref()),
        Value::Bytes(bytes) => query.bind(*bytes),
        Value::Time(time) => query.bind(time.map(moment)),
        Value::Id(id) => query.bind(id.as_ref().map(|id| id.as_bytes().as_slice())),
    })
}

/// The columns of times have no zone; all are in UTC.
fn moment(time: Time) -> PrimitiveDateTime {
    let moment = OffsetDateTime::UNIX_EPOCH + std::time::Duration::from_micros(time.as_micros().unsigned_abs());
    PrimitiveDateTime::new(moment.date(), moment.time())
}

impl Row for Columns<MySqlRow> {
    fn int(&self, column: &'static str) -> Result<Option<i64>, BadColumn> {
        self.get(column)
    }

    /// Texts are kept as bytes, since that is how they compare.
    fn text(&self, column: &'static str) -> Result<Option<&str>, BadColumn> {
        self.bytes(column)?.map(std::str::from_utf8).transpose().map_err(|error| BadColumn::new(column, error))
    }

    fn bytes(&self, column: &'static str) -> Result<Option<&[u8]>, BadColumn> {
        self.get(column)
    }

    fn time(&self, column: &'static str) -> Result<Option<Time>, BadColumn> {
        let moment: Option<PrimitiveDateTime> = self.get(column)?;
        let time = |moment: PrimitiveDateTime| {
            let micros = moment.assume_utc().unix_timestamp_nanos() / 1000;
            let time = i64::try_from(micros).ok().and_then(Time::from_micros);
            time.ok_or_else(|| BadColumn::new(column, "not a time"))
        };
        moment.map(time).transpose()
    }

    fn id(&self, column: &'static str) -> Result<Option<TokenId>, BadColumn> {
        self.bytes(column)?.map(|bytes| id_of(bytes, column)).transpose()
    }
}
