//! What an owner may do at present, as the host knows it.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use async_trait::async_trait;

use crate::scope::Ceiling;
use crate::text::OwnerId;

/// The host's word on its owners. Asked when a token is loaded and when one is made, edited or rotated, so that a
/// token never does more than its owner may at present, and a deactivated owner's tokens stop.
#[async_trait]
pub trait Ceilings: Send + Sync + 'static {
    /// The most that the owner may do; `None` if there is no such owner, or it is deactivated.
    ///
    /// # Errors
    /// Whatever kept the host from knowing. Requests are refused as temporarily unavailable, never allowed.
    async fn ceiling(&self, owner: &OwnerId) -> Result<Option<Ceiling>, Box<dyn Error + Send + Sync>>;
}

/// Every owner may do everything: for hosts whose owners are never deactivated and have no roles.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCeilings;

#[async_trait]
impl Ceilings for NoCeilings {
    async fn ceiling(&self, _owner: &OwnerId) -> Result<Option<Ceiling>, Box<dyn Error + Send + Sync>> {
        Ok(Some(Ceiling::Everything))
    }
}

/// A host's hook panicked.
#[derive(Debug, thiserror::Error)]
#[error("a hook of the host panicked")]
pub(crate) struct HookPanicked;

/// Runs a hook of the host; a panic in it is an error, not the end of the task.
pub(crate) async fn caught<T>(hook: impl Future<Output = T>) -> Result<T, HookPanicked> {
    let mut hook = pin!(hook);
    // The future is never polled again after a panic, so nothing half-changed is seen.
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| hook.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => std::task::Poll::Ready(Err(HookPanicked)),
    })
    .await
}
