//! Answers lost on the way, stores that are down, hooks that panic: a clean error or the completed change.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use token_core::testing::{Call, Hook, HookedStore};
use token_core::{
    Ceiling, Ceilings, ChangeId, Class, Fault, History, ListFilter, ManageError, MemoryStore, OwnerId, Position,
    Reason, Rotation, StoreError, Subject, Time, TokenStore,
};

use crate::world::{World, request};

/// Loses the answers to the next so many commits, or keeps them from being made.
#[derive(Default)]
struct Lossy {
    lost_answers: AtomicU32,
    lost_requests: AtomicU32,
}

fn take_one(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl Hook for Lossy {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        let lost = call == Call::Commit && take_one(&self.lost_requests);
        if lost { Err(Fault::OutcomeUnknown.into()) } else { Ok(()) }
    }

    async fn after(&self, call: Call) -> Result<(), StoreError> {
        let lost = call == Call::Commit && take_one(&self.lost_answers);
        if lost { Err(Fault::OutcomeUnknown.into()) } else { Ok(()) }
    }
}

async fn lossy() -> (World, Arc<HookedStore<Lossy>>) {
    let store = Arc::new(HookedStore::hooked(Arc::new(MemoryStore::new()), Lossy::default()));
    (World::on(Arc::clone(&store) as _).await, store)
}

/// gitlab#428256: the old value died at once and the answer with the new one was lost.
#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_resolved_and_its_secret_shown() {
    let (world, store) = lossy().await;
    for (answers, requests) in [(1, 0), (3, 0), (0, 2), (1, 1)] {
        store.hook().lost_answers.store(answers, Ordering::SeqCst);
        store.hook().lost_requests.store(requests, Ordering::SeqCst);
        let minted = world.create(&[]).await;
        assert!(world.verify(&minted).await.is_ok());
        store.hook().lost_answers.store(answers, Ordering::SeqCst);
        store.hook().lost_requests.store(requests, Ordering::SeqCst);
        let rotated = world.tokens.manage(&world.owner).rotate(minted.token.id, &Rotation::default()).await.unwrap();
        assert!(world.verify(&minted).await.is_ok() && world.verify(&rotated).await.is_ok());
        let history = world.tokens.manage(&world.owner).verify_history(&Subject::Token(minted.token.id)).await;
        assert_eq!(history.unwrap(), History::Intact { events: 2 }, "nothing was doubled");
    }
}

#[tokio::test]
async fn an_outcome_that_stays_unknown_is_said_and_can_be_asked_for() {
    let (world, store) = lossy().await;
    store.hook().lost_answers.store(4, Ordering::SeqCst);
    let id = ChangeId::from_key(world.owner.id(), "lost");
    let manage = world.tokens.manage(&world.owner).change_id(id);
    let unknown = manage.create(&request(&[])).await;
    assert!(matches!(unknown, Err(ManageError::OutcomeUnknown { change, .. }) if change == id));
    let event = world.tokens.manage(&world.owner).outcome(&id).await.unwrap();
    // Done again under the id it is the same change; its value was never seen, and can be replaced.
    let repeat = manage.create(&request(&[])).await.unwrap();
    assert_eq!((event.subject, repeat.text.is_none()), (Subject::Token(repeat.token.id), true));
    let all = world.tokens.manage(&world.owner).list(None, ListFilter::Any, None, Position::Created(None), 10).await;
    assert_eq!(all.unwrap().tokens.len(), 1);
}

#[derive(Default)]
struct Outage(AtomicBool);

#[async_trait]
impl Hook for Outage {
    async fn before(&self, _call: Call) -> Result<(), StoreError> {
        if self.0.load(Ordering::SeqCst) { Err(Fault::ConnectionLost.into()) } else { Ok(()) }
    }
}

/// feldera#6774: a database error was a 401. loomcycle#331: an outage was cached as "unknown".
#[tokio::test]
async fn a_store_that_is_down_makes_nobody_invalid_and_nobody_valid() {
    let store = Arc::new(HookedStore::hooked(Arc::new(MemoryStore::new()), Outage::default()));
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&[]).await;
    store.hook().0.store(true, Ordering::SeqCst);
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::StoreUnavailable);
    assert_eq!(Reason::StoreUnavailable.class(), Class::Unavailable);
    let refused = world.tokens.manage(&world.owner).create(&request(&[])).await;
    assert!(matches!(refused, Err(ManageError::Store(error)) if error.fault() == Fault::ConnectionLost));
    store.hook().0.store(false, Ordering::SeqCst);
    assert!(world.verify(&minted).await.is_ok());
}

/// The first answer is lost, and then the database is: the change was made, and nothing may say that it was not.
#[tokio::test]
async fn an_unknown_outcome_stays_unknown_when_something_else_fails() {
    struct LostThenDown(AtomicU32);

    #[async_trait]
    impl Hook for LostThenDown {
        async fn before(&self, call: Call) -> Result<(), StoreError> {
            let down = call == Call::Commit && self.0.load(Ordering::SeqCst) > 0;
            if down { Err(Fault::ConnectionLost.into()) } else { Ok(()) }
        }

        async fn after(&self, call: Call) -> Result<(), StoreError> {
            if call == Call::Commit {
                self.0.fetch_add(1, Ordering::SeqCst);
                return Err(Fault::OutcomeUnknown.into());
            }
            Ok(())
        }
    }

    let store = HookedStore::hooked(Arc::new(MemoryStore::new()), LostThenDown(AtomicU32::new(0)));
    let world = World::on(Arc::new(store)).await;
    let lost = world.tokens.manage(&world.owner).create(&request(&[])).await;
    let Err(ManageError::OutcomeUnknown { change, source }) = lost else { panic!("{lost:?}") };
    assert_eq!(source.fault(), Fault::ConnectionLost);
    assert!(world.tokens.manage(&world.owner).outcome(&change).await.is_ok(), "it was made");
}

struct BadHook(fn() -> Result<Option<Ceiling>, Box<dyn Error + Send + Sync>>);

#[async_trait]
impl Ceilings for BadHook {
    async fn ceiling(&self, _owner: &OwnerId) -> Result<Option<Ceiling>, Box<dyn Error + Send + Sync>> {
        (self.0)()
    }
}

#[tokio::test]
async fn a_hook_that_fails_or_panics_allows_nothing() {
    for hook in [BadHook(|| Err("the directory is down".into())), BadHook(|| panic!("a bug of the host's"))] {
        let store = Arc::new(MemoryStore::new());
        let minted = World::on(Arc::clone(&store) as _).await.create(&[]).await;
        let world = World::with(Arc::clone(&store) as _, |builder| builder.ceilings(hook)).await;
        assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::CeilingUnavailable);
        // What the host is to blame for is no refusal of the token.
        world.tokens.flush().await.unwrap();
        let usage = store.usage(minted.token.id, Time::EPOCH).await.unwrap();
        assert!(usage.refusals.is_empty(), "{:?}", usage.refusals);
        // Whoever does not know the secret is not told, by a 503, that there is such a token.
        let wrong = token_core::testing::with_wrong_verifier(crate::world::text(&minted));
        assert_eq!(world.present(&wrong).await.unwrap_err(), Reason::WrongVerifier);
        let refused = world.tokens.manage(&world.owner).create(&request(&[])).await;
        assert!(matches!(refused, Err(ManageError::CeilingUnavailable)));
        // An incident does not wait for the host's directory.
        let id = minted.token.id;
        assert!(world.tokens.manage(&world.owner).revoke(id).await.unwrap().revoked_at.is_some());
        // And what is dead is refused as dead, whether the directory answers or not.
        assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::Revoked);
    }
}
