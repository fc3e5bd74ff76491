//! Tending what is stored: hours become days, old usage is forgotten and dead tokens are purged, as the policy says.

use std::time::Duration;

use crate::clock::Time;
use crate::store::StoreError;
use crate::usage::Forget;

use super::Inner;

/// How often it is looked after.
pub(super) const TEND_EVERY: Duration = Duration::from_secs(3600);

/// Tokens, or rows of a kind, that are asked for at once; and how often in one round, so that no round takes for ever.
const BATCH: u32 = 500;
const BATCHES: u32 = 1000;

impl Inner {
    /// One round, if the last was long enough ago. Tokens with events that wait for their delivery stay, if they are to be delivered.
    pub(super) async fn tend(&self, last: &mut Option<Time>, delivers: bool) -> Result<(), StoreError> {
        let now = self.clock.now();
        if last.is_some_and(|last| now >= last && now.since(last) < TEND_EVERY) {
            return Ok(());
        }
        // A clock that can't be believed reads as the end of time, when all is old: nothing is forgotten by it.
        if Time::MAX.since(now) < TEND_EVERY {
            return Ok(());
        }
        // How long things are kept is not guessed: what is deleted does not come back.
        let Some(rules) = self.flushing.lock().await.watch.rules(self).await else { return Ok(()) };
        let kept = rules.retention;
        let before = now.saturating_sub(kept.hours).day();
        for _ in 0..BATCHES {
            if self.store.fold(before, BATCH).await? == 0 {
                break;
            }
        }
        let forget = Forget {
            days: now.saturating_sub(kept.days),
            sources: now.saturating_sub(kept.sources),
            calls: now.saturating_sub(kept.calls),
            signals: now.saturating_sub(kept.signals),
        };
        for _ in 0..BATCHES {
            if self.store.forget(&forget, BATCH).await? == 0 {
                break;
            }
        }
        if let Some(dead) = kept.dead_tokens {
            for _ in 0..BATCHES {
                let purged = self.store.purge(now.saturating_sub(dead), delivers, BATCH).await?;
                if purged == 0 {
                    break;
                }
                tracing::info!(purged, "tokens that were dead for as long as the policy keeps them were deleted");
            }
        }
        *last = Some(now);
        Ok(())
    }
}
