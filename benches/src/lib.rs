//! What verification costs. Every figure is a ratio to a reference that does the least that could do the same work, measured beside
//! it in one process: absolute times drift with the machine and with what else runs on it.

pub mod clock;
pub mod database;
pub mod http;
pub mod mac;
pub mod pairs;
pub mod processors;
pub mod ratios;
pub mod revoke;
pub mod scaling;
pub mod shelf;
pub mod subject;
pub mod table;
pub mod timing;
pub mod walk;

/// Why something could not be measured.
pub type Trouble = Box<dyn std::error::Error + Send + Sync>;
