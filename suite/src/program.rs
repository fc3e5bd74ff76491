//! A quickstart that runs.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use sqlx::{Connection, SqliteConnection};

use crate::case::Store;

/// Killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    directory: tempfile::TempDir,
    address: SocketAddr,
    /// The text of the token that it shows at its first start.
    pub(crate) shown: String,
}

impl Program {
    /// Starts it on a free port and an empty database, and waits until it listens.
    pub(crate) fn start(quickstart: &Path) -> Program {
        Program::start_with(quickstart, &[])
    }

    pub(crate) fn start_with(quickstart: &Path, settings: &[(&str, &str)]) -> Program {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(quickstart)
            .env_remove("DATABASE_URL")
            .env("ADDRESS", "127.0.0.1:0")
            .env("DATA_DIR", directory.path())
            .env("RUST_LOG", "warn")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut after = |start: &str| {
            let line = lines.by_ref().map(Result::unwrap).find_map(|line| line.strip_prefix(start).map(str::to_owned));
            line.unwrap_or_else(|| panic!("no line that begins with {start:?}"))
        };
        let shown = after("export DEMO=");
        let address = after("listening on http://").parse().unwrap();
        // Whatever it prints later has somewhere to go.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Program { child, directory, address, shown }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes the store answer nothing but errors, or lets it answer again.
    pub(crate) fn put_store(&self, state: Store) {
        let (from, to) = match state {
            Store::Down => ("api_token_secrets", "gone"),
            Store::Up => ("gone", "api_token_secrets"),
        };
        let url = format!("sqlite://{}", self.directory.path().join("tokens.db").display());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            let rename = format!("ALTER TABLE {from} RENAME TO {to}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(rename)).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone after this.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
