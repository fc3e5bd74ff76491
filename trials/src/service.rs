//! The service of the trials, the same in every process.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use token_core::{
    Actor, ActorId, Background, Ceiling, Keyring, ListFilter, Manage, ManageError, OwnerId, Policy, Position, Risk,
    Token, Tokens,
};
use token_store_sqlx::SqlStore;

token_core::scopes! {
    /// The scopes of the trials.
    pub fn catalog;
    pub ProjectsRead = "projects:read", "See projects", "Projects", Risk::Low;
    pub ProjectsWrite = "projects:write", "Change projects", "Projects", Risk::Medium, implies "projects:read";
}

/// No secret: nothing outside a trial is under it.
const KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// How many owners there are.
pub const OWNERS: usize = 24;
/// How many tokens each of them has before a trial begins.
pub const ELDERS: usize = 2;
/// How many live tokens an owner may have.
pub const CAP: u32 = 6;

/// Whatever ends a worker.
pub type Trouble = Box<dyn Error + Send + Sync>;

/// A store and the service on it.
#[derive(Debug)]
pub struct House {
    /// The store.
    pub store: Arc<SqlStore>,
    /// The service.
    pub tokens: Tokens,
}

impl House {
    /// Opens the database of an address, as a process that starts does.
    ///
    /// # Errors
    /// If the store can't be opened or does not fit the service.
    pub async fn open(url: &str) -> Result<House, Trouble> {
        // Nothing is verified and no sink is told: the work between requests has nothing to do.
        let (house, _background) = House::open_with_background(url).await?;
        Ok(house)
    }

    /// The same, with the work between requests.
    ///
    /// # Errors
    /// If the store can't be opened or does not fit the service.
    pub async fn open_with_background(url: &str) -> Result<(House, Background), Trouble> {
        let store = Arc::new(SqlStore::open(url).await?);
        let builder = Tokens::builder_on(Arc::<SqlStore>::clone(&store))
            .prefix("acme_trial")
            .keyring(Keyring::parse(KEYS)?)
            .catalog(catalog())
            .initial_policy(policy(24));
        let (tokens, background) = builder.build().await?;
        Ok((House { store, tokens }, background))
    }

    /// The owner's live tokens, the newest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn living(&self, owner: &OwnerId) -> Result<Vec<Token>, ManageError> {
        let admin = admin("reader");
        let manage: Manage<'_> = self.tokens.manage(&admin);
        let page = manage.list(Some(owner), ListFilter::Live, None, Position::Created(None), 200).await?;
        Ok(page.tokens.into_iter().map(|listed| listed.token).collect())
    }
}

/// One of the owners.
#[must_use]
pub fn owner(number: usize) -> OwnerId {
    OwnerId::new(format!("owner-{number:02}")).expect("an id")
}

/// Someone who may do everything. Each change is made under a name of its own, so that its event says whose it is.
#[must_use]
pub fn admin(name: &str) -> Actor {
    Actor::admin(ActorId::new(name).expect("an id"), Ceiling::Everything)
}

/// The key of the change that creates a token before the trial begins.
#[must_use]
pub fn elder(owner: usize, number: usize) -> String {
    format!("elder-{owner}-{number}")
}

/// A policy. The cap is always the same, so that it can be checked.
#[must_use]
pub fn policy(overlap_hours: u64) -> Policy {
    let default_overlap = Duration::from_secs(overlap_hours * 3600);
    Policy { live_tokens_per_owner: CAP, default_overlap, ..Policy::default() }
}
