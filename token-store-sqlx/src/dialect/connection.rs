//! What a dialect does on a connection of sqlx.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::{Column as _, ColumnIndex, Decode, Type};
use token_core::Fault;
#[cfg(any(feature = "sqlite", feature = "mysql"))]
use token_core::TokenId;

use super::{Row, Rows, Sql, Tally};
use crate::error::{BadColumn, Failure};
use crate::value::{Value, list};

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

    /// The first row that a statement answers, of a statement that answers one or none.
    async fn query_first(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<Option<Box<dyn Row>>, sqlx::Error> {
        self.query(sql, values).await.map(|rows| rows.into_iter().next())
    }

    /// See [`Dialect::query_keys`](super::Dialect::query_keys): as a list of arguments, unless the database has a better way.
    async fn query_keys(&mut self, select: &'static str, keys: &[&[u8]]) -> Result<Rows, sqlx::Error> {
        let (marks, values) = list(keys.iter().map(|key| Value::from(*key)));
        self.query(format!("{select} IN ({marks})").into(), &values).await
    }

    /// Runs statements without arguments or an answer, such as those that begin and end transactions.
    async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error>;

    /// Whether tallies of several kinds take less in one statement.
    const TOGETHER: bool = false;

    /// Writes tallies, the kinds in their order and the rows of each in theirs. See [`Session::tally`](super::Session::tally).
    async fn tally(&mut self, kinds: &[(Tally, &[Value<'_>])]) -> Result<(), sqlx::Error>;
}

/// A row whose columns are read by their names.
///
/// They are mostly read in the order in which they were asked for: the one behind the last that was read is compared first, and a
/// row of many columns looks none of them up.
pub(super) struct Columns<R> {
    pub(super) row: R,
    next: AtomicUsize,
}

pub(super) fn boxed<R>(row: R) -> Box<dyn Row>
where
    Columns<R>: Row + 'static,
{
    Box::new(Columns { row, next: AtomicUsize::new(0) })
}

impl<R> Columns<R>
where
    R: sqlx::Row,
    usize: ColumnIndex<R>,
    &'static str: ColumnIndex<R>,
{
    /// Where the column of a name is.
    pub(super) fn place(&self, column: &'static str) -> Result<usize, BadColumn> {
        let next = self.next.load(Ordering::Relaxed);
        let place = match self.row.columns().get(next) {
            Some(expected) if expected.name() == column => next,
            _ => column.index(&self.row).map_err(|error| BadColumn::new(column, error))?,
        };
        self.next.store(place + 1, Ordering::Relaxed);
        Ok(place)
    }

    /// What is in the column of a name.
    pub(super) fn get<'r, T>(&'r self, column: &'static str) -> Result<Option<T>, BadColumn>
    where
        T: Decode<'r, R::Database> + Type<R::Database>,
    {
        self.row.try_get(self.place(column)?).map_err(|error| BadColumn::new(column, error))
    }
}

/// The id that a database without a type for it keeps as bytes.
#[cfg(any(feature = "sqlite", feature = "mysql"))]
pub(super) fn id_of(bytes: &[u8], column: &'static str) -> Result<TokenId, BadColumn> {
    bytes.try_into().map(TokenId::from_bytes).map_err(|_| BadColumn::new(column, "not an id of 16 bytes"))
}
