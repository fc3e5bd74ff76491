//! Databases to measure on: servers that are there or are started, databases that are made on them, and rows in bulk.

mod bulk;
mod pool;
mod prepared;
mod servers;

pub use bulk::{Filled, filled, selector};
pub use pool::Pool;
pub use prepared::Prepared;
pub(crate) use servers::script;
pub use servers::{Databases, Kind};

/// Waits for a future on a runtime of its own.
fn wait<T>(future: impl Future<Output = Result<T, crate::Trouble>>) -> Result<T, crate::Trouble> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
