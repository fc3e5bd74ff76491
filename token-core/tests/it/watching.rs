//! What the background asks of stored usage, and what it does to it.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use async_trait::async_trait;
use token_core::testing::{Call as Asked, Hook, HookedStore};
use token_core::{
    AuditSink, Call, Caller, Credential, Event, Fault, ManageError, MemoryStore, Minted, Policy, PolicyError,
    Retention, SignalKind, StoreError, Time, TokenStore, Tokens, UsageRules, Whose,
};

use crate::world::{World, minutes, seconds, text};

/// Notes what the store is asked for, and lets it fail at what is to fail, once each.
#[derive(Default)]
struct Noted {
    asked: Mutex<Vec<Asked>>,
    failing: Mutex<Vec<Asked>>,
}

#[async_trait]
impl Hook for Noted {
    async fn before(&self, call: Asked) -> Result<(), StoreError> {
        self.asked.lock().unwrap().push(call);
        let mut failing = self.failing.lock().unwrap();
        match failing.first() {
            Some(next) if *next == call => {
                failing.remove(0);
                Err(Fault::ConnectionLost.into())
            }
            _ => Ok(()),
        }
    }
}

/// How often the store was asked for this since the last time.
fn asked(store: &HookedStore<Noted>, call: Asked) -> usize {
    let all = std::mem::take(&mut *store.hook().asked.lock().unwrap());
    all.into_iter().filter(|asked| *asked == call).count()
}

async fn watched() -> (World, Arc<HookedStore<Noted>>) {
    let store = Arc::new(HookedStore::hooked(Arc::new(MemoryStore::new()), Noted::default()));
    (World::on(Arc::clone(&store) as _).await, store)
}

async fn used_from(world: &World, minted: &Minted, address: &str) {
    use_from(world, minted, address.parse().unwrap()).await;
    world.tokens.flush().await.unwrap();
}

/// Used, and not flushed yet.
async fn use_from(world: &World, minted: &Minted, address: IpAddr) {
    use_of(&world.tokens, minted, address).await;
}

async fn use_of(tokens: &Tokens, minted: &Minted, address: IpAddr) {
    let credential = Credential::Borrowed(text(minted).as_bytes());
    let verified = tokens.authenticate(Ok(credential), Caller::at(address)).await.unwrap();
    tokens.tally_use(&verified, &Call::default());
}

async fn signals(store: &dyn TokenStore, kind: SignalKind) -> Vec<String> {
    let signals = store.signals(&Whose::Everyone, Time::EPOCH, 10_000).await.unwrap();
    signals.into_iter().filter(|signal| signal.kind == kind).map(|signal| signal.subject).collect()
}

/// Whoever has a secret may come from as many networks as there are: each is asked about, and told, once in a while.
#[tokio::test]
async fn a_new_network_is_asked_about_once_in_a_while() {
    let (world, store) = watched().await;
    let minted = world.create(&["projects:read"]).await;
    used_from(&world, &minted, "198.51.100.1").await;
    world.clock.advance(minutes(3 * 24 * 60));
    asked(&store, Asked::NovelSources);

    let mut times = Vec::new();
    for _ in 0..3 {
        used_from(&world, &minted, "203.0.113.1").await;
        times.push(asked(&store, Asked::NovelSources));
        world.clock.advance(seconds(1));
    }
    assert_eq!(times, [1, 0, 0]);
    let concerns = world.tokens.manage(&world.owner).attention(None).await.unwrap();
    assert!(format!("{concerns:?}").contains("203.0.113.0/24"), "{concerns:?}");
    world.clock.advance(minutes(11));
    asked(&store, Asked::NovelSources);
    used_from(&world, &minted, "203.0.113.1").await;
    assert_eq!(asked(&store, Asked::NovelSources), 1, "and is told of again");
}

