//! A database for one trial: made for it, and gone after it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

pub(crate) struct Database {
    pub(crate) url: String,
    place: Place,
}

enum Place {
    Folder { _folder: tempfile::TempDir },
    Server { admin: String, name: String },
}

impl Database {
    pub(crate) fn sqlite() -> Database {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("tokens.db").display());
        Database { url, place: Place::Folder { _folder: folder } }
    }

    pub(crate) async fn postgres() -> Database {
        Database::on_server("TOKEN_TEST_POSTGRES_URL").await
    }

    pub(crate) async fn mysql() -> Database {
        Database::on_server("TOKEN_TEST_MYSQL_URL").await
    }

    /// `variable` names a server by the address of a database on it, of a user who may create others.
    async fn on_server(variable: &str) -> Database {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let admin = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} must be the address of a server"));
        let (server, _) = admin.rsplit_once('/').unwrap();
        let name = format!("trial_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        // One of this name is of a process that is long gone.
        execute(&admin, &format!("DROP DATABASE IF EXISTS {name}")).await;
        execute(&admin, &format!("CREATE DATABASE {name}")).await;
        Database { url: format!("{server}/{name}"), place: Place::Server { name, admin } }
    }

    /// Runs SQL by hand, past the store.
    pub(crate) async fn execute(&self, sql: &str) {
        execute(&self.url, sql).await;
    }

    /// How many rows a table has, whatever the store says.
    pub(crate) async fn count(&self, table: &str) -> usize {
        let mut conn = connect(&self.url).await;
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        rows.try_into().unwrap()
    }

    /// The connections that the server has to this database, this one aside. A file has none.
    pub(crate) async fn sessions(&self) -> BTreeSet<i64> {
        let sql = if self.url.starts_with("postgres") {
            "SELECT pid::bigint FROM pg_stat_activity \
             WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        } else if self.url.starts_with("mysql") {
            "SELECT CAST(id AS SIGNED) FROM information_schema.processlist \
             WHERE db = database() AND id <> connection_id()"
        } else {
            return BTreeSet::new();
        };
        let mut conn = connect(&self.url).await;
        let sessions: Vec<i64> = sqlx::query_scalar(sql).fetch_all(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        sessions.into_iter().collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Place::Server { admin, name } = &self.place else { return };
        let force = if admin.starts_with("postgres") { " WITH (FORCE)" } else { "" };
        let (admin, sql) = (admin.clone(), format!("DROP DATABASE {name}{force}"));
        // On a thread of its own: the runtime of the test is busy with dropping this.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(&admin, &sql));
        });
        let dropped = dropped.join();
        assert!(dropped.is_ok() || std::thread::panicking(), "the database of the trial is left");
    }
}

async fn connect(url: &str) -> AnyConnection {
    install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

async fn execute(url: &str, sql: &str) {
    let mut conn = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}
