//! Reports of leaked tokens: what verifies in full is revoked, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use token_core::testing::{Call, CountingStore, Hook, HookedStore, with_checksum, with_wrong_verifier};
use token_core::{
    ActorId, Ceiling, Fault, History, Leaked, ManageError, MemoryStore, Minted, Overlap, Reason, Replace, Rotation,
    StoreError, Subject, TokenId,
};

use crate::world::{World, actor_id, minutes, text};

fn scanner() -> ActorId {
    actor_id("secret-scanning:github")
}

async fn report(world: &World, texts: &[&str]) -> Vec<Leaked> {
    world.tokens.revoke_leaked(texts, &scanner()).await.unwrap()
}

/// Who did what to a token, in order.
async fn log(world: &World, token: TokenId) -> Vec<String> {
    let events = world.tokens.manage(&world.admin).events(&Subject::Token(token), 0, 100).await.unwrap();
    let kind =
        |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap()["kind"].as_str().unwrap().to_owned();
    events.iter().map(|event| format!("{} {}", event.actor, kind(&event.body))).collect()
}

async fn rotate(world: &World, minted: &Minted, overlap: Overlap) -> Minted {
    let rotation = Rotation { replace: Replace::Current(overlap), ..Rotation::default() };
    world.tokens.manage(&world.owner).rotate(minted.token.id, &rotation).await.unwrap()
}

#[tokio::test]
async fn what_verifies_in_full_is_revoked_once_by_the_reporter() {
    let world = World::new().await;
    let (leaked, kept) = (world.create(&["billing:*"]).await, world.create(&[]).await);
    let id = leaked.token.id;
    let texts = [text(&leaked), "canary", text(&leaked), ""];
    let expected = [Leaked::Revoked(id), Leaked::Unknown, Leaked::Revoked(id), Leaked::Unknown];
    for _ in 0..2 {
        assert_eq!(report(&world, &texts).await, expected);
        assert_eq!(log(&world, id).await, ["ann created", "secret-scanning:github revoked"]);
    }
    assert_eq!(world.verify(&leaked).await.unwrap_err(), Reason::Revoked);
    assert!(world.verify(&kept).await.is_ok());
    let history = world.tokens.manage(&world.admin).verify_history(&Subject::Token(id)).await.unwrap();
    assert_eq!(history, History::Intact { events: 2 });
    assert!(expected[0].is_real() && !expected[1].is_real());
    assert_eq!(report(&world, &[]).await, []);
}

#[tokio::test]
async fn a_known_selector_with_a_wrong_verifier_revokes_nothing() {
    let world = World::new().await;
    let minted = world.create(&[]).await;
    let right = text(&minted);
    let wrong = with_wrong_verifier(right);
    let spaced = format!("{right} ");
    let other_prefix = right.replace("acme_test", "acme_live");
    for reported in [wrong.as_str(), &right[..right.len() - 1], &spaced, &other_prefix, &right.to_lowercase()] {
        assert_eq!(report(&world, &[reported]).await, [Leaked::Unknown], "{reported}");
    }
    assert!(world.verify(&minted).await.is_ok());
    assert_eq!(log(&world, minted.token.id).await, ["ann created"]);
    // A wrong one before the right one of the same selector does not shield it.
    let both = report(&world, &[&wrong, right]).await;
    assert_eq!(both, [Leaked::Unknown, Leaked::Revoked(minted.token.id)]);
}

#[tokio::test]
async fn expired_tokens_are_revoked_and_revoked_ones_stay_as_they_are() {
    let world = World::new().await;
    let (expired, revoked) = (world.create(&[]).await, world.create(&[]).await);
    world.tokens.manage(&world.owner).revoke(revoked.token.id).await.unwrap();
    world.clock.set(expired.token.expires_at.unwrap());
    let reported = report(&world, &[text(&expired), text(&revoked)]).await;
    assert_eq!(reported, [Leaked::Revoked(expired.token.id), Leaked::Revoked(revoked.token.id)]);
    assert_eq!(log(&world, expired.token.id).await, ["ann created", "secret-scanning:github revoked"]);
    assert_eq!(log(&world, revoked.token.id).await, ["ann created", "ann revoked"]);
}

#[tokio::test]
async fn an_ended_secret_is_real_and_leaves_its_token_alive() {
    let world = World::new().await;
    let old = world.create(&[]).await;
    let new = rotate(&world, &old, Overlap::For(minutes(10))).await;
    let id = old.token.id;
    world.clock.advance(minutes(10));
    assert_eq!(report(&world, &[text(&old)]).await, [Leaked::Ended(id)]);
    assert!(Leaked::Ended(id).is_real() && world.verify(&new).await.is_ok());
    assert_eq!(log(&world, id).await, ["ann created", "ann rotated"]);

    let newest = rotate(&world, &new, Overlap::For(minutes(10))).await;
    // While its overlap lasts, it opens all that the current one does.
    assert_eq!(report(&world, &[text(&new), text(&newest)]).await, [Leaked::Revoked(id); 2]);
    assert_eq!(world.verify(&newest).await.unwrap_err(), Reason::Revoked);
    assert_eq!(log(&world, id).await.len(), 4);
}

#[tokio::test]
async fn neither_a_suspension_nor_the_host_is_waited_for() {
    let world = World::new().await;
    let minted = world.create(&[]).await;
    world.tokens.manage(&world.admin).suspend(&minted.token.owner).await.unwrap();
    world.roles.set("ann", None);
    assert_eq!(report(&world, &[text(&minted)]).await, [Leaked::Revoked(minted.token.id)]);
    world.roles.set("ann", Some(Ceiling::Everything));
    world.tokens.manage(&world.admin).resume(&minted.token.owner).await.unwrap();
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::Revoked);
}

