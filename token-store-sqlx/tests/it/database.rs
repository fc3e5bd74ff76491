//! Databases for tests, each fresh and its test's own, of every kind that the store runs on.

use std::any::Any;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, MySqlPool, PgPool, SqlitePool};
use token_store_sqlx::SqlStore;

/// Makes of each `async fn test(db: &Database)` three tests, one for each kind of database. Those that need a server
/// are ignored unless they are asked for, and asked for without a server they fail.
macro_rules! on_every_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&$crate::database::Database::sqlite().await).await;
            })+
        }

        $crate::database::on_every_server! { $($test),+ }
    };
}
pub(crate) use on_every_database;

/// The same for what a file can't show.
macro_rules! on_every_server {
    ($($test:ident),+ $(,)?) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs the server at TOKEN_TEST_POSTGRES_URL"]
            async fn $test() {
                super::$test(&$crate::database::Database::postgres().await).await;
            })+
        }

        mod mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs the server at TOKEN_TEST_MYSQL_URL"]
            async fn $test() {
                super::$test(&$crate::database::Database::mysql().await).await;
            })+
        }
    };
}
pub(crate) use on_every_server;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    MySql,
}

/// A new, empty database: a file in a folder of its own, or one on a server. Gone when this is dropped.
pub(crate) struct Database {
    kind: Kind,
    url: String,
    /// Held until the file is not needed any more.
    _folder: Option<tempfile::TempDir>,
    server: Option<Server>,
}

/// Where a database was made, and under which name.
struct Server {
    url: String,
    name: String,
}

impl Database {
    pub(crate) async fn new(kind: Kind) -> Database {
        match kind {
            Kind::Sqlite => Database::sqlite().await,
            Kind::Postgres => Database::postgres().await,
            Kind::MySql => Database::mysql().await,
        }
    }

    #[expect(clippy::unused_async, reason = "made as the others are")]
    pub(crate) async fn sqlite() -> Database {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("tokens.db").display());
        Database { kind: Kind::Sqlite, url, _folder: Some(folder), server: None }
    }

    /// On PostgreSQL 15 or later. Sorted by a language, as a host's database may be: the store's tables must not be.
    pub(crate) async fn postgres() -> Database {
        let options = "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'";
        Database::on_server(Kind::Postgres, "TOKEN_TEST_POSTGRES_URL", options).await
    }

    /// On MySQL or MariaDB. With a character set that can't hold every text, as a host's database may have: the
    /// store's tables must have their own.
    pub(crate) async fn mysql() -> Database {
        let options = "CHARACTER SET latin1 COLLATE latin1_swedish_ci";
        Database::on_server(Kind::MySql, "TOKEN_TEST_MYSQL_URL", options).await
    }

    async fn on_server(kind: Kind, variable: &str, options: &str) -> Database {
        let Ok(url) = std::env::var(variable) else {
            panic!("set {variable} to the address of a server for tests, or run scripts/test, which starts one");
        };
        let name = format!("token_test_{:016x}", RandomState::new().hash_one(std::process::id()));
        run(&url, &format!("CREATE DATABASE {name} {options}")).await;
        Database { kind, url: with_database(&url, &name), _folder: None, server: Some(Server { url, name }) }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Its address, as [`SqlStore::open`] takes it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A store on it. Each has a pool of its own, as another process would have.
    pub(crate) async fn store(&self) -> SqlStore {
        SqlStore::open(&self.url).await.unwrap()
    }

    /// A pool of a host's.
    pub(crate) async fn pool(&self, size: u32, wait: Duration) -> Pool {
        self.pool_at(&self.url, size, wait).await
    }

    /// The same, by another address of this database.
    pub(crate) async fn pool_at(&self, url: &str, size: u32, wait: Duration) -> Pool {
        match self.kind {
            Kind::Sqlite => {
                let options: SqliteConnectOptions = url.parse().unwrap();
                let pool = SqlitePoolOptions::new().max_connections(size).acquire_timeout(wait);
                Pool::Sqlite(pool.connect_with(options.create_if_missing(true)).await.unwrap())
            }
            Kind::Postgres => {
                let pool = PgPoolOptions::new().max_connections(size).acquire_timeout(wait);
                Pool::Postgres(pool.connect(url).await.unwrap())
            }
            Kind::MySql => {
                let pool = MySqlPoolOptions::new().max_connections(size).acquire_timeout(wait);
                Pool::MySql(pool.connect(url).await.unwrap())
            }
        }
    }

    /// The names of all its tables.
    pub(crate) async fn tables(&self) -> Vec<String> {
        let sql = match self.kind {
            Kind::Sqlite => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
            }
            Kind::Postgres => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
            Kind::MySql => "SELECT table_name FROM information_schema.tables WHERE table_schema = database()",
        };
        let mut connection = connect(&self.url).await;
        let tables = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        tables
    }

    /// Runs SQL by hand, past the store.
    pub(crate) async fn raw(&self, sql: &str) {
        run(&self.url, sql).await;
    }

    /// The number that SQL by hand answers.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let mut connection = connect(&self.url).await;
        let count = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        count
    }

    /// Runs SQL that breaks what the tables' constraints demand, by one who may.
    pub(crate) async fn raw_unchecked(&self, sql: &str) {
        let unchecked = match self.kind {
            Kind::Sqlite => "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON",
            // Foreign keys are triggers there, which a replica does not run. Checks can only be dropped.
            Kind::Postgres => {
                "SET session_replication_role = replica;
                 DO $$ DECLARE made record; BEGIN
                     FOR made IN SELECT conrelid::regclass AS made_on, conname FROM pg_constraint
                         WHERE contype = 'c' AND connamespace = 'public'::regnamespace
                     LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', made.made_on, made.conname); END LOOP;
                 END $$"
            }
            Kind::MySql => "SET foreign_key_checks = 0, check_constraint_checks = 0",
        };
        self.raw(&format!("{unchecked}; {sql}")).await;
    }

    /// Ends every connection to it, as an operator or a failover does.
    pub(crate) async fn disconnect_all(&self) {
        let Server { url, name } = self.server.as_ref().expect("a database with a server");
        disconnect_all(self.kind, url, name).await;
    }

    /// Waits until someone waits for a lock in it.
    pub(crate) async fn wait_for_a_lock(&self) {
        let Server { url, name } = self.server.as_ref().expect("a database with a server");
        let waiting = match self.kind {
            Kind::Postgres => "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'",
            _ => {
                "SELECT count(*) FROM information_schema.innodb_trx t \
                 JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
                 WHERE p.db = ? AND t.trx_state = 'LOCK WAIT'"
            }
        };
        let mut connection = connect(url).await;
        while sqlx::query_scalar::<_, i64>(waiting).bind(name).fetch_one(&mut connection).await.unwrap() == 0 {
            // InnoDB makes this table anew only when nobody has asked for a tenth of a second.
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        }
        connection.close().await.unwrap();
    }

    /// A connection past the store, which makes the file if the database is one.
    pub(crate) async fn connect_or_make(&self) -> AnyConnection {
        connect(&if self.kind == Kind::Sqlite { format!("{}?mode=rwc", self.url) } else { self.url.clone() }).await
    }

    /// A time, in microseconds since 1970, as it is written in SQL.
    pub(crate) fn time(&self, micros: i64) -> String {
        match self.kind {
            Kind::Sqlite => micros.to_string(),
            Kind::Postgres => format!("timestamptz 'epoch' + {micros} * INTERVAL '1 microsecond'"),
            Kind::MySql => format!("timestamp('1970-01-01') + INTERVAL {micros} MICROSECOND"),
        }
    }

    /// These bytes as they are written in SQL.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> String {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.kind {
            Kind::Sqlite | Kind::MySql => format!("x'{hex}'"),
            Kind::Postgres => format!("'\\x{hex}'"),
        }
    }
}

