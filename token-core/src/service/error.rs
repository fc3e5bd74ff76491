//! Why something can't be done to a token.

use crate::change::ChangeId;
use crate::expiry::ExpiryError;
use crate::policy::PolicyError;
use crate::random::RandomError;
use crate::rotation::RotationError;
use crate::scope::ScopeName;
use crate::seal::BrokenSeal;
use crate::store::StoreError;
use crate::token::TokenState;

/// Why a management action was refused or failed. Nothing was changed, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// There is no such token, or it is someone else's: the two are not told apart.
    #[error("there is no such token")]
    NotFound,
    /// The actor may look and not change, or asks for what only an admin may.
    #[error("you are not allowed to do this")]
    Forbidden,
    /// A new token names no owner, and the actor is not one.
    #[error("say whom the token is for: an admin has no tokens of its own")]
    OwnerNotNamed,
    /// The host does not know the owner, or has deactivated it.
    #[error("there is no such owner, or it is deactivated")]
    OwnerUnknown,
    /// The owner's tokens are suspended.
    #[error("the owner's tokens are suspended; resume them first")]
    OwnerSuspended,
    /// A scope is not in the catalog.
    #[error("the service has no scope {}", list(.0))]
    UnknownScopes(Vec<ScopeName>),
    /// The token would have more rights than the actor, or than its owner's ceiling.
    #[error("a token can't have more rights than you and its owner have; you lack {}", list(.0))]
    ExceedsRights(Vec<ScopeName>),
    /// The expiry is not allowed.
    #[error(transparent)]
    Expiry(#[from] ExpiryError),
    /// The rotation is not allowed.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The policy contradicts itself.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The token is revoked or expired; only revoking it is left.
    #[error("the token is {}; make a new one", state_word(*.0))]
    NotLive(TokenState),
    /// The owner has as many live tokens as the policy allows.
    #[error("the owner has {cap} live tokens, the most that the policy allows; revoke one first")]
    CapReached {
        /// How many are allowed.
        cap: u32,
    },
    /// The token has changed since the revision that the actor named.
    #[error("the token has changed since you looked; look again")]
    StaleRevision {
        /// The revision it is at.
        current: u64,
    },
    /// The token is changed by a value of its own that a rotation has replaced.
    #[error("this value of the token was replaced; use the current one, or have the token's owner rotate it")]
    Superseded,
    /// The change id was used for another request.
    #[error("this change id was used for another request; use a new one for a new change")]
    ChangeIdReused,
    /// Others kept changing the same thing, or the random source repeats itself.
    #[error("others kept changing the same token; try again")]
    Contention,
    /// The row was changed behind the application's back.
    #[error(transparent)]
    BrokenSeal(#[from] BrokenSeal),
    /// The history of a row says that it was revoked, or suspended, and the row does not: it is not vouched for. Revoke, or suspend.
    #[error("the history says that this was revoked or suspended, and the row does not; revoke or suspend it instead")]
    HistoryDisagrees,
    /// A row whose seal is fine can't be resealed.
    #[error("the seal of this row is in order; there is nothing to repair")]
    SealInOrder,
    /// The host could not say what an owner may do.
    #[error("what the owner may do can't be learned at the moment; try again")]
    CeilingUnavailable,
    /// The store failed, and nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store failed while it committed: the change may have been made. Ask for its outcome by its id, or make it again under
    /// this id.
    #[error("it is not known whether the change was made; ask for it, or make it again, under the same change id")]
    OutcomeUnknown {
        /// The id of the change.
        change: ChangeId,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// No random bytes could be had.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The request could not be written down for the log.
    #[error("the change can't be written down for the log")]
    Encoding(#[from] serde_json::Error),
}

fn list(scopes: &[ScopeName]) -> String {
    scopes.iter().map(ScopeName::as_str).collect::<Vec<_>>().join(", ")
}

fn state_word(state: TokenState) -> &'static str {
    match state {
        TokenState::Live => "live",
        TokenState::Expired => "expired",
        TokenState::Revoked => "revoked",
    }
}