#[tokio::test]
async fn a_report_is_no_use_and_no_refusal() {
    let world = World::new().await;
    let minted = world.create(&[]).await;
    report(&world, &[text(&minted), &with_wrong_verifier(text(&minted))]).await;
    world.tokens.flush().await.unwrap();
    let usage = world.tokens.manage(&world.admin).usage(minted.token.id, crate::world::start()).await.unwrap();
    assert!(usage.last.is_empty() && usage.hours.is_empty() && usage.refusals.is_empty(), "{usage:?}");
}

#[tokio::test]
async fn a_large_batch_is_looked_up_at_once() {
    let store = Arc::new(CountingStore::new(Arc::new(MemoryStore::new())));
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&[]).await;
    let unknown: Vec<String> = (0..1000).map(|n| with_checksum(&format!("acme_test_{n:048}"))).collect();
    let mut texts: Vec<&str> = unknown.iter().map(String::as_str).collect();
    let before = store.calls();
    assert_eq!(report(&world, &texts).await, [Leaked::Unknown; 1000]);
    assert_eq!(store.calls() - before, 1);
    report(&world, &["canary"; 1000]).await;
    assert_eq!(store.calls() - before, 1, "what is malformed is not looked up");
    texts.push(text(&minted));
    report(&world, &texts).await;
    let before = store.calls();
    assert_eq!(report(&world, &texts).await[1000], Leaked::Revoked(minted.token.id));
    assert_eq!(store.calls() - before, 1, "what is revoked is not revoked again");
}

/// Goes down at the commit of this number.
struct DownAt(AtomicU32);

#[async_trait]
impl Hook for DownAt {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        let down = call == Call::Commit && self.0.fetch_sub(1, Ordering::SeqCst) == 1;
        if down { Err(Fault::ConnectionLost.into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn after_an_outage_the_same_report_finishes_the_rest() {
    let store = Arc::new(HookedStore::hooked(Arc::new(MemoryStore::new()), DownAt(AtomicU32::new(1000))));
    let world = World::on(Arc::clone(&store) as _).await;
    let (a, b) = (world.create(&[]).await, world.create(&[]).await);
    store.hook().0.store(2, Ordering::SeqCst);
    let texts = [text(&a), text(&b)];
    let failed = world.tokens.revoke_leaked(&texts, &scanner()).await;
    assert!(matches!(failed, Err(ManageError::Store(error)) if error.fault() == Fault::ConnectionLost));
    assert_eq!(world.verify(&a).await.unwrap_err(), Reason::Revoked);
    assert!(world.verify(&b).await.is_ok());
    assert_eq!(report(&world, &texts).await, [Leaked::Revoked(a.token.id), Leaked::Revoked(b.token.id)]);
    assert_eq!(log(&world, a.token.id).await.len(), 2);
}

/// Can't read a row of the next so many loads.
struct Unreadable(AtomicU32);

#[async_trait]
impl Hook for Unreadable {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        let left = |left: u32| left.checked_sub(1);
        let bad = call == Call::Load && self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok();
        if bad { Err(Fault::Corrupt.into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_row_that_can_t_be_read_keeps_no_other_alive() {
    let store = Arc::new(HookedStore::hooked(Arc::new(MemoryStore::new()), Unreadable(AtomicU32::new(0))));
    let world = World::on(Arc::clone(&store) as _).await;
    let (a, b) = (world.create(&[]).await, world.create(&[]).await);
    // The load of both, and then that of one of them.
    store.hook().0.store(2, Ordering::SeqCst);
    let texts = [text(&a), text(&b)];
    let failed = world.tokens.revoke_leaked(&texts, &scanner()).await;
    assert!(matches!(failed, Err(ManageError::Store(error)) if error.fault() == Fault::Corrupt));
    let alive = [world.verify(&a).await.is_ok(), world.verify(&b).await.is_ok()];
    assert_ne!(alive[0], alive[1], "one of them is revoked");
    assert_eq!(report(&world, &texts).await, [Leaked::Revoked(a.token.id), Leaked::Revoked(b.token.id)]);
}

#[tokio::test]
async fn a_secret_whose_key_is_missing_is_an_error_and_keeps_no_other_alive() {
    let store = Arc::new(MemoryStore::new());
    let both = "k2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8,k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let old = World::on(Arc::clone(&store) as _).await;
    let known = old.create(&[]).await;
    let rng = ChaCha20Rng::from_seed([2; 32]);
    let new = World::keyed(Arc::clone(&store) as _, both, |builder| builder.rng(rng)).await;
    let unknown_key = new.create(&[]).await;
    let failed = old.tokens.revoke_leaked(&[text(&unknown_key), text(&known)], &scanner()).await;
    assert!(matches!(failed, Err(ManageError::BrokenSeal(_))), "{failed:?}");
    assert_eq!(old.verify(&known).await.unwrap_err(), Reason::Revoked);
    assert!(new.verify(&unknown_key).await.is_ok());
    // One that is dead is not a matter of keys.
    new.tokens.manage(&new.owner).revoke(unknown_key.token.id).await.unwrap();
    assert_eq!(report(&old, &[text(&unknown_key)]).await, [Leaked::Unknown]);
}
