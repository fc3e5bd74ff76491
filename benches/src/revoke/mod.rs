//! `revoke`: four quickstarts on one PostgreSQL. How soon three of them refuse what was revoked on the fourth; and how late at most, when
//! nobody can tell them.

mod bound;
mod fleet;
mod latency;
mod proxy;

use crate::Trouble;
use crate::database::Databases;

/// Measures both, and prints them.
///
/// # Errors
/// If something could not be measured, or a token was accepted after the bound.
pub fn run(databases: &Databases, revokes: usize) -> Result<(), Trouble> {
    let program = fleet::quickstart()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    latency::run(&runtime, databases, &program, revokes)?;
    bound::run(&runtime, databases, &program)
}
