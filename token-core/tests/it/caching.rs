//! What is answered from memory, and for how long at most.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use token_core::testing::{Call, Hook, HookedStore};
use token_core::{
    BuildError, Builder, Ceiling, Ceilings, Clock, Digest, Edit, Expiry, Fault, Grant, Grants, Keyring, ManageError,
    ManualClock, MemoryStore, Minted, NewToken, Overlap, OwnerId, Reading, Reason, Redigest, Replace, ResourceId,
    ResourceSet, Resources, Rotation, ScopeName, StoreError, Tallies, Time, TokenStore, Tokens,
};

use tokio::sync::Notify;

use crate::store::weathered;
use crate::world::{KEYS, MAX_STALENESS, ProjectsRead, World, grants, minutes, name, request, seconds, text};

#[tokio::test]
async fn a_token_that_was_just_verified_needs_no_store() {
    let (_, store) = weathered();
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&["projects:read"]).await;
    assert!(world.cached(&minted).is_none());
    assert!(world.verify(&minted).await.is_ok());
    store.hook().set(&store.hook().down, true);
    for _ in 0..10 {
        assert!(world.verify(&minted).await.is_ok());
        let verified = world.cached(&minted).unwrap().unwrap();
        assert!(verified.allows_everywhere::<ProjectsRead>());
    }
    assert_eq!(store.hook().take_loads(), [1]);
    // Nor does a wrong one of the same selector, which is refused for what it is.
    let wrong = token_core::testing::with_wrong_verifier(text(&minted));
    assert_eq!(world.present(&wrong).await.unwrap_err(), Reason::WrongVerifier);
    assert!(store.hook().take_loads().is_empty());
}

#[tokio::test]
async fn who_does_not_know_the_secret_puts_nothing_into_the_cache() {
    let (_, store) = weathered();
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&[]).await;
    let wrong = token_core::testing::with_wrong_verifier(text(&minted));
    for _ in 0..3 {
        assert_eq!(world.present(&wrong).await.unwrap_err(), Reason::WrongVerifier);
    }
    assert!(world.cached(&minted).is_none());
    assert_eq!(store.hook().take_loads(), [1, 1, 1]);
}

#[tokio::test]
async fn what_this_service_changes_it_notices_at_once() {
    let world = World::new().await;
    let minted = world.create(&["projects:read"]).await;
    let (manage, id, ann) = (world.tokens.manage(&world.owner), minted.token.id, OwnerId::new("ann").unwrap());
    assert!(world.verify(&minted).await.is_ok());

    manage.edit(id, &Edit { name: Some(name("renamed")), ..Edit::default() }).await.unwrap();
    assert_eq!(world.verify(&minted).await.unwrap().name().as_str(), "renamed");
    let rotated = manage.rotate(id, &Rotation::default()).await.unwrap();
    assert!(world.verify(&minted).await.is_ok() && world.verify(&rotated).await.is_ok());
    assert!(world.cached(&minted).is_some() && world.cached(&rotated).is_some());
    manage.end_overlap(id).await.unwrap();
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::OverlapEnded);
    assert!(world.verify(&rotated).await.is_ok());
    world.tokens.manage(&world.admin).suspend(&ann).await.unwrap();
    assert_eq!(world.verify(&rotated).await.unwrap_err(), Reason::OwnerSuspended);
    world.tokens.manage(&world.admin).resume(&ann).await.unwrap();
    assert!(world.verify(&rotated).await.is_ok());
    manage.revoke(id).await.unwrap();
    assert_eq!(world.verify(&rotated).await.unwrap_err(), Reason::Revoked);
    assert_eq!(
        world.cached(&rotated).unwrap().unwrap_err(),
        Reason::Revoked,
        "a dead token is not asked for each time"
    );
}

