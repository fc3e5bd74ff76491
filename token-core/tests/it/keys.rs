//! Changing keys, and being told at start-up when they don't fit the store.

use std::sync::Arc;

use token_core::{
    BuildError, Class, Keyring, MemoryStore, Overlap, OwnerId, Reason, Replace, Rotation, TokenStore, Tokens,
};

use crate::world::{KEYS, World, minutes};

const OTHER: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA";

async fn world(store: &Arc<MemoryStore>, keys: &str) -> World {
    use chacha20::rand_core::SeedableRng;
    // Each start has randomness of its own.
    let rng = chacha20::ChaCha20Rng::from_seed([u8::try_from(keys.len()).unwrap(); 32]);
    World::keyed(Arc::clone(store) as _, keys, |builder| builder.rng(rng)).await
}

async fn refused(store: &Arc<MemoryStore>, keys: &str) -> BuildError {
    let builder = Tokens::builder_on(Arc::clone(store) as Arc<dyn TokenStore>);
    builder.prefix("acme_test").keyring(Keyring::parse(keys).unwrap()).build().await.map(drop).unwrap_err()
}

#[tokio::test]
async fn a_wrong_key_is_an_error_at_start_up_and_not_a_refusal_of_every_token() {
    let store = Arc::new(MemoryStore::new());
    let minted = world(&store, KEYS).await.create(&[]).await;
    // Another key under the id; the right key gone; the right key under another id.
    let error = refused(&store, &format!("k1:{OTHER}")).await;
    assert!(matches!(error, BuildError::KeyChanged { id } if id.as_str() == "k1"));
    let error = refused(&store, &format!("k2:{OTHER}")).await;
    assert!(matches!(error, BuildError::KeyMissing { id } if id.as_str() == "k1"));
    assert!(world(&store, KEYS).await.verify(&minted).await.is_ok());
}

#[tokio::test]
async fn a_new_key_in_front_changes_nothing_for_clients_and_takes_over_as_tokens_are_used() {
    let store = Arc::new(MemoryStore::new());
    let before = world(&store, KEYS).await;
    let (used, idle) = (before.create(&["projects:read"]).await, before.create(&[]).await);
    let both = format!("k2:{OTHER},{KEYS}");
    let after = world(&store, &both).await;
    assert!(after.verify(&used).await.is_ok());
    after.background.turn().await.unwrap();
    let key = async |minted: &token_core::Minted| {
        let rows = store.load(&[minted.token.current.selector]).await.unwrap();
        (rows[0].secret.key.to_string(), rows[0].token.unverified().revision)
    };
    assert_eq!(key(&used).await, ("k2".into(), 1), "the digest was remade; the revision was not touched");
    assert_eq!(key(&idle).await, ("k1".into(), 1));
    // A value that was replaced and whose overlap has ended keeps no key in use.
    let plain = Rotation { replace: Replace::Current(Overlap::Now), expiry: None };
    let replaced = after.create(&[]).await;
    for _ in 0..2 {
        after.tokens.manage(&after.owner).rotate(replaced.token.id, &plain).await.unwrap();
    }
    // Nor one whose overlap ends by itself, nor a token that is dead.
    let lapsing = before.create(&[]).await;
    after.tokens.manage(&after.owner).rotate(lapsing.token.id, &Rotation::default()).await.unwrap();
    let dead = before.create(&[]).await;
    before.tokens.manage(&before.owner).revoke(dead.token.id).await.unwrap();
    assert!(after.verify(&used).await.is_ok() && after.verify(&idle).await.is_ok());
    // Old processes, with the old ring, still run beside the new ones: they need the new key to know the new digests.
    let error = refused(&store, KEYS).await;
    assert!(matches!(error, BuildError::KeyMissing { id } if id.as_str() == "k2"));

    // The old key can go once nothing is left that it made; resealing is how an operator gets there.
    let new_only = format!("k2:{OTHER}");
    assert!(matches!(refused(&store, &new_only).await, BuildError::KeyMissing { .. }));
    let manage = after.tokens.manage(&after.admin);
    for minted in [&used, &idle] {
        manage.reseal(minted.token.id).await.unwrap();
        after.verify(minted).await.unwrap();
    }
    manage.reseal_owner(&OwnerId::new("ann").unwrap()).await.unwrap();
    manage.set_policy(&manage.policy().await.unwrap()).await.unwrap();
    after.background.turn().await.unwrap();
    // While an overlap runs its key is needed.
    assert!(matches!(refused(&store, &new_only).await, BuildError::KeyMissing { .. }));
    after.clock.advance(minutes(25 * 60));
    let alone =
        World::keyed(Arc::clone(&store) as _, &new_only, |builder| builder.clock(Arc::clone(&after.clock))).await;
    assert_eq!(alone.verify(&dead).await.unwrap_err(), Reason::Revoked);
    assert_eq!(alone.verify(&lapsing).await.unwrap_err(), Reason::OverlapEnded);
    assert!(alone.verify(&used).await.is_ok() && alone.verify(&idle).await.is_ok());
}

#[tokio::test]
async fn a_key_that_a_node_does_not_have_is_the_services_mistake_and_not_the_clients() {
    let store = Arc::new(MemoryStore::new());
    // An old node, and a new one that was given a new key in front before all nodes had it behind.
    let old = world(&store, &format!("k9:{OTHER}")).await;
    let new = world(&store, &format!("{KEYS},k9:{OTHER}")).await;
    let minted = new.create(&[]).await;
    assert!(new.verify(&minted).await.is_ok());
    assert_eq!(old.verify(&minted).await.unwrap_err(), Reason::UnknownKey);
    assert_eq!(Reason::UnknownKey.class(), Class::Unavailable);
    // What has ended is refused for that, with or without the key.
    let replaced = Rotation { replace: Replace::Current(Overlap::Now), expiry: None };
    let manage = new.tokens.manage(&new.owner);
    for _ in 0..2 {
        manage.rotate(minted.token.id, &replaced).await.unwrap();
    }
    assert_eq!(old.verify(&minted).await.unwrap_err(), Reason::OverlapEnded);
    manage.revoke(minted.token.id).await.unwrap();
    assert_eq!(old.verify(&minted).await.unwrap_err(), Reason::Revoked);
}

#[tokio::test]
async fn a_start_that_fails_leaves_no_trace() {
    let store = Arc::new(MemoryStore::new());
    world(&store, KEYS).await.create(&[]).await;
    assert!(matches!(refused(&store, &format!("k2:{OTHER}")).await, BuildError::KeyMissing { .. }));
    // Nor where the policy is all there is of the old key.
    let empty = Arc::new(MemoryStore::new());
    world(&empty, KEYS).await;
    assert!(matches!(refused(&empty, &format!("k2:{OTHER}")).await, BuildError::KeyMissing { .. }));
    // The id that was tried is still free for another key.
    let another = "k2:ISMhIyEjISMhIyEjISMhIyEjISMhIyEjISMhIyEjISMh";
    world(&store, &format!("{KEYS},{another}")).await;
    world(&empty, &format!("{KEYS},{another}")).await;
}
