//! `ratios`: every row of the table, measured beside its reference.

mod cold;
mod flush;
pub(crate) mod hot;
mod list;
pub(crate) mod many;
pub mod memory;
mod naive;
mod nothing;
mod peer;
mod reject;
mod render;
pub(crate) mod size;
mod storm;
pub(crate) mod threads;
pub(crate) mod web;

use tokio::runtime::{Builder, Runtime};

use crate::Trouble;
use crate::database::Databases;
use crate::table::{Row, head, say};

/// What the rows are measured with.
#[derive(Debug)]
pub struct Setting {
    /// The beginnings of the names of rows that are asked for; all if there are none.
    pub names: Vec<String>,
    /// How many tokens the larger database of `scale.store` has.
    pub stored: u64,
    /// Where databases are.
    pub databases: Databases,
}

impl Setting {
    fn asks_for(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|asked| name.starts_with(asked.as_str()))
    }
}

type Measure = fn(&mut Setting) -> Result<Vec<Row>, Trouble>;

/// What is measured together, under which names.
const PARTS: [(&[&str], Measure); 20] = [
    (&["verify.hot"], hot::measure),
    (&["verify.hot.allocs"], nothing::measure),
    (&["verify.peer"], peer::measure),
    (&["verify.1e3"], many::thousand),
    (&["verify.1e6"], many::million),
    (&["verify.threads", "verify.threads.hot"], threads::measure),
    (&["reject.checksum"], reject::measure),
    (&["memory.token"], memory::measure),
    (&["http.axum", "http.axum.1k", "http.actix", "http.actix.1k"], web::throughput),
    (&["http.p99"], web::latency),
    (&["naive.sqlite"], naive::sqlite),
    (&["naive.postgres"], naive::postgres),
    (&["cold.sqlite"], cold::sqlite),
    (&["cold.postgres"], cold::postgres),
    (&["cold.mariadb"], cold::mariadb),
    (&["cold.storm"], storm::measure),
    (&["flush.sqlite", "flush.postgres"], flush::measure),
    (&["scale.list"], list::measure),
    (&["scale.store"], size::measure),
    (&["screen.render"], render::measure),
];

/// Measures and prints what is asked for.
///
/// # Errors
/// After all rows, if one could not be measured.
pub fn run(setting: &mut Setting) -> Result<(), Trouble> {
    head();
    let mut failed = Vec::new();
    for (names, measure) in PARTS {
        if !names.iter().any(|name| setting.asks_for(name)) {
            continue;
        }
        match measure(setting) {
            Ok(rows) => rows.iter().for_each(Row::print),
            Err(error) => {
                say(&format!("{:<26} not measured: {error}", names.join(", ")));
                failed.push(names.join(", "));
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("not measured: {}", failed.join("; ")).into()) }
}

/// A runtime on the thread that waits for it.
pub(crate) fn runtime() -> Result<Runtime, Trouble> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
