//! A token that is to live longer, and expires before that is stored.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use token_core::testing::{Call, Hook, HookedStore};
use token_core::{
    Actor, ActorId, Ceiling, Edit, Expiry, Grant, Grants, Keyring, ListFilter, ManageError, ManualClock, MemoryStore,
    NewToken, OwnerId, Policy, Position, Risk, Rotation, StoreError, TokenName, TokenStore, Tokens,
};

token_core::scopes! {
    fn catalog;
    Read = "projects:read", "See your projects", "Projects", Risk::Low;
}

/// Once, before a change is committed: two minutes pass, and another token is created.
struct Between {
    armed: Mutex<bool>,
    clock: Arc<ManualClock>,
    other: Tokens,
    ann: Actor,
}

#[async_trait::async_trait]
impl Hook for Between {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        if call == Call::Commit && std::mem::take(&mut *self.armed.lock().unwrap()) {
            self.clock.advance(Duration::from_secs(120));
            self.other.manage(&self.ann).create(&request()).await.unwrap();
        }
        Ok(())
    }
}

fn request() -> NewToken {
    let grants = Grants::new([Grant::all(<Read as token_core::Scope>::DEF.name).unwrap()]).unwrap();
    NewToken::new(TokenName::new("t").unwrap(), grants)
}

async fn service(store: Arc<dyn TokenStore>, clock: &Arc<ManualClock>) -> Tokens {
    let (tokens, _) = Tokens::builder_on(store)
        .prefix("acme_test")
        .keyring(Keyring::parse("k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").unwrap())
        .catalog(catalog())
        .initial_policy(Policy { live_tokens_per_owner: 1, ..Policy::default() })
        .clock(Arc::clone(clock))
        .build()
        .await
        .unwrap();
    tokens
}

#[tokio::test]
async fn it_does_not_come_back_beside_the_one_that_took_its_place() {
    for rotate in [false, true] {
        let clock = Arc::new(ManualClock::at("2027-01-31T12:00:00Z".parse().unwrap()));
        let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
        let ann = Actor::owner(ActorId::new("ann").unwrap(), OwnerId::new("ann").unwrap(), Ceiling::Everything);
        let other = service(Arc::clone(&store), &clock).await;
        let short = NewToken { expiry: Some(Expiry::After(Duration::from_secs(60))), ..request() };
        let token = other.manage(&ann).create(&short).await.unwrap().token;

        let between = Between { armed: Mutex::new(true), clock: clock.clone(), other: other.clone(), ann: ann.clone() };
        let tokens = service(Arc::new(HookedStore::hooked(store, between)), &clock).await;
        let day = Some(Expiry::After(Duration::from_secs(86_400)));
        let longer = if rotate {
            tokens.manage(&ann).rotate(token.id, &Rotation { expiry: day, ..Rotation::default() }).await.map(drop)
        } else {
            tokens.manage(&ann).edit(token.id, &Edit { expiry: day, ..Edit::default() }).await.map(drop)
        };
        assert!(matches!(longer, Err(ManageError::CapReached { cap: 1 })), "{longer:?}");
        let live = other.manage(&ann).list(None, ListFilter::Live, None, Position::Created(None), 10).await.unwrap();
        assert_eq!(live.tokens.len(), 1);
    }
}
