//! Building the service: what must be chosen, and what must agree with the store.

use std::sync::{Arc, Once};
use std::time::Duration;

use rand_core::CryptoRng;

use crate::answer::{Realm, RealmError};
use crate::audit::AuditSink;
use crate::bearer::Sources;
use crate::cache::Cache;
use crate::ceiling::{Ceilings, NoCeilings};
use crate::clock::{Clock, SystemClock};
use crate::counters::Counters;
use crate::event::{EventHead, Subject};
use crate::format::{PrefixError, TokenFormat};
use crate::keyring::Keyring;
use crate::loads::{Limits, Loads};
use crate::policy::{Policy, PolicyError, PolicyRow};
use crate::random::{Random, RandomError};
use crate::scope::{Catalog, CatalogError, ScopeDef};
use crate::seal::Sealed;
use crate::store::{Fault, StoreError, TokenStore};
use crate::tally::Tally;
use crate::text::KeyId;

use super::keys::check_keys;
use super::registry::StoreId;
use super::{Background, Inner, POLICY_KEY, ServiceId, Tokens};

/// Snapshots that are kept unless another number is chosen: some 40 MB of them.
const CACHE_SIZE: usize = 100_000;

/// How old they may grow unless something else is chosen.
const MAX_STALENESS: Duration = Duration::from_secs(5);

/// What may be chosen: what is refreshed more often than that is no cache, and what lives longer no bound.
const MAX_STALENESS_RANGE: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);

/// A few loads keep a database busy, and what waits meanwhile is one load.
const LOADS: Limits = Limits { at_once: 2, under_way: 4, many: 64, batch: 512, waited_for: 10_000 };

/// The keyring has not been chosen yet.
#[derive(Debug)]
pub struct NoKeyring;

/// Chooses what a service is made of. Without a keyring it can't be built:
///
/// ```compile_fail
/// # async fn build() -> Result<(), token_core::BuildError> {
/// let built = token_core::Tokens::builder(token_core::MemoryStore::new()).prefix("acme_live").build().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Builder<K> {
    keyring: K,
    choices: Choices,
}

struct Choices {
    store: Arc<dyn TokenStore>,
    prefix: String,
    scopes: Vec<ScopeDef>,
    policy: Policy,
    ceilings: Arc<dyn Ceilings>,
    sink: Option<Arc<dyn AuditSink>>,
    clock: Arc<dyn Clock>,
    random: Random,
    realm: Option<String>,
    sources: Sources,
    cache_size: usize,
    max_staleness: Duration,
}

impl std::fmt::Debug for Choices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Choices").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Why a service can't be built. Nothing is served until it is mended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No prefix was chosen, or one that token text can't have.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// The scopes contradict each other.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The policy contradicts itself.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The realm can't be put into a header.
    #[error(transparent)]
    Realm(#[from] RealmError),
    /// A snapshot may grow neither that old nor that young; or the clock lags by as much, so that none could ever be served.
    #[error("max_staleness: use 100 milliseconds to 1 hour, and more than the clock's reading_lag")]
    MaxStaleness,
    /// The key of this id is not the one that the store was used with. Every token would be refused.
    #[error(
        "key {id} differs from the key {id} that this store was used with; put the right key back, or give the new one another id"
    )]
    KeyChanged {
        /// The key's id.
        id: KeyId,
    },
    /// The store holds secrets or seals made with a key that is not on the keyring. Those tokens would be refused.
    #[error("the store holds tokens made with key {id}, which is not on the keyring; add it behind the current key")]
    KeyMissing {
        /// The key's id.
        id: KeyId,
    },
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Tokens {
    /// Begins to build a service on a store.
    ///
    /// ```
    /// use token_core::{Keyring, MemoryStore, Tokens};
    ///
    /// # async fn build() -> Result<(), Box<dyn std::error::Error>> {
    /// let (tokens, background) = Tokens::builder(MemoryStore::new())
    ///     .prefix("acme_live")
    ///     .keyring(Keyring::from_env("TOKEN_KEYS")?)
    ///     .build()
    ///     .await?;
    /// // spawn `background` on the host's runtime
    /// # drop((tokens, background)); Ok(())
    /// # }
    /// ```
    pub fn builder(store: impl TokenStore) -> Builder<NoKeyring> {
        Tokens::builder_on(Arc::new(store))
    }

    /// Begins to build a service on a store that is shared already.
    pub fn builder_on(store: Arc<dyn TokenStore>) -> Builder<NoKeyring> {
        Builder {
            keyring: NoKeyring,
            choices: Choices {
                store,
                prefix: String::new(),
                scopes: Vec::new(),
                policy: Policy::default(),
                ceilings: Arc::new(NoCeilings),
                sink: None,
                clock: Arc::new(SystemClock),
                random: Random::Os,
                realm: None,
                sources: Sources::default(),
                cache_size: CACHE_SIZE,
                max_staleness: MAX_STALENESS,
            },
        }
    }
}