#[tokio::test]
async fn time_is_judged_at_each_request_and_not_when_rows_were_read() {
    let (_, store) = weathered();
    let world = World::on(Arc::clone(&store) as _).await;
    let manage = world.tokens.manage(&world.owner);
    let soon = world.now().checked_add(seconds(2)).unwrap();
    let brief = NewToken { expiry: Some(Expiry::At(soon)), ..request(&[]) };
    let brief = manage.create(&brief).await.unwrap();
    let old = world.create(&[]).await;
    let overlap = Rotation { replace: Replace::Current(Overlap::For(seconds(2))), expiry: None };
    let new = manage.rotate(old.token.id, &overlap).await.unwrap();
    for minted in [&brief, &old, &new] {
        assert!(world.verify(minted).await.is_ok());
    }
    store.hook().set(&store.hook().down, true);
    world.clock.advance(seconds(2));
    assert_eq!(world.verify(&brief).await.unwrap_err(), Reason::Expired);
    assert_eq!(world.verify(&old).await.unwrap_err(), Reason::OverlapEnded);
    assert!(world.verify(&new).await.is_ok());
}

/// Whatever becomes of the background: here it does not run.
#[tokio::test]
async fn nothing_is_served_past_the_bound() {
    let (memory, store) = weathered();
    let here = World::on(Arc::clone(&store) as _).await;
    let elsewhere = World::elsewhere(memory as _).await;
    let minted = here.create(&[]).await;
    assert!(here.verify(&minted).await.is_ok());
    elsewhere.tokens.manage(&elsewhere.owner).revoke(minted.token.id).await.unwrap();
    here.clock.advance(MAX_STALENESS - Duration::from_micros(1));
    assert!(here.verify(&minted).await.is_ok(), "it can't know");
    // An operator who sets the clock back makes nothing younger.
    here.clock.set_wall(Time::EPOCH);
    here.clock.advance(Duration::from_micros(1));
    assert_eq!(here.verify(&minted).await.unwrap_err(), Reason::Revoked);
}

/// A clock that is read as what it showed a second ago, as those of operating systems lag by a tick.
struct Lagging(Arc<ManualClock>);

impl Clock for Lagging {
    fn now(&self) -> Time {
        self.0.now()
    }

    fn reading(&self) -> Reading {
        Reading {
            wall: self.now().saturating_sub(seconds(1)),
            monotonic: self.0.monotonic().saturating_sub(seconds(1)),
        }
    }

    fn reading_lag(&self) -> Duration {
        seconds(1)
    }
}

#[tokio::test]
async fn what_a_clock_lags_by_is_taken_from_the_bound() {
    // Of the second, less than half is left.
    for bound in [MAX_STALENESS, Duration::from_millis(1500)] {
        let (memory, store) = weathered();
        let clock = Arc::new(ManualClock::at(crate::world::start()));
        clock.advance(minutes(1));
        let lagging = Lagging(Arc::clone(&clock));
        let choose = |builder: Builder<_>| builder.clock(lagging).max_staleness(bound);
        let here = World::with(Arc::clone(&store) as _, choose).await;
        let elsewhere = World::elsewhere(memory as _).await;
        let minted = here.create(&[]).await;
        assert!(here.verify(&minted).await.is_ok());
        elsewhere.tokens.manage(&elsewhere.owner).revoke(minted.token.id).await.unwrap();
        clock.advance(bound - seconds(1) - Duration::from_micros(1));
        assert!(here.verify(&minted).await.is_ok(), "it can't know");
        clock.advance(Duration::from_micros(1));
        assert_eq!(here.verify(&minted).await.unwrap_err(), Reason::Revoked, "{bound:?}");
    }
}

/// As on a machine that was suspended: the monotonic clock may have stood still with it.
#[tokio::test]
async fn nothing_is_served_past_the_bound_by_the_wall_clock_either() {
    let (_, store) = weathered();
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&[]).await;
    assert!(world.verify(&minted).await.is_ok());
    world.clock.set_wall(world.now().checked_add(MAX_STALENESS).unwrap());
    assert!(world.cached(&minted).is_none());
    store.hook().set(&store.hook().down, true);
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::StoreUnavailable);
}