/// Whatever fails of it: that a network is new is found out later, though it is not used again.
#[tokio::test]
async fn what_could_not_be_looked_at_is_looked_at_with_the_next_flush() {
    for failing in [
        vec![Asked::NovelSources],
        // The signal itself can't be stored: counts are what is recorded first.
        vec![Asked::NovelSources, Asked::Record],
        vec![Asked::Busy],
        vec![Asked::NovelSources, Asked::Busy],
    ] {
        let (world, store) = watched().await;
        let minted = world.create(&["projects:read"]).await;
        used_from(&world, &minted, "198.51.100.1").await;
        world.clock.advance(minutes(3 * 24 * 60));
        for _ in 0..1500 {
            use_from(&world, &minted, "203.0.113.1".parse().unwrap()).await;
        }
        *store.hook().failing.lock().unwrap() = failing.clone();
        while !store.hook().failing.lock().unwrap().is_empty() {
            world.tokens.flush().await.unwrap_err();
        }
        world.tokens.flush().await.unwrap();
        assert_eq!(signals(&*store, SignalKind::NewNetwork).await, ["203.0.113.0/24"], "{failing:?}");
        assert_eq!(signals(&*store, SignalKind::Burst).await.len(), 1, "{failing:?}");
        asked(&store, Asked::NovelSources);
        world.tokens.flush().await.unwrap();
        assert_eq!(asked(&store, Asked::NovelSources), 0, "and then no more");
    }
}

/// Of what was cut off it is not said that it is usual.
#[tokio::test]
async fn of_more_new_networks_than_are_asked_for_at_once_the_rest_is_told_when_it_is_used_again() {
    let (world, store) = watched().await;
    let minted = world.create(&["projects:read"]).await;
    used_from(&world, &minted, "198.51.100.1").await;
    world.clock.advance(minutes(3 * 24 * 60));
    let first = |number: u16| IpAddr::from([10, number.to_be_bytes()[0], number.to_be_bytes()[1], 1]);
    for number in 0..1005 {
        use_from(&world, &minted, first(number)).await;
        world.clock.advance(std::time::Duration::from_millis(1));
    }
    asked(&store, Asked::NovelSources);
    world.tokens.flush().await.unwrap();
    assert_eq!(asked(&store, Asked::NovelSources), 1);
    let told = signals(&*store, SignalKind::NewNetwork).await;
    assert_eq!(told.len(), 1000);
    let oldest = "10.0.0.0/24".to_owned();
    assert!(!told.contains(&oldest), "the latest are told");

    use_from(&world, &minted, first(0)).await;
    world.tokens.flush().await.unwrap();
    assert_eq!(asked(&store, Asked::NovelSources), 1, "it is not known to be usual");
    assert!(signals(&*store, SignalKind::NewNetwork).await.contains(&oldest));
}

#[tokio::test]
async fn a_network_is_new_by_the_first_of_all_and_not_by_the_first_that_is_shown() {
    let (world, _) = watched().await;
    let minted = world.create(&["projects:read"]).await;
    used_from(&world, &minted, "198.51.100.1").await;
    let manage = world.tokens.manage(&world.owner);
    let shown = manage.usage_detail(minted.token.id).await.unwrap().sources;
    assert_eq!(shown.iter().map(|seen| seen.is_new).collect::<Vec<_>>(), [false], "those of the first day are usual");

    world.clock.advance(minutes(3 * 24 * 60));
    for number in 0..101 {
        use_from(&world, &minted, IpAddr::from([10, 0, number, 1])).await;
    }
    world.tokens.flush().await.unwrap();
    let shown = manage.usage_detail(minted.token.id).await.unwrap().sources;
    assert_eq!(shown.len(), 100);
    assert!(shown.iter().all(|seen| seen.is_new));
}

/// Whether it was woken.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn usage_that_comes_in_masses_is_stored_before_its_time_and_none_of_it_is_dropped() {
    let (world, store) = watched().await;
    let minted = world.create(&["projects:read"]).await;
    let (tokens, mut background) = (world.tokens, pin!(world.background));
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    assert!(background.as_mut().poll(&mut context).is_pending());
    asked(&store, Asked::Record);

    // A network counts once another follows it.
    let from = |number: u16| IpAddr::from([10, number.to_be_bytes()[0], number.to_be_bytes()[1], 1]);
    for number in 0..50_000 {
        use_of(&tokens, &minted, from(number)).await;
    }
    bell.0.store(false, Ordering::SeqCst);
    use_of(&tokens, &minted, from(50_000)).await;
    assert!(bell.0.load(Ordering::SeqCst), "at half of what there is room for");
    assert!(background.as_mut().poll(&mut context).is_pending());
    assert!(asked(&store, Asked::Record) >= 1);
    let stored = store.usage(minted.token.id, Time::EPOCH).await.unwrap();
    assert_eq!(stored.hours.iter().map(|hour| hour.count).sum::<u64>(), 50_001);
}

