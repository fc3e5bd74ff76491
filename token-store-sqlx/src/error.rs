//! What can go wrong, sorted by kind. Nothing here, or above, reads the text of an error.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use sqlx::error::{DatabaseError, ErrorKind};
use token_core::{Fault, StoreError};

/// A store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address of the database can't be read.
    #[error(
        "not the address of a token database; write sqlite://path/to/tokens.db, postgres://user@host/database or \
         mysql://user@host/database, of a database whose feature is on"
    )]
    Url(#[source] sqlx::Error),
    /// The file of the database can't be made.
    #[error("can't create {}; check that its directory exists and may be written to", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The tables in the database are not those that this version makes or can bring up to date.
    #[error("the tables of the token store can't be brought up to date; was the database changed by hand?")]
    Schema(#[source] sqlx::migrate::MigrateError),
    /// Connections of the host's pool don't commit by themselves: a read would begin a transaction that nobody ends, and go on
    /// seeing what was there then.
    #[error("connections of the pool have autocommit off; set autocommit = 1 on them")]
    NoAutocommit,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A column holds what it should not.
#[derive(Debug, thiserror::Error)]
#[error("column {column} can't be read")]
pub(crate) struct BadColumn {
    pub(crate) column: &'static str,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl BadColumn {
    pub(crate) fn new(column: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> BadColumn {
        BadColumn { column, source: source.into() }
    }
}

impl From<BadColumn> for StoreError {
    fn from(error: BadColumn) -> StoreError {
        StoreError::new(Fault::Corrupt, error)
    }
}

/// What came of a statement that failed. Logged by its kind only: a database quotes rows in its errors.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A row of this key is there already.
    Duplicate(sqlx::Error),
    /// The connection broke while nothing was committed. Another may do.
    Broken(StoreError),
    /// Anything else.
    Fault(StoreError),
}

impl Failure {
    /// Sorts an error; what is particular to a database its dialect knows.
    pub(crate) fn of(error: sqlx::Error, fault: fn(&dyn DatabaseError) -> Fault) -> Failure {
        let fault = match &error {
            sqlx::Error::Database(database) if database.kind() == ErrorKind::UniqueViolation => {
                return Failure::Duplicate(error);
            }
            sqlx::Error::Database(database) => fault(&**database),
            sqlx::Error::PoolTimedOut => Fault::PoolExhausted,
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Fault::ConnectionLost
            }
            // What was read is not what this database says: its stream of answers broke off.
            sqlx::Error::Protocol(_) => Fault::ConnectionLost,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Fault::Corrupt,
            _ => Fault::Other,
        };
        match fault {
            Fault::ConnectionLost => Failure::Broken(StoreError::new(fault, error)),
            _ => Failure::Fault(StoreError::new(fault, error)),
        }
    }

    /// Whether the connection on which this was met is of no more use.
    pub(crate) fn ends_connection(&self) -> bool {
        match self {
            Failure::Duplicate(_) => false,
            Failure::Broken(_) => true,
            // One to a server that takes no writes any more would go on leading there, when its name has long led elsewhere.
            Failure::Fault(error) => matches!(error.fault(), Fault::TimedOut | Fault::ReadOnly),
        }
    }

    /// Whether the connections that were made before this was met are likely of no more use either: the server went, or its role did.
    pub(crate) fn ends_others(&self) -> bool {
        match self {
            Failure::Duplicate(_) => false,
            Failure::Broken(_) => true,
            Failure::Fault(error) => error.fault() == Fault::ReadOnly,
        }
    }

    /// Whether the same work, done again from its start, may well succeed.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Failure::Duplicate(_) | Failure::Broken(_) => true,
            Failure::Fault(error) => matches!(error.fault(), Fault::Deadlock | Fault::Serialization),
        }
    }

    /// Whether others hold a lock that was not had in time.
    pub(crate) fn is_of_a_lock(&self) -> bool {
        matches!(self, Failure::Fault(error) if error.fault() == Fault::Deadlock)
    }

    /// The same failure, met while a commit was under way: unless the database said that it did not commit, it may have.
    pub(crate) fn during_commit(self) -> Failure {
        match self {
            Failure::Fault(error)
                if matches!(
                    error.fault(),
                    Fault::Deadlock | Fault::Serialization | Fault::DiskFull | Fault::ReadOnly
                ) =>
            {
                Failure::Fault(error)
            }
            Failure::Fault(error) | Failure::Broken(error) => {
                Failure::Fault(StoreError::new(Fault::OutcomeUnknown, error))
            }
            duplicate @ Failure::Duplicate(_) => duplicate,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Duplicate(_) => f.write_str("a row of this key is there already"),
            Failure::Broken(error) | Failure::Fault(error) => error.fmt(f),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Fault(error)
    }
}

impl From<BadColumn> for Failure {
    fn from(error: BadColumn) -> Failure {
        Failure::Fault(error.into())
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> StoreError {
        match failure {
            Failure::Fault(error) | Failure::Broken(error) => error,
            Failure::Duplicate(error) => StoreError::new(Fault::Serialization, error),
        }
    }
}