#[tokio::test]
async fn a_lowered_ceiling_takes_effect_within_the_bound() {
    let world = World::new().await;
    let minted = world.create(&["projects:read"]).await;
    assert!(world.verify(&minted).await.unwrap().allows_everywhere::<ProjectsRead>());
    world.roles.set("ann", Some(Ceiling::Only(grants(&[]))));
    world.clock.advance(MAX_STALENESS);
    assert!(!world.verify(&minted).await.unwrap().allows_everywhere::<ProjectsRead>());
    // And sooner, where the background refreshes what is in use.
    world.roles.set("ann", None);
    world.clock.advance(MAX_STALENESS - seconds(1));
    assert!(world.verify(&minted).await.is_ok());
    world.background.turn().await.unwrap();
    assert_eq!(world.cached(&minted).unwrap().unwrap_err(), Reason::OwnerMissing);
}

#[tokio::test]
async fn a_store_that_is_down_is_outlived_for_the_bound_and_then_is_a_503() {
    let (_, store) = weathered();
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&[]).await;
    assert!(world.verify(&minted).await.is_ok());
    store.hook().set(&store.hook().down, true);
    world.clock.advance(MAX_STALENESS - seconds(1));
    assert!(world.verify(&minted).await.is_ok());
    assert!(world.background.turn().await.is_err(), "what is due can't be refreshed");
    assert!(world.verify(&minted).await.is_ok());
    world.clock.advance(seconds(1));
    for _ in 0..3 {
        assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::StoreUnavailable);
    }
    store.hook().set(&store.hook().down, false);
    assert!(world.verify(&minted).await.is_ok(), "an outage is not remembered");
}

#[tokio::test]
async fn what_is_in_use_is_refreshed_ahead_in_one_statement() {
    let (memory, store) = weathered();
    let world = World::on(Arc::clone(&store) as _).await;
    let mut minted = Vec::new();
    for _ in 0..20 {
        minted.push(world.create(&[]).await);
        assert!(world.verify(minted.last().unwrap()).await.is_ok());
    }
    let idle = minted.split_off(10);
    let revoked = minted.pop().unwrap();
    store.hook().take_loads();
    world.clock.advance(seconds(3));
    for token in minted.iter().chain([&revoked]) {
        for _ in 0..3 {
            assert!(world.verify(token).await.is_ok());
        }
    }
    assert!(store.hook().take_loads().is_empty());
    let elsewhere = World::elsewhere(memory as _).await;
    elsewhere.tokens.manage(&elsewhere.owner).revoke(revoked.token.id).await.unwrap();
    world.background.turn().await.unwrap();
    assert_eq!(store.hook().take_loads(), [10], "what is used, once each");
    assert_eq!(world.cached(&revoked).unwrap().unwrap_err(), Reason::Revoked);
    world.clock.advance(seconds(3));
    assert!(minted.iter().all(|token| world.cached(token).unwrap().is_ok()), "past what they were first read with");
    assert!(idle.iter().all(|token| world.cached(token).is_none()), "what nobody uses is left to grow old");
}

#[tokio::test]
async fn a_token_that_is_gone_is_not_kept() {
    let (memory, store) = weathered();
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&[]).await;
    world.tokens.manage(&world.owner).revoke(minted.token.id).await.unwrap();
    assert!(world.verify(&minted).await.is_err());
    world.clock.advance(seconds(3));
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::Revoked);
    assert_eq!(memory.purge(Time::MAX, false, 10).await.unwrap(), 1);
    world.background.turn().await.unwrap();
    assert!(world.cached(&minted).is_none());
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::UnknownSelector);
}

/// Answers until it is told to panic.
struct Moody(Arc<AtomicBool>);

#[async_trait]
impl Ceilings for Moody {
    async fn ceiling(&self, _owner: &OwnerId) -> Result<Option<Ceiling>, Box<dyn Error + Send + Sync>> {
        assert!(!self.0.load(Ordering::SeqCst), "a bug of the host's");
        Ok(Some(Ceiling::Everything))
    }
}

#[tokio::test]
async fn a_hook_that_panics_while_refreshing_ends_nothing_early_and_prolongs_nothing() {
    let (_, store) = weathered();
    let panics = Arc::new(AtomicBool::new(false));
    let world = World::with(store, |builder| builder.ceilings(Moody(Arc::clone(&panics)))).await;
    let minted = world.create(&[]).await;
    assert!(world.verify(&minted).await.is_ok());
    panics.store(true, Ordering::SeqCst);
    world.clock.advance(seconds(4));
    assert!(world.verify(&minted).await.is_ok());
    world.background.turn().await.unwrap();
    assert!(world.verify(&minted).await.is_ok());
    world.clock.advance(seconds(1));
    for _ in 0..2 {
        assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::CeilingUnavailable);
    }
    panics.store(false, Ordering::SeqCst);
    assert!(world.verify(&minted).await.is_ok(), "what the host did not say is not remembered");
}

