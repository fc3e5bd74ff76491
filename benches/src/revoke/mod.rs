//! `revoke`: four processes on one PostgreSQL. How soon three of them refuse what the fourth has revoked; and how late at most, when
//! nobody can tell them.

mod bound;
mod fleet;
mod latency;
mod node;
mod proxy;

pub use node::node;

use crate::Trouble;
use crate::database::Databases;

/// Measures both, and prints them.
///
/// # Errors
/// If something could not be measured.
pub fn run(databases: &Databases, revokes: usize) -> Result<(), Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    latency::run(&runtime, databases, revokes)?;
    bound::run(&runtime, databases)
}
