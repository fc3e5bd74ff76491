//! The service: the one way to verify and to manage tokens.

mod background;
mod builder;
mod deliver;
mod error;
mod follow;
mod forms;
mod keys;
mod leak;
mod load;
mod manage;
mod plan;
mod read;
mod refresh;
mod refused_use;
mod registry;
mod tend;
mod usage;
mod verify;
mod watch;

use std::fmt;
use std::sync::{Arc, Once};
use std::time::Duration;

use crate::answer::Realm;
use crate::bearer::Sources;
use crate::cache::Cache;
use crate::ceiling::Ceilings;
use crate::clock::{Clock, Time};
use crate::counters::Counters;
use crate::format::TokenFormat;
use crate::hook::caught_within;
use crate::keyring::Keyring;
use crate::loads::Loads;
use crate::policy::{Policy, PolicyRow};
use crate::random::Random;
use crate::scope::{Catalog, Rights};
use crate::seal::{BrokenSeal, Sealed};
use crate::secret::Selector;
use crate::store::{StoreError, TokenStore};
use crate::tally::Tally;
use crate::text::OwnerId;

use background::Flushing;
use load::Answer;

pub use background::Background;
pub use builder::{BuildError, Builder, NoKeyring};
pub use error::ManageError;
pub use leak::Leaked;
pub use manage::{Manage, Minted};
pub(crate) use registry::ServiceId;

pub use read::{Listed, ListedOwner, Rehearsal, TokenList};
pub use refused_use::RefusedUse;
pub use usage::{Attention, Concern, ConcernKind, LastHour, Overview, SourceSeen, UsageDetail};
pub use verify::{Caller, Requirement, Verified};

/// API tokens, as a service embeds them. Cheap to clone; all clones are one service.
///
/// Made once, by [`Tokens::builder`]. Requests go through [`Tokens::authenticate`] and [`Tokens::require`], which the
/// framework adapters call; people and programs manage tokens through [`Tokens::manage`].
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    id: ServiceId,
    store: Arc<dyn TokenStore>,
    keyring: Keyring,
    format: TokenFormat,
    catalog: Arc<Catalog>,
    ceilings: Arc<dyn Ceilings>,
    clock: Arc<dyn Clock>,
    random: Random,
    cache: Cache,
    loads: Loads<Selector, Answer>,
    counters: Counters,
    tally: Tally,
    /// Held while usage is stored, so that a flush at shutdown waits for one that is under way.
    flushing: async_lock::Mutex<Flushing>,
    realm: Realm,
    sources: Sources,
    /// That clients' addresses are unknown was said.
    address_unknown: Once,
}

/// How long the host may take to say what an owner may do.
const CEILING_LIMIT: Duration = Duration::from_secs(5);

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

    /// The longest that anything is believed after it was read: within this, every node refuses what was revoked.
    #[must_use]
    pub fn max_staleness(&self) -> Duration {
        self.0.cache.max_staleness()
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
        match caught_within(CEILING_LIMIT, || self.ceilings.ceiling(owner)).await {
            Ok(Ok(ceiling)) => Ok(ceiling.map(|ceiling| Rights::under(&ceiling, &self.catalog))),
            Ok(Err(error)) => {
                tracing::error!(%owner, error = %error, "the host could not say what an owner may do");
                Err(CeilingUnavailable)
            }
            Err(failed) => {
                tracing::error!(%owner, error = %failed, "the host could not say what an owner may do");
                Err(CeilingUnavailable)
            }
        }
    }

    /// The policy, and the bytes it was read from, for a compare-and-set. It was written when the service was built: where it is
    /// gone, or can't be read, it was tampered with like one whose seal does not fit.
    async fn policy(&self) -> Result<(Result<Sealed<PolicyRow>, BrokenSeal>, Option<Vec<u8>>), StoreError> {
        let stored = self.store.meta(POLICY_KEY).await?;
        let row = stored.as_deref().and_then(|stored| Sealed::from_bytes(stored).ok()).ok_or(BrokenSeal::Altered);
        Ok((row, stored))
    }

    async fn policy_row(&self) -> Result<PolicyRow, ManageError> {
        Ok(self.policy().await?.0?.open(&self.keyring)?)
    }

    async fn policy_in_force(&self) -> Result<Policy, ManageError> {
        Ok(self.policy_row().await?.policy)
    }
}