#[tokio::test]
async fn a_change_whose_outcome_is_unknown_is_looked_up() {
    struct Lossy;

    #[async_trait]
    impl Hook for Lossy {
        async fn after(&self, call: Call) -> Result<(), StoreError> {
            if call == Call::Commit { Err(Fault::OutcomeUnknown.into()) } else { Ok(()) }
        }
    }

    let (memory, _) = weathered();
    let minted = World::elsewhere(Arc::clone(&memory) as _).await.create(&[]).await;
    let world = World::on(Arc::new(HookedStore::hooked(memory, Lossy))).await;
    assert!(world.verify(&minted).await.is_ok());
    let unknown = world.tokens.manage(&world.owner).revoke(minted.token.id).await;
    assert!(matches!(unknown, Err(ManageError::OutcomeUnknown { .. })));
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::Revoked);
}

#[tokio::test]
async fn a_digest_under_an_old_key_is_remade_once_and_served_meanwhile() {
    let (memory, store) = weathered();
    let minted = World::elsewhere(Arc::clone(&memory) as _).await.create(&[]).await;
    let both = format!("k2:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA,{KEYS}");
    let world = World::keyed(Arc::clone(&store) as _, &both, |builder| builder).await;
    for _ in 0..3 {
        assert!(world.verify(&minted).await.is_ok());
    }
    world.background.turn().await.unwrap();
    let rows = memory.load(&[minted.token.current.selector]).await.unwrap();
    assert_eq!(rows[0].secret.key.as_str(), "k2");
    assert!(world.verify(&minted).await.is_ok(), "compared with the digest that was read");
    world.clock.advance(MAX_STALENESS);
    assert!(world.verify(&minted).await.is_ok(), "and with the new one");
}

#[tokio::test]
async fn a_refresh_believes_what_was_shown_of_the_same_digest_only() {
    let (memory, store) = weathered();
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&[]).await;
    let wrong = token_core::testing::with_wrong_verifier(text(&minted));
    let in_use = async || {
        assert!(world.verify(&minted).await.is_ok());
        world.clock.advance(seconds(3));
        assert!(world.verify(&minted).await.is_ok());
    };
    in_use().await;
    world.background.turn().await.unwrap();
    store.hook().take_loads();
    assert!(world.cached(&minted).unwrap().is_ok());
    assert_eq!(world.present(&wrong).await.unwrap_err(), Reason::WrongVerifier);
    assert!(store.hook().take_loads().is_empty(), "both were judged by what was refreshed");

    in_use().await;
    let selector = minted.token.current.selector;
    let key = memory.load(&[selector]).await.unwrap()[0].secret.key.clone();
    let redigest = Redigest { selector, from: key.clone(), to: key, digest: Digest::from_bytes([2; 32]) };
    memory.record(&Tallies { redigests: vec![redigest], ..Tallies::default() }).await.unwrap();
    world.background.turn().await.unwrap();
    assert!(world.cached(&minted).is_none(), "what is stored by now was never shown to be right");
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::WrongVerifier);
}

#[tokio::test]
async fn the_cache_holds_no_more_than_it_may() {
    let (_, store) = weathered();
    let world = World::with(Arc::clone(&store) as _, |builder| builder.cache_size(10)).await;
    let mut minted = Vec::new();
    for _ in 0..50 {
        minted.push(world.create(&[]).await);
        assert!(world.verify(minted.last().unwrap()).await.is_ok());
    }
    let kept = minted.iter().filter(|token| world.cached(token).is_some()).count();
    assert!((1..=10).contains(&kept), "{kept} are kept");
    for token in &minted {
        assert!(world.verify(token).await.is_ok());
    }
}

