//! Changing keys, and being told at start-up when they don't fit the store.

use std::sync::Arc;

use token_core::{BuildError, Keyring, MemoryStore, OwnerId, Reason, TokenStore, Tokens};

use crate::world::{KEYS, World};

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
    after.background.turn().await.unwrap();
    let alone = world(&store, &new_only).await;
    assert!(alone.verify(&used).await.is_ok() && alone.verify(&idle).await.is_ok());
}

#[tokio::test]
async fn a_digest_under_a_key_that_is_gone_is_refused_like_any_other() {
    let store = Arc::new(MemoryStore::new());
    // Both were built while the store was empty, so that the check at start-up saw nothing.
    let late = world(&store, &format!("k9:{OTHER}")).await;
    let minted = world(&store, KEYS).await.create(&[]).await;
    assert_eq!(late.verify(&minted).await.unwrap_err(), Reason::UnknownKey);
}
