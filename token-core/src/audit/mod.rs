//! Where events go onward: a log, a SIEM, mail.

mod ndjson;
mod tracing_sink;

use std::error::Error;

use async_trait::async_trait;

use crate::event::Event;

pub use ndjson::NdjsonSink;
pub use tracing_sink::TracingSink;

/// Receives every event after its change was committed: at least once, and in order for each subject.
///
/// A slow or failing sink delays later events of the same subject and nothing else; changes never wait for it. So events of several
/// subjects are delivered at once, 6 at most.
#[async_trait]
pub trait AuditSink: Send + Sync + 'static {
    /// Takes one event. `Ok` promises that it is kept; after an error, or without an answer within 10 seconds, it is delivered again later.
    async fn deliver(&self, event: &Event) -> Result<(), Box<dyn Error + Send + Sync>>;
}
