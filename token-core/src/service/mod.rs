//! The service: the one way to verify and to manage tokens.

mod background;
mod builder;
mod error;
mod keys;
mod manage;
mod plan;
mod read;
mod verify;

use std::fmt;
use std::sync::Arc;

use crate::answer::Realm;
use crate::bearer::Sources;
use crate::ceiling::Ceilings;
use crate::clock::{Clock, Time};
use crate::format::TokenFormat;
use crate::hook::caught;
use crate::keyring::Keyring;
use crate::policy::{Policy, PolicyRow};
use crate::random::Random;
use crate::scope::{Catalog, Rights};
use crate::seal::Sealed;
use crate::store::{Fault, StoreError, TokenStore};
use crate::tally::Tally;
use crate::text::OwnerId;

pub use background::Background;
pub use builder::{BuildError, Builder, NoKeyring};
pub use error::ManageError;
pub use manage::{Manage, Minted};
pub use read::{Listed, ListedOwner, Rehearsal, TokenList};
pub use verify::{Caller, Verified};

/// API tokens, as a service embeds them. Cheap to clone; all clones are one service.
///
/// Made once, by [`Tokens::builder`]. Requests go through [`Tokens::authenticate`] and [`Tokens::require`], which the
/// framework adapters call; people and programs manage tokens through [`Tokens::manage`].
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    store: Arc<dyn TokenStore>,
    keyring: Keyring,
    format: TokenFormat,
    catalog: Arc<Catalog>,
    ceilings: Arc<dyn Ceilings>,
    clock: Arc<dyn Clock>,
    random: Random,
    tally: Tally,
    /// Held while usage is stored, so that a flush at shutdown waits for one that is under way.
    flushing: async_lock::Mutex<()>,
    realm: Realm,
    sources: Sources,
}

/// Where the policy is kept among the facts.
const POLICY_KEY: &str = "policy";

impl Tokens {
    /// The form of this service's token text.
    #[must_use]
    pub fn format(&self) -> &TokenFormat {
        &self.0.format
    }

    /// The scopes of this service.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// The realm named in challenges.
    #[must_use]
    pub fn realm(&self) -> &Realm {
        &self.0.realm
    }

    /// Where credentials are accepted.
    #[must_use]
    pub fn sources(&self) -> Sources {
        self.0.sources
    }

    /// Whether both are one service, as all clones of one are.
    #[must_use]
    pub fn is_same(&self, other: &Tokens) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The present time, by the service's clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.clock.now()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("prefix", &self.0.format.prefix())
            .field("keyring", &self.0.keyring)
            .field("scopes", &self.0.catalog.scopes().len())
            .finish_non_exhaustive()
    }
}

/// The host could not say what an owner may do.
#[derive(Debug)]
struct CeilingUnavailable;

impl Inner {
    /// What the owner may do at present; `None` if the host does not know it or has deactivated it.
    async fn ceiling(&self, owner: &OwnerId) -> Result<Option<Rights>, CeilingUnavailable> {
        match caught(self.ceilings.ceiling(owner)).await {
            Ok(Ok(ceiling)) => Ok(ceiling.map(|ceiling| Rights::under(&ceiling, &self.catalog))),
            Ok(Err(error)) => {
                tracing::error!(%owner, error = %error, "the host could not say what an owner may do");
                Err(CeilingUnavailable)
            }
            Err(panicked) => {
                tracing::error!(%owner, error = %panicked, "the host could not say what an owner may do");
                Err(CeilingUnavailable)
            }
        }
    }

    /// The policy as it is kept, its seal not checked yet, and the bytes it was read from, for a compare-and-set.
    async fn policy(&self) -> Result<(Sealed<PolicyRow>, Vec<u8>), StoreError> {
        // Written when the service is built, so it is there.
        let stored = self.store.meta(POLICY_KEY).await?.ok_or(Fault::Corrupt)?;
        let row = Sealed::from_bytes(&stored).map_err(|error| StoreError::new(Fault::Corrupt, error))?;
        Ok((row, stored))
    }

    async fn policy_in_force(&self) -> Result<Policy, ManageError> {
        let (row, _) = self.policy().await?;
        Ok(row.open(&self.keyring)?.policy)
    }
}