/// A clock that can't be believed reads as the end of time, by which all usage would be old.
#[tokio::test]
async fn nothing_is_forgotten_by_a_clock_at_the_end_of_time() {
    let (world, store) = watched().await;
    world.clock.set_wall(Time::MAX);
    world.background.turn().await.unwrap();
    assert_eq!(asked(&store, Asked::Fold), 0);

    world.clock.set_wall(crate::world::start());
    world.background.turn().await.unwrap();
    assert_eq!(asked(&store, Asked::Fold), 1);
}

/// The policy may ask for more to be kept than is kept without one.
#[tokio::test]
async fn nothing_is_forgotten_before_the_policy_was_read() {
    let (world, store) = watched().await;
    for tried in [Err(Fault::ConnectionLost), Ok(())] {
        store.hook().failing.lock().unwrap().extend(tried.err().map(|_| Asked::Meta));
        world.background.turn().await.unwrap();
        assert_eq!(asked(&store, Asked::Fold), usize::from(tried.is_ok()), "{tried:?}");
    }
}

/// A sink that takes nothing.
struct Refusing;

#[async_trait]
impl AuditSink for Refusing {
    async fn deliver(&self, _: &Event) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Err("the SIEM is down".into())
    }
}

#[tokio::test]
async fn dead_tokens_are_purged_by_the_background_as_the_policy_says() {
    let retention = Retention { dead_tokens: Some(minutes(30 * 24 * 60)), ..Retention::default() };
    let by_policy = Policy { usage: UsageRules { retention, ..UsageRules::default() }, ..Policy::default() };
    // What the policy is, whether events are to be delivered, which they can't be; and whether the token is gone.
    for (policy, delivers, gone) in
        [(&by_policy, false, true), (&by_policy, true, false), (&Policy::default(), false, false)]
    {
        let world = World::with(Arc::new(MemoryStore::new()), |builder| {
            let builder = builder.initial_policy(policy.clone());
            if delivers { builder.audit_sink(Refusing) } else { builder }
        })
        .await;
        let manage = world.tokens.manage(&world.owner);
        let (dead, live) = (world.create(&[]).await.token.id, world.create(&[]).await.token.id);
        manage.revoke(dead).await.unwrap();
        for day in 1..=30 {
            assert!(manage.token(dead).await.is_ok(), "day {day}");
            world.clock.advance(minutes(24 * 60 + 1));
            world.background.turn().await.unwrap();
        }
        let found = manage.token(dead).await;
        assert_eq!(matches!(found, Err(ManageError::NotFound)), gone, "{policy:?}, {delivers}: {found:?}");
        assert!(manage.token(live).await.is_ok(), "one that lives stays");
    }
}

#[tokio::test]
async fn how_long_dead_tokens_are_kept_is_under_the_seal_of_the_policy_and_not_short() {
    let kept = |days: u64| {
        let retention = Retention { dead_tokens: Some(minutes(days * 24 * 60)), ..Retention::default() };
        Policy { usage: UsageRules { retention, ..UsageRules::default() }, ..Policy::default() }
    };
    let store = Arc::new(MemoryStore::new());
    let world = World::on(Arc::clone(&store) as _).await;
    let manage = world.tokens.manage(&world.admin);
    assert!(matches!(manage.set_policy(&kept(0)).await, Err(ManageError::Policy(PolicyError::Usage))));
    manage.set_policy(&kept(90)).await.unwrap();
    assert_eq!(manage.policy().await.unwrap(), kept(90));

    let stored = String::from_utf8(store.meta("policy").await.unwrap().unwrap()).unwrap();
    for (forged, believed) in [("7776000", true), ("7776001", false), ("null", false)] {
        let copy = Arc::new(MemoryStore::new());
        let forged = stored.replace("\"dead_tokens\":7776000", &format!("\"dead_tokens\":{forged}"));
        copy.meta_or_insert("policy", forged.as_bytes()).await.unwrap();
        let world = World::on(copy as _).await;
        let policy = world.tokens.manage(&world.admin).policy().await;
        assert_eq!(policy.is_ok(), believed, "{forged}: {policy:?}");
    }
}
