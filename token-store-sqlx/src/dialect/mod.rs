//! What the store asks of a database. One file for each that is supported; nothing outside them knows which it is.
//!
//! To add one, write its file, its migrations, and a constructor of [`SqlStore`](crate::SqlStore). Statements mark
//! their arguments with `?`, in order; a dialect whose database numbers them does so.

mod connection;
#[cfg(feature = "postgres")]
mod listen;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
mod ready;
mod schema;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod server;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "postgres")]
mod tallies;
mod transaction;

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use token_core::{Time, TokenId};
use tokio::sync::Notify;

use crate::error::{BadColumn, Failure};
use crate::value::Value;

#[cfg(feature = "mysql")]
pub(crate) use mysql::MySql;
#[cfg(feature = "postgres")]
pub(crate) use postgres::Postgres;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) use server::Server;
#[cfg(feature = "sqlite")]
pub(crate) use sqlite::Sqlite;

/// The text of a statement. Never holds a value of a caller: those are arguments.
pub(crate) type Sql = Cow<'static, str>;

/// The rows that a statement answered.
pub(crate) type Rows = Vec<Box<dyn Row>>;

/// How often the log of changes is looked at where nobody tells of them.
const POLL: Duration = Duration::from_millis(50);

/// A database, reached through its pools.
#[async_trait]
pub(crate) trait Dialect: Send + Sync + 'static {
    /// Its name, for logs.
    fn name(&self) -> &'static str;

    /// Asks one statement, outside a transaction.
    async fn query(&self, sql: Sql, values: &[Value<'_>]) -> Result<Rows, Failure>;

    /// Asks one statement that answers one row or none, outside a transaction.
    async fn query_first(&self, sql: Sql, values: &[Value<'_>]) -> Result<Option<Box<dyn Row>>, Failure>;

    /// Asks for the rows in which the column that a statement ends with holds one of these keys, at least one, in one statement.
    async fn query_keys(&self, select: &'static str, keys: &[&[u8]]) -> Result<Rows, Failure>;

    /// Starts a transaction that may write. Each of its statements sees what was committed before it, and two transactions
    /// that write the same rows come one after the other, or one fails.
    async fn begin(&self) -> Result<Box<dyn Session>, Failure>;

    /// A condition: the column holds the text of one argument, byte for byte.
    fn holds(&self, column: &str) -> String;

    /// The start of the day, in UTC, of a column of times.
    fn day(&self, column: &str) -> String;

    /// The sum of a column of numbers, as a number of the same kind; null or 0 of no rows.
    fn sum(&self, column: &str) -> String;

    /// Rings the bell for every change that any process commits, for as long as it is polled. It may ring for nothing, and it
    /// ends at once where the database tells nobody.
    async fn listen(&self, bell: &Notify);

    /// How often the log of changes is looked at for what nobody told.
    fn poll(&self) -> Duration {
        POLL
    }

    /// What follows a table whose rows must be come to, and locked, by this index.
    fn by_index(&self, _index: &'static str) -> String {
        // Elsewhere rows are locked in the order that is asked for, however they were come to.
        String::new()
    }

    /// What a query ends with whose rows nobody else may write or lock until the end of the transaction.
    fn lock(&self) -> &'static str;
}

/// An open transaction. Dropped without an end, it is rolled back.
#[async_trait]
pub(crate) trait Session: Send {
    /// Runs a statement; answers how many rows it found to write.
    async fn execute(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<u64, Failure>;

    /// Asks a statement.
    async fn query(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<Rows, Failure>;

    /// Writes tallies: rows of as many values as their kind has, one behind the other, no key twice. The kinds and the rows are locked
    /// in the order that they are given in. At most a statement for each kind and thousand rows.
    async fn tally(&mut self, kinds: &[(Tally, Vec<Value<'_>>)]) -> Result<(), Failure>;

    /// Makes everything durable. Where the answer was lost the fault is `OutcomeUnknown`.
    async fn commit(self: Box<Self>) -> Result<(), Failure>;

    /// Forgets everything.
    async fn rollback(self: Box<Self>);
}

/// Kinds of tallies. Rows of tokens that do not exist are left out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tally {
    /// Last uses, (token, generation, at, address, client), which only move forward.
    LastUses,
    /// Hourly counts to add, (token, hour, generation, count).
    Hours,
    /// Refusals to add, (token, hour, reason, count).
    Refusals,
    /// Daily counts to add, (token, day, reason, count).
    Days,
    /// Sources, (token, network, first seen, last seen, its day, uses, refusals): times move apart, counts add up.
    Sources,
    /// Scopes, (token, scope, last exercised), which only move forward.
    Scopes,
    /// Calls, (token, slot, at, method, route, reason, address), which only move forward.
    Calls,
    /// Signals, (token, kind, subject, first, last, times): times move apart; kinds from 16 on keep the largest count, others add up.
    Signals,
    /// Digests, (selector, key before, key, digest), written where the stored one is under the key before.
    Digests,
}

impl Tally {
    /// How many values a row has.
    pub(crate) fn width(self) -> usize {
        match self {
            Tally::Scopes => 3,
            Tally::Hours | Tally::Refusals | Tally::Days | Tally::Digests => 4,
            Tally::LastUses => 5,
            Tally::Signals => 6,
            Tally::Sources | Tally::Calls => 7,
        }
    }
}

/// A row, read by the names of its columns. `None` is null.
pub(crate) trait Row: Send + Sync {
    fn int(&self, column: &'static str) -> Result<Option<i64>, BadColumn>;
    fn text(&self, column: &'static str) -> Result<Option<&str>, BadColumn>;
    fn bytes(&self, column: &'static str) -> Result<Option<&[u8]>, BadColumn>;
    fn time(&self, column: &'static str) -> Result<Option<Time>, BadColumn>;
    fn id(&self, column: &'static str) -> Result<Option<TokenId>, BadColumn>;
}
