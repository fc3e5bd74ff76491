//! Events as log lines.

use std::error::Error;

use async_trait::async_trait;

use crate::event::Event;

use super::AuditSink;

/// Logs every event through `tracing`, at level `INFO` under the target `token_core::audit`. Whoever collects the log keeps it: a line that
/// a subscriber drops is not noticed here.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingSink;

#[async_trait]
impl AuditSink for TracingSink {
    async fn deliver(&self, event: &Event) -> Result<(), Box<dyn Error + Send + Sync>> {
        let owner = event.owner.as_ref().map(|owner| owner.as_str());
        tracing::info!(
            target: "token_core::audit",
            subject = %event.subject,
            seq = event.seq,
            owner,
            at = %event.at,
            actor = %event.actor,
            kind = event.detail()?.kind(),
            "token event"
        );
        Ok(())
    }
}
