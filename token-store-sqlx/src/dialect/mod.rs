//! What the store asks of a database. One file for each that is supported; nothing outside them knows which it is.
//!
//! To add one, write its file, its migrations, and a constructor of [`SqlStore`](crate::SqlStore). Statements mark
//! their arguments with `?`, in order; a dialect whose database numbers them does so.

mod sqlite;

use std::borrow::Cow;

use async_trait::async_trait;
use token_core::{Time, TokenId};

use crate::error::{BadColumn, Failure};
use crate::value::Value;

pub(crate) use sqlite::Sqlite;

/// The text of a statement. Never holds a value of a caller: those are arguments.
pub(crate) type Sql = Cow<'static, str>;

/// The rows that a statement answered.
pub(crate) type Rows = Vec<Box<dyn Row>>;

/// A database, reached through its pools.
#[async_trait]
pub(crate) trait Dialect: Send + Sync + 'static {
    /// Its name, for logs.
    fn name(&self) -> &'static str;

    /// Asks one statement, outside a transaction.
    async fn query(&self, sql: Sql, values: &[Value<'_>]) -> Result<Rows, Failure>;

    /// Starts a transaction that may write. Two that write the same rows come one after the other, or one fails.
    async fn begin(&self) -> Result<Box<dyn Session>, Failure>;

    /// A condition: the column holds the text of one argument, byte for byte.
    fn holds(&self, column: &str) -> String;

    /// Writes last uses, rows of (token, generation, at, address), where the token exists; they only move forward.
    fn upsert_last(&self, rows: usize) -> String;

    /// Adds to hourly counts, rows of (token, hour, generation, count), where the token exists.
    fn add_hours(&self, rows: usize) -> String;

    /// Adds to refusals, rows of (token, hour, reason, count), where the token exists.
    fn add_refusals(&self, rows: usize) -> String;

    /// Replaces digests, rows of (selector, key before, key, digest), where the stored one is under the key before.
    fn redigest(&self, rows: usize) -> String;
}

/// An open transaction. Dropped without an end, it is rolled back.
#[async_trait]
pub(crate) trait Session: Send {
    /// Runs a statement; answers how many rows it found to write.
    async fn execute(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<u64, Failure>;

    /// Asks a statement.
    async fn query(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<Rows, Failure>;

    /// Makes everything durable. Where the answer was lost the fault is `OutcomeUnknown`.
    async fn commit(self: Box<Self>) -> Result<(), Failure>;

    /// Forgets everything.
    async fn rollback(self: Box<Self>);
}

/// A row, read by the names of its columns. `None` is null.
pub(crate) trait Row: Send + Sync {
    fn int(&self, column: &'static str) -> Result<Option<i64>, BadColumn>;
    fn text(&self, column: &'static str) -> Result<Option<&str>, BadColumn>;
    fn bytes(&self, column: &'static str) -> Result<Option<&[u8]>, BadColumn>;
    fn time(&self, column: &'static str) -> Result<Option<Time>, BadColumn>;
    fn id(&self, column: &'static str) -> Result<Option<TokenId>, BadColumn>;
}
