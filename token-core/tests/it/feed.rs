//! What other services change is noticed when the feed tells it, and within the bound when it does not.

use std::sync::Arc;

use token_core::testing::{Promise, Sabotaged};
use token_core::{MemoryStore, OwnerId, Reason, Subject, TokenStore};

use crate::store::weathered;
use crate::world::{MAX_STALENESS, World, minutes, present, seconds, text};

async fn two(here: Arc<dyn TokenStore>, elsewhere: Arc<MemoryStore>) -> (World, World) {
    let (here, elsewhere) = (World::on(here).await, World::elsewhere(elsewhere as _).await);
    // Begins to follow.
    here.background.turn().await.unwrap();
    (here, elsewhere)
}

#[tokio::test]
async fn a_change_elsewhere_is_noticed_when_the_feed_tells_it() {
    let (memory, store) = weathered();
    let (here, elsewhere) = two(Arc::clone(&store) as _, memory).await;
    let (one, two) = (here.create(&[]).await, here.create(&[]).await);
    assert!(here.verify(&one).await.is_ok() && here.verify(&two).await.is_ok());
    elsewhere.tokens.manage(&elsewhere.owner).revoke(one.token.id).await.unwrap();
    here.background.turn().await.unwrap();
    assert_eq!(here.verify(&one).await.unwrap_err(), Reason::Revoked);
    let ann = OwnerId::new("ann").unwrap();
    elsewhere.tokens.manage(&elsewhere.admin).suspend(&ann).await.unwrap();
    here.background.turn().await.unwrap();
    assert_eq!(here.verify(&two).await.unwrap_err(), Reason::OwnerSuspended);
}

/// It got its place before it committed, as on a SQL server: behind one that has been told.
#[tokio::test]
async fn a_change_that_comes_to_light_late_is_noticed_all_the_same() {
    let (memory, store) = weathered();
    let (here, elsewhere) = two(Arc::clone(&store) as _, memory).await;
    let (late, early) = (here.create(&[]).await, here.create(&[]).await);
    here.background.turn().await.unwrap();
    assert!(here.verify(&late).await.is_ok() && here.verify(&early).await.is_ok());
    *store.hook().late.lock().unwrap() = Some(Subject::Token(late.token.id));
    for minted in [&late, &early] {
        elsewhere.tokens.manage(&elsewhere.owner).revoke(minted.token.id).await.unwrap();
    }
    here.background.turn().await.unwrap();
    assert_eq!(here.verify(&early).await.unwrap_err(), Reason::Revoked);
    assert!(here.verify(&late).await.is_ok(), "it has not been told");
    *store.hook().late.lock().unwrap() = None;
    here.clock.advance(seconds(2));
    here.background.turn().await.unwrap();
    assert_eq!(here.verify(&late).await.unwrap_err(), Reason::Revoked);
}

#[tokio::test]
async fn what_was_told_already_costs_nothing_again() {
    let (memory, store) = weathered();
    let (here, elsewhere) = two(Arc::clone(&store) as _, memory).await;
    let minted = here.create(&[]).await;
    elsewhere.tokens.manage(&elsewhere.owner).rotate(minted.token.id, &Default::default()).await.unwrap();
    here.background.turn().await.unwrap();
    assert!(here.verify(&minted).await.is_ok());
    store.hook().take_loads();
    for _ in 0..5 {
        here.background.turn().await.unwrap();
        assert!(here.verify(&minted).await.is_ok());
    }
    assert!(store.hook().take_loads().is_empty());
}

#[tokio::test]
async fn a_spawned_background_follows_by_itself() {
    let memory = Arc::new(MemoryStore::new());
    let (here, elsewhere) = two(Arc::clone(&memory) as _, memory).await;
    let World { tokens, background, .. } = here;
    let running = tokio::spawn(background);
    let minted = elsewhere.create(&[]).await;
    let present = async || present(&tokens, text(&minted)).await.map(drop);
    assert_eq!(present().await, Ok(()));
    elsewhere.tokens.manage(&elsewhere.owner).revoke(minted.token.id).await.unwrap();
    // The clock of the service stands still, so it is not for its age that the snapshot goes.
    let refused = async {
        while present().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(minutes(1), refused).await.expect("the change was not noticed");
    running.abort();
}

/// Broken, hung, or silent: the feed only hastens.
#[tokio::test]
async fn without_a_feed_the_bound_holds() {
    for (fails, hangs) in [(true, false), (false, true), (false, false)] {
        let (memory, store) = weathered();
        let inner: Arc<dyn TokenStore> = if fails || hangs {
            Arc::clone(&store) as _
        } else {
            Arc::new(Sabotaged::new(Arc::clone(&store) as _, Promise::FeedTellsEveryChange))
        };
        let (here, elsewhere) = two(inner, memory).await;
        store.hook().set(&store.hook().feed_fails, fails);
        store.hook().set(&store.hook().feed_hangs, hangs);
        let World { tokens, background, clock, .. } = here;
        let running = tokio::spawn(background);
        let minted = elsewhere.create(&[]).await;
        let present = async || present(&tokens, text(&minted)).await.map(drop);
        assert_eq!(present().await, Ok(()));
        elsewhere.tokens.manage(&elsewhere.owner).revoke(minted.token.id).await.unwrap();
        for _ in 0..4 {
            clock.advance(MAX_STALENESS / 4);
            tokio::task::yield_now().await;
        }
        assert_eq!(present().await, Err(Reason::Revoked), "fails: {fails}, hangs: {hangs}");
        running.abort();
    }
}

#[tokio::test]
async fn a_feed_that_recovers_tells_what_was_missed() {
    let (memory, store) = weathered();
    let (here, elsewhere) = two(Arc::clone(&store) as _, memory).await;
    let minted = here.create(&[]).await;
    assert!(here.verify(&minted).await.is_ok());
    store.hook().set(&store.hook().feed_fails, true);
    elsewhere.tokens.manage(&elsewhere.owner).revoke(minted.token.id).await.unwrap();
    for _ in 0..3 {
        assert!(here.background.turn().await.is_err());
    }
    assert!(here.verify(&minted).await.is_ok(), "it can't know yet");
    store.hook().set(&store.hook().feed_fails, false);
    here.background.turn().await.unwrap();
    assert_eq!(here.verify(&minted).await.unwrap_err(), Reason::Revoked);
    // Long after, there is nothing left to read again.
    here.clock.advance(seconds(60));
    here.background.turn().await.unwrap();
    here.background.turn().await.unwrap();
}
