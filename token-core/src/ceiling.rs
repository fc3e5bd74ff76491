//! What an owner may do at present, as the host knows it.

use std::error::Error;

use async_trait::async_trait;

use crate::scope::Ceiling;
use crate::text::OwnerId;

/// The host's word on its owners. Asked when a token has shown that it knows its secret, and when one is made, edited or rotated, so
/// that a token never does more than its owner may at present, and a deactivated owner's tokens stop.
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
