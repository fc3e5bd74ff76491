//! What a dialect does on a connection of sqlx.

use async_trait::async_trait;
use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate, Migrator};
use token_core::Fault;

use super::{Rows, Sql, Tally};
use crate::error::Failure;
use crate::value::Value;

/// Statements up to this length stay prepared. Longer ones come in too many lengths to be worth the room.
pub(super) const KEPT_SQL: usize = 4096;

/// A connection to one kind of database: how arguments are bound to it, rows read from it, and its errors sorted.
#[async_trait]
pub(crate) trait Link: Migrate + Sized + Send + 'static {
    /// How to make the tables.
    const MIGRATIONS: &'static Migrator;

    /// Whether a statement whose future is dropped in the middle leaves the connection as it should be.
    const OUTLIVES_DROPS: bool;

    /// Asks, as `tables`, how many tables there are of the one argument's name.
    const TABLES: &'static str;

    /// What an error of this database is.
    fn fault(error: &dyn DatabaseError) -> Fault;

    /// Sorts an error.
    fn failure(error: sqlx::Error) -> Failure {
        Failure::of(error, Self::fault)
    }

    async fn execute(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<u64, sqlx::Error>;

    async fn query(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<Rows, sqlx::Error>;

    /// Runs statements without arguments or an answer, such as those that begin and end transactions.
    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error>;

    async fn tally(&mut self, kind: Tally, rows: &[[Value<'_>; 4]]) -> Result<(), sqlx::Error>;
}