impl Builder<NoKeyring> {
    /// The keys of the service. Must be chosen.
    pub fn keyring(self, keyring: Keyring) -> Builder<Keyring> {
        Builder { keyring, choices: self.choices }
    }
}

impl<K> Builder<K> {
    /// The prefix of token text, naming product and environment, such as `acme_live`. Must be chosen.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.choices.prefix = prefix.into();
        self
    }

    /// The scopes of the service. Without any, tokens can be made and verified, and may do nothing.
    pub fn catalog(mut self, scopes: impl IntoIterator<Item = ScopeDef>) -> Self {
        self.choices.scopes = scopes.into_iter().collect();
        self
    }

    /// The policy of a store that has none yet; later it is changed with [`Manage::set_policy`](crate::Manage::set_policy).
    pub fn initial_policy(mut self, policy: Policy) -> Self {
        self.choices.policy = policy;
        self
    }

    /// Whom to ask what an owner may do at present. Without it, every owner may do everything.
    pub fn ceilings(mut self, ceilings: impl Ceilings) -> Self {
        self.choices.ceilings = Arc::new(ceilings);
        self
    }

    /// Where events go onward.
    pub fn audit_sink(mut self, sink: impl AuditSink) -> Self {
        self.choices.sink = Some(Arc::new(sink));
        self
    }

    /// The clock, for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.choices.clock = Arc::new(clock);
        self
    }

    /// How many snapshots of verified tokens are kept in memory, at most; at least 1. 100,000 if it is not chosen. A token that names
    /// resources counts for as many as take the same memory.
    pub fn cache_size(mut self, snapshots: usize) -> Self {
        self.choices.cache_size = snapshots;
        self
    }

    /// The bound on how long anything that was changed elsewhere may go unnoticed, whatever fails: a token that was revoked by
    /// another process, an owner's ceiling that was lowered. What this process changes it notices at once, and what others
    /// change it is told of within moments, while the background runs and the store answers; the bound holds without
    /// either. 100 milliseconds to 1 hour; 5 seconds if it is not chosen.
    pub fn max_staleness(mut self, bound: Duration) -> Self {
        self.choices.max_staleness = bound;
        self
    }

    /// The source of randomness, for tests. Every token of a service with a known source is known.
    pub fn rng(mut self, rng: impl CryptoRng + Send + 'static) -> Self {
        self.choices.random = Random::injected(rng);
        self
    }

    /// The protection space named in challenges; `api` if it is not chosen.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.choices.realm = Some(realm.into());
        self
    }

    /// Where credentials are accepted besides `Authorization: Bearer`.
    pub fn sources(mut self, sources: Sources) -> Self {
        self.choices.sources = sources;
        self
    }
}

impl Builder<Keyring> {
    /// Checks every choice, and the keys against the store. The second value is the work between requests: spawn it.
    ///
    /// # Errors
    /// [`BuildError`], which says what to mend.
    pub async fn build(self) -> Result<(Tokens, Background), BuildError> {
        let Builder { keyring, choices } = self;
        let format = TokenFormat::new(&choices.prefix)?;
        let catalog = Catalog::new(choices.scopes)?;
        let realm = choices.realm.as_deref().map_or(Ok(Realm::default()), Realm::new)?;
        choices.policy.check()?;
        let clock_lag = choices.clock.reading_lag();
        if !MAX_STALENESS_RANGE.contains(&choices.max_staleness) || choices.max_staleness <= clock_lag {
            return Err(BuildError::MaxStaleness);
        }
        let store = &*choices.store;
        check_keys(&keyring, store, choices.clock.now()).await?;
        // A policy that is gone while its history is there was taken away: no other comes in its place but from an admin.
        if store.events(&Subject::Policy, 0, 1).await?.is_empty() {
            let row = Sealed::new(PolicyRow { policy: choices.policy, head: EventHead::START }, &keyring);
            let row = row.to_bytes().map_err(|error| StoreError::new(Fault::Other, error))?;
            store.meta_or_insert(POLICY_KEY, &row).await?;
        }

        let store_id = StoreId::of(store).await?;
        let inner = Inner {
            id: ServiceId::next(),
            store: choices.store,
            keyring,
            format,
            catalog: Arc::new(catalog),
            ceilings: choices.ceilings,
            cache: Cache::new(choices.cache_size, choices.max_staleness, clock_lag),
            clock: choices.clock,
            random: choices.random,
            loads: Loads::new(LOADS),
            counters: Counters::default(),
            tally: Tally::default(),
            flushing: async_lock::Mutex::default(),
            realm,
            sources: choices.sources,
            address_unknown: Once::new(),
        };
        let tokens = Tokens::registered(inner, store_id);
        let background = Background::new(tokens.clone(), choices.sink);
        Ok((tokens, background))
    }
}
