//! The statements that a pool sends, as sqlx logs them.

use std::str::FromStr as _;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions, MySqlPool, PgPool, SqlitePool};
use tokio::sync::MutexGuard;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::database::{Database, Kind, Pool};

static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A pool of one connection, all of whose statements are told.
pub(crate) struct Told {
    pub(crate) pool: Pool,
    /// The log is the process's: one at a time.
    _alone: MutexGuard<'static, ()>,
}

impl Told {
    pub(crate) async fn on(db: &Database) -> Told {
        static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        static LISTENING: OnceLock<()> = OnceLock::new();
        LISTENING.get_or_init(|| {
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Listening)).unwrap();
        });
        let alone = ALONE.lock().await;
        let pool = match db.kind() {
            Kind::Sqlite => {
                let options = SqliteConnectOptions::from_str(db.url()).unwrap().create_if_missing(true);
                let pool: SqlitePool = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(told(options));
                Pool::Sqlite(pool)
            }
            Kind::Postgres => {
                let options = PgConnectOptions::from_str(db.url()).unwrap();
                let pool: PgPool = PgPoolOptions::new().max_connections(1).connect_lazy_with(told(options));
                Pool::Postgres(pool)
            }
            Kind::MySql => {
                let options = MySqlConnectOptions::from_str(db.url()).unwrap();
                let pool: MySqlPool = MySqlPoolOptions::new().max_connections(1).connect_lazy_with(told(options));
                Pool::MySql(pool)
            }
        };
        Told { pool, _alone: alone }
    }

    /// What was sent since this was last asked, in order.
    #[expect(clippy::unused_self, reason = "only who has the log to itself may read it")]
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut LOGGED.lock().unwrap())
    }
}

/// Other pools log at other levels.
const LEVEL: Level = Level::TRACE;

fn told<O: ConnectOptions>(options: O) -> O {
    options
        .log_statements("trace".parse().unwrap())
        .log_slow_statements("trace".parse().unwrap(), Duration::from_secs(3600))
}

struct Listening;

impl<S: Subscriber> Layer<S> for Listening {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "sqlx::query" && *metadata.level() == LEVEL
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut sql = Statement::default();
        event.record(&mut sql);
        // Short ones are their own summary.
        let Statement { summary, whole } = sql;
        LOGGED.lock().unwrap().push(if whole.trim().is_empty() { summary } else { whole.trim().to_owned() });
    }
}

#[derive(Default)]
struct Statement {
    summary: String,
    whole: String,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