/// A pool of a host's, of any kind.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

impl Pool {
    pub(crate) async fn store(&self) -> SqlStore {
        match self.clone() {
            Pool::Sqlite(pool) => SqlStore::from_sqlite_pool(pool).await.unwrap(),
            Pool::Postgres(pool) => SqlStore::from_postgres_pool(pool).await.unwrap(),
            Pool::MySql(pool) => SqlStore::from_mysql_pool(pool).await.unwrap(),
        }
    }

    /// One of its connections, which is not free until this is dropped.
    pub(crate) async fn take(&self) -> Box<dyn Any> {
        match self {
            Pool::Sqlite(pool) => Box::new(pool.acquire().await.unwrap()),
            Pool::Postgres(pool) => Box::new(pool.acquire().await.unwrap()),
            Pool::MySql(pool) => Box::new(pool.acquire().await.unwrap()),
        }
    }

    pub(crate) async fn run(&self, sql: &'static str) {
        match self {
            Pool::Sqlite(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
            Pool::Postgres(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
            Pool::MySql(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
            Pool::MySql(pool) => pool.close().await,
        }
    }
}

/// What its name is, as the store prints it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
            Kind::MySql => "mysql",
        })
    }
}

impl Drop for Database {
    /// Whatever still holds a connection, a failed test's pool among them, loses it.
    fn drop(&mut self) {
        let Some(Server { url, name }) = self.server.take() else { return };
        let kind = self.kind;
        // On a thread of its own, since the test's runtime can't wait for anything here.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // MySQL waits for transactions that are under way in a database, however long they take, before it drops it.
                disconnect_all(kind, &url, &name).await;
                let force = if kind == Kind::Postgres { "WITH (FORCE)" } else { "" };
                run(&url, &format!("DROP DATABASE {name} {force}")).await;
            });
        });
        let dropped = dropped.join();
        // A test that fails already says more than what came of that.
        assert!(dropped.is_ok() || std::thread::panicking(), "the test's database could not be dropped");
    }
}

async fn disconnect_all(kind: Kind, server: &str, name: &str) {
    let (others, end) = match kind {
        Kind::Postgres => (
            "SELECT CAST(pid AS bigint) FROM pg_stat_activity WHERE datname = $1",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ",
        ),
        _ => ("SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE db = ?", "KILL CONNECTION "),
    };
    let mut connection = connect(server).await;
    let ids: Vec<i64> = sqlx::query_scalar(others).bind(name).fetch_all(&mut connection).await.unwrap();
    for id in ids {
        // One that has ended by itself is as good.
        drop(sqlx::raw_sql(AssertSqlSafe(format!("{end}{id}"))).execute(&mut connection).await);
    }
    connection.close().await.unwrap();
}

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    // The address may hold a password.
    AnyConnection::connect(url).await.unwrap_or_else(|error| panic!("the database for tests does not answer: {error}"))
}

pub(crate) async fn run(url: &str, sql: &str) {
    let mut connection = connect(url).await;
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.unwrap();
}

/// The address of a database on the same server.
pub(crate) fn with_database(server: &str, name: &str) -> String {
    let (address, options) = server.split_once('?').unwrap_or((server, ""));
    let host = address.find("://").expect("an address with ://") + 3;
    let end = address[host..].find('/').map_or(address.len(), |slash| host + slash);
    let mark = if options.is_empty() { "" } else { "?" };
    format!("{}/{name}{mark}{options}", &address[..end])
}