/// Or memory would be whoever makes tokens likes.
#[tokio::test]
async fn a_token_that_names_many_resources_counts_for_what_it_takes() {
    let (_, store) = weathered();
    let world = World::with(Arc::clone(&store) as _, |builder| builder.cache_size(320)).await;
    let ids = (0..1000).map(|number| ResourceId::new(format!("{number}")).unwrap());
    let resources = Resources::Only(ResourceSet::new(ids).unwrap());
    let large = Grants::new([Grant { scope: ScopeName::new("billing:*").unwrap(), resources }]).unwrap();
    let (mut minted, mut kept) = (Vec::new(), Vec::new());
    for grants in [large, grants(&["projects:read"])] {
        minted.clear();
        for _ in 0..40 {
            minted.push(
                world.tokens.manage(&world.owner).create(&NewToken::new(name("one"), grants.clone())).await.unwrap(),
            );
            assert!(world.verify(minted.last().unwrap()).await.is_ok());
        }
        kept.push(minted.iter().filter(|token| world.cached(token).is_some()).count());
    }
    assert!((1..=16).contains(&kept[0]) && kept[1] == 40, "{kept:?} are kept");
}

#[tokio::test]
async fn a_bound_that_is_none_is_refused() {
    for (bound, fits) in [(seconds(0), false), (seconds(1), true), (minutes(60), true), (minutes(61), false)] {
        let (memory, _) = weathered();
        let builder = Tokens::builder_on(memory).prefix("acme_test").keyring(Keyring::parse(KEYS).unwrap());
        let built = builder.max_staleness(bound).build().await;
        assert_eq!(!matches!(built, Err(BuildError::MaxStaleness)), fits, "{bound:?}");
    }
}

#[tokio::test]
async fn a_bound_that_a_clock_lags_by_is_refused() {
    for (bound, fits) in [(seconds(1), false), (seconds(2), true)] {
        let (memory, _) = weathered();
        let clock = Lagging(Arc::new(ManualClock::at(crate::world::start())));
        let builder = Tokens::builder_on(memory).prefix("acme_test").keyring(Keyring::parse(KEYS).unwrap());
        let built = builder.clock(clock).max_staleness(bound).build().await;
        assert_eq!(!matches!(built, Err(BuildError::MaxStaleness)), fits, "{bound:?}");
    }
}

/// Answers of loads that wait on their way.
#[derive(Default)]
struct Slow {
    holds: AtomicBool,
    held: Notify,
    go: Notify,
}

#[async_trait]
impl Hook for Slow {
    async fn after(&self, call: Call) -> Result<(), StoreError> {
        if call == Call::Load && self.holds.swap(false, Ordering::SeqCst) {
            self.held.notify_one();
            self.go.notified().await;
        }
        Ok(())
    }
}

/// A service with a token that is due to be refreshed; then a refresh, which holds what was read before all of this was done.
async fn refreshed_meanwhile(meanwhile: impl AsyncFnOnce(&World, &Minted)) -> (World, Minted) {
    let store = Arc::new(HookedStore::hooked(Arc::new(MemoryStore::new()), Slow::default()));
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&[]).await;
    assert!(world.verify(&minted).await.is_ok());
    world.clock.advance(seconds(3));
    assert!(world.cached(&minted).unwrap().is_ok());
    let slow = store.hook();
    slow.holds.store(true, Ordering::SeqCst);
    let changing = async {
        slow.held.notified().await;
        meanwhile(&world, &minted).await;
        slow.go.notify_one();
    };
    let (turned, ()) = tokio::join!(world.background.turn(), changing);
    turned.unwrap();
    (world, minted)
}

#[tokio::test]
async fn a_refresh_that_was_read_before_a_change_does_not_undo_it() {
    let (world, minted) = refreshed_meanwhile(async |world, minted| {
        world.tokens.manage(&world.owner).revoke(minted.token.id).await.unwrap();
    })
    .await;
    assert!(world.cached(&minted).is_none());
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::Revoked);
}

#[tokio::test]
async fn what_a_refresh_read_is_as_old_as_its_question() {
    let (world, minted) = refreshed_meanwhile(async |world, _| world.clock.advance(MAX_STALENESS - seconds(1))).await;
    assert!(world.cached(&minted).unwrap().is_ok());
    world.clock.advance(seconds(1));
    assert!(world.cached(&minted).is_none());
}
