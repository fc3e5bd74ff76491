//! Making the tables, and bringing them up to date.

use sqlx::migrate::{MigrateError, Migration};

use super::connection::Link;
use crate::error::Failure;
use crate::value::values;

/// The table of what was migrated. Not the usual name, which is the host's.
pub(super) const MIGRATIONS: &str = "api_tokens_migrations";

/// The migrations that were not done yet. Those of a later version are none of its business: it may have added to
/// the tables while this one still runs beside it.
pub(super) async fn pending<C: Link>(conn: &mut C) -> Result<Vec<&'static Migration>, MigrateError> {
    let tables = conn.query(C::TABLES.into(), &values![MIGRATIONS]).await.map_err(MigrateError::Execute)?;
    let count = tables.first().map(|row| row.need_int("tables")).transpose();
    let made = count.map_err(|error| MigrateError::Source(Box::new(error)))?.is_some_and(|tables| tables > 0);
    let (applied, cut_off) = if made {
        (conn.list_applied_migrations(MIGRATIONS).await?, conn.dirty_version(MIGRATIONS).await?)
    } else {
        (Vec::new(), None)
    };
    let mut pending = Vec::new();
    for migration in C::MIGRATIONS.iter() {
        let version = Some(migration.version).filter(|version| Some(*version) != cut_off);
        match applied.iter().find(|applied| Some(applied.version) == version) {
            None => pending.push(migration),
            Some(applied) if applied.checksum != migration.checksum => {
                return Err(MigrateError::VersionMismatch(migration.version));
            }
            Some(_) => {}
        }
    }
    Ok(pending)
}

/// Does what is pending, within the transaction of its caller, who keeps others from doing the same: sqlx's own migrator takes no
/// lock on SQLite, and one that outlives transactions on PostgreSQL.
pub(super) async fn bring_up_to_date<C: Link>(conn: &mut C) -> Result<(), MigrateError> {
    conn.ensure_migrations_table(MIGRATIONS).await?;
    let cut_off = "DELETE FROM api_tokens_migrations WHERE success = FALSE";
    conn.execute(cut_off.into(), &[]).await.map_err(MigrateError::Execute)?;
    for migration in pending(conn).await? {
        conn.apply(MIGRATIONS, &Migration { no_tx: true, ..migration.clone() }).await?;
    }
    Ok(())
}

/// Tells the faults of the database, which may pass, from tables that are not what they should be.
pub(super) fn sorted<C: Link>(done: Result<(), MigrateError>) -> Result<Result<(), MigrateError>, Failure> {
    match done {
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => Err(C::failure(error)),
        done => Ok(done),
    }
}
