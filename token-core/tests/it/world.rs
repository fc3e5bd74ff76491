//! A small world: a service on a store in memory, a clock that stands still, and those who act in it.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use token_core::{
    Actor, ActorId, Background, Builder, Caller, Ceiling, Ceilings, Clock, Credential, Grant, Grants, Keyring,
    ManualClock, MemoryStore, Minted, NewToken, OwnerId, Reason, Risk, Time, TokenName, TokenStore, Tokens, Verified,
};

token_core::scopes! {
    pub fn catalog;
    pub ProjectsRead = "projects:read", "See projects", "Projects", Risk::Low;
    pub ProjectsWrite = "projects:write", "Change projects", "Projects", Risk::Medium, implies "projects:read";
    pub BillingRead = "billing:read", "See invoices", "Billing", Risk::Medium;
    pub BillingAll = "billing:*", "Everything about billing", "Billing", Risk::High;
}

pub(crate) const KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// The default.
pub(crate) const MAX_STALENESS: std::time::Duration = std::time::Duration::from_secs(5);

pub(crate) fn start() -> Time {
    "2027-01-31T12:00:00Z".parse().unwrap()
}

/// What the host says of its owners; everything, unless a test says otherwise.
#[derive(Default)]
pub(crate) struct Roles(Mutex<HashMap<OwnerId, Option<Ceiling>>>);

impl Roles {
    pub(crate) fn set(&self, owner: &str, ceiling: Option<Ceiling>) {
        self.0.lock().unwrap().insert(OwnerId::new(owner).unwrap(), ceiling);
    }
}

struct SharedRoles(Arc<Roles>);

#[async_trait]
impl Ceilings for SharedRoles {
    async fn ceiling(&self, owner: &OwnerId) -> Result<Option<Ceiling>, Box<dyn Error + Send + Sync>> {
        Ok(self.0.0.lock().unwrap().get(owner).cloned().unwrap_or(Some(Ceiling::Everything)))
    }
}

pub(crate) struct World {
    pub(crate) tokens: Tokens,
    pub(crate) background: Background,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) roles: Arc<Roles>,
    /// Ann, who acts for herself.
    pub(crate) owner: Actor,
    /// Bob, who acts for himself.
    pub(crate) other_owner: Actor,
    pub(crate) admin: Actor,
    /// Someone who may look at Ann's tokens and not change them.
    pub(crate) viewer: Actor,
}

impl World {
    pub(crate) async fn new() -> World {
        World::on(Arc::new(MemoryStore::new())).await
    }

    pub(crate) async fn on(store: Arc<dyn TokenStore>) -> World {
        World::with(store, |builder| builder).await
    }

    /// Another service on a store that is shared, with randomness of its own.
    pub(crate) async fn elsewhere(store: Arc<dyn TokenStore>) -> World {
        World::with(store, |builder| builder.rng(ChaCha20Rng::from_seed([2; 32]))).await
    }

    pub(crate) async fn with(
        store: Arc<dyn TokenStore>,
        choose: impl FnOnce(Builder<Keyring>) -> Builder<Keyring>,
    ) -> World {
        World::keyed(store, KEYS, choose).await
    }

    pub(crate) async fn keyed(
        store: Arc<dyn TokenStore>,
        keys: &str,
        choose: impl FnOnce(Builder<Keyring>) -> Builder<Keyring>,
    ) -> World {
        let clock = Arc::new(ManualClock::at(start()));
        let roles = Arc::new(Roles::default());
        let builder = Tokens::builder_on(store)
            .prefix("acme_test")
            .keyring(Keyring::parse(keys).unwrap())
            .catalog(catalog())
            .ceilings(SharedRoles(Arc::clone(&roles)))
            .clock(Arc::clone(&clock))
            .rng(ChaCha20Rng::from_seed([1; 32]));
        let (tokens, background) = choose(builder).build().await.unwrap();
        World {
            tokens,
            background,
            clock,
            roles,
            owner: owner("ann", Ceiling::Everything),
            other_owner: owner("bob", Ceiling::Everything),
            admin: Actor::admin(actor_id("root"), Ceiling::Everything),
            viewer: owner("ann", Ceiling::Everything).read_only(),
        }
    }

    pub(crate) async fn create(&self, grants: &[&str]) -> Minted {
        self.tokens.manage(&self.owner).create(&request(grants)).await.unwrap()
    }

    pub(crate) async fn verify(&self, minted: &Minted) -> Result<Verified, Reason> {
        self.present(text(minted)).await
    }

    pub(crate) async fn present(&self, text: &str) -> Result<Verified, Reason> {
        present(&self.tokens, text).await
    }

    /// What the cache alone says of it; `None` if it says nothing.
    pub(crate) fn cached(&self, minted: &Minted) -> Option<Result<Verified, Reason>> {
        self.cached_text(text(minted))
    }

    pub(crate) fn cached_text(&self, text: &str) -> Option<Result<Verified, Reason>> {
        let credential = Credential::Borrowed(text.as_bytes());
        let answer = self.tokens.authenticate_cached(Ok(&credential), Caller::default());
        answer.map(|answer| answer.map_err(|refusal| refusal.reason()))
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }
}

pub(crate) async fn present(tokens: &Tokens, text: &str) -> Result<Verified, Reason> {
    let credential = Credential::Borrowed(text.as_bytes());
    tokens.authenticate(Ok(credential), Caller::default()).await.map_err(|refusal| refusal.reason())
}

pub(crate) fn text(minted: &Minted) -> &str {
    minted.text.as_ref().unwrap().expose_secret()
}

pub(crate) fn actor_id(id: &str) -> ActorId {
    ActorId::new(id).unwrap()
}

pub(crate) fn owner(id: &str, rights: Ceiling) -> Actor {
    Actor::owner(actor_id(id), OwnerId::new(id).unwrap(), rights)
}

pub(crate) fn grants(scopes: &[&str]) -> Grants {
    Grants::new(scopes.iter().map(|scope| Grant::all(scope).unwrap())).unwrap()
}

pub(crate) fn request(scopes: &[&str]) -> NewToken {
    NewToken::new(name("a token"), grants(scopes))
}

pub(crate) fn name(name: &str) -> TokenName {
    TokenName::new(name).unwrap()
}

pub(crate) fn seconds(seconds: u64) -> std::time::Duration {
    std::time::Duration::from_secs(seconds)
}

pub(crate) fn minutes(minutes: u64) -> std::time::Duration {
    std::time::Duration::from_secs(60 * minutes)
}
