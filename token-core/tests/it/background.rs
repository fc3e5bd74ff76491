//! The work between requests: events reach the sink at least once and in order, whatever the sink does.

use std::collections::HashSet;
use std::error::Error;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use token_core::testing::{Call, Hook, HookedStore};
use token_core::{AuditSink, Edit, Event, Fault, MemoryStore, StoreError, Subject, Time, TokenId};

use crate::world::{World, minutes, name};

#[derive(Default)]
struct Sink {
    seen: Mutex<Vec<(String, u64)>>,
    mood: Mutex<Mood>,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Mood {
    #[default]
    Fine,
    Failing,
    Panicking,
    Hanging,
}

struct Shared(Arc<Sink>);

#[async_trait]
impl AuditSink for Shared {
    async fn deliver(&self, event: &Event) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mood = *self.0.mood.lock().unwrap();
        match mood {
            Mood::Fine => {}
            Mood::Failing => return Err("the SIEM is down".into()),
            Mood::Panicking => panic!("a bug in the host's sink"),
            Mood::Hanging => std::future::pending().await,
        }
        self.0.seen.lock().unwrap().push((event.detail()?.kind().to_owned(), event.seq));
        Ok(())
    }
}

#[tokio::test]
async fn every_event_is_delivered_in_order_through_failures_and_panics_of_the_sink() {
    let sink = Arc::new(Sink::default());
    let world =
        World::with(Arc::new(MemoryStore::new()), |builder| builder.audit_sink(Shared(Arc::clone(&sink)))).await;
    let minted = world.create(&[]).await;
    for mood in [Mood::Failing, Mood::Panicking] {
        *sink.mood.lock().unwrap() = mood;
        world.background.turn().await.unwrap();
        // Leased: asked for again only when the lease has ended.
        world.clock.advance(minutes(1));
    }
    let rename = Edit { name: Some(name("renamed")), ..Edit::default() };
    world.tokens.manage(&world.owner).edit(minted.token.id, &rename).await.unwrap();
    world.tokens.manage(&world.owner).revoke(minted.token.id).await.unwrap();
    assert!(sink.seen.lock().unwrap().is_empty());
    *sink.mood.lock().unwrap() = Mood::Fine;
    world.background.turn().await.unwrap();
    world.background.turn().await.unwrap();
    let expected: Vec<(String, u64)> =
        [("created", 1), ("edited", 2), ("revoked", 3)].map(|(kind, seq)| (kind.to_owned(), seq)).into();
    assert_eq!(*sink.seen.lock().unwrap(), expected);
}

struct Unwritable(Mutex<bool>);

#[async_trait]
impl Hook for Unwritable {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        if call == Call::Record && *self.0.lock().unwrap() { Err(Fault::DiskFull.into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn usage_that_could_not_be_stored_is_kept_and_stored_later() {
    let store = Arc::new(HookedStore::hooked(Arc::new(MemoryStore::new()), Unwritable(Mutex::new(true))));
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&[]).await;
    for _ in 0..2 {
        let verified = world.verify(&minted).await.unwrap();
        world.tokens.tally_use(&verified, &token_core::Call::default());
        assert_eq!(world.tokens.flush().await.unwrap_err().fault(), Fault::DiskFull);
    }
    *store.hook().0.lock().unwrap() = false;
    world.tokens.flush().await.unwrap();
    let usage = world.tokens.manage(&world.owner).usage(minted.token.id, Time::EPOCH).await.unwrap();
    assert_eq!(usage.hours[0].count, 2);
}

#[tokio::test]
async fn a_sink_that_hangs_keeps_no_usage_from_being_stored() {
    let sink = Arc::new(Sink::default());
    *sink.mood.lock().unwrap() = Mood::Hanging;
    let world =
        World::with(Arc::new(MemoryStore::new()), |builder| builder.audit_sink(Shared(Arc::clone(&sink)))).await;
    let minted = world.create(&[]).await;
    let verified = world.verify(&minted).await.unwrap();
    let World { tokens, background, owner, .. } = world;
    let running = tokio::spawn(background);
    tokio::task::yield_now().await;
    tokens.tally_use(&verified, &token_core::Call::default());
    let stored = async {
        while tokens.manage(&owner).usage(minted.token.id, Time::EPOCH).await.unwrap().hours.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    // Sooner than the sink is given up on.
    let soon = std::time::Duration::from_secs(7);
    tokio::time::timeout(soon, stored).await.expect("the use was not stored");
    running.abort();
}

/// A sink that is written without the macro, and panics as it is called, before there is a future.
struct AtTheCall(Arc<Sink>);

impl AuditSink for AtTheCall {
    fn deliver<'sink, 'event, 'future>(
        &'sink self,
        event: &'event Event,
    ) -> Pin<Box<dyn Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'future>>
    where
        'sink: 'future,
        'event: 'future,
    {
        if std::mem::take(&mut *self.0.mood.lock().unwrap()) == Mood::Panicking {
            panic!("a bug in the host's sink");
        }
        self.0.seen.lock().unwrap().push((event.detail().unwrap().kind().to_owned(), event.seq));
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn a_sink_that_panics_as_it_is_called_ends_nothing_of_the_background() {
    let sink = Arc::new(Sink::default());
    *sink.mood.lock().unwrap() = Mood::Panicking;
    let world =
        World::with(Arc::new(MemoryStore::new()), |builder| builder.audit_sink(AtTheCall(Arc::clone(&sink)))).await;
    let minted = world.create(&[]).await;
    let verified = world.verify(&minted).await.unwrap();
    let World { tokens, background, owner, clock, .. } = world;
    let running = tokio::spawn(background);
    soon("the sink was not called", || *sink.mood.lock().unwrap() == Mood::Fine).await;

    tokens.tally_use(&verified, &token_core::Call::default());
    let manage = tokens.manage(&owner);
    let stored = async {
        while manage.usage(minted.token.id, Time::EPOCH).await.unwrap().hours.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(minutes(1), stored).await.expect("the use was not stored");

    assert!(sink.seen.lock().unwrap().is_empty(), "its lease has not ended");
    clock.advance(minutes(1));
    manage.revoke(minted.token.id).await.unwrap();
    soon("the events were not delivered", || sink.seen.lock().unwrap().len() == 2).await;
    assert_eq!(*sink.seen.lock().unwrap(), [("created".to_owned(), 1), ("revoked".to_owned(), 2)]);
    running.abort();
}

/// Hangs over some subjects, for as long as it is told to.
#[derive(Default)]
struct Choosy {
    hangs_over: Mutex<HashSet<Subject>>,
    seen: Mutex<Vec<(Subject, u64)>>,
}

struct SharedChoosy(Arc<Choosy>);

#[async_trait]
impl AuditSink for SharedChoosy {
    async fn deliver(&self, event: &Event) -> Result<(), Box<dyn Error + Send + Sync>> {
        while self.0.hangs_over.lock().unwrap().contains(&event.subject) {
            tokio::task::yield_now().await;
        }
        self.0.seen.lock().unwrap().push((event.subject.clone(), event.seq));
        Ok(())
    }
}

#[tokio::test]
async fn a_sink_that_hangs_over_some_subjects_delays_no_event_of_others_and_no_change() {
    let sink = Arc::new(Choosy::default());
    let world =
        World::with(Arc::new(MemoryStore::new()), |builder| builder.audit_sink(SharedChoosy(Arc::clone(&sink)))).await;
    let hanging = [world.create(&[]).await.token.id, world.create(&[]).await.token.id];
    sink.hangs_over.lock().unwrap().extend(hanging.map(Subject::Token));
    let other = world.create(&[]).await.token.id;
    let World { tokens, background, owner, clock, .. } = world;
    let running = tokio::spawn(background);
    let seen = |events: &[(TokenId, u64)]| {
        let events: Vec<_> = events.iter().map(|(token, seq)| (Subject::Token(*token), *seq)).collect();
        *sink.seen.lock().unwrap() == events
    };
    soon("an event waits for those of others", || seen(&[(other, 1)])).await;

    let rename = Edit { name: Some(name("renamed")), ..Edit::default() };
    let manage = tokens.manage(&owner);
    manage.edit(hanging[0], &rename).await.unwrap();
    manage.revoke(hanging[1]).await.unwrap();
    manage.revoke(other).await.unwrap();
    soon("an event waits for those of others", || seen(&[(other, 1), (other, 2)])).await;

    sink.hangs_over.lock().unwrap().clear();
    let all = || {
        // Should they have been given up on meanwhile.
        clock.advance(minutes(1));
        sink.seen.lock().unwrap().len() == 6
    };
    soon("what it had hung over was not delivered", all).await;
    for token in hanging {
        let mut of_it = sink.seen.lock().unwrap().clone();
        of_it.retain(|(subject, _)| *subject == Subject::Token(token));
        assert_eq!(of_it, [1, 2].map(|seq| (Subject::Token(token), seq)));
    }
    running.abort();
}

/// Lets others run until it is so.
async fn soon(otherwise: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(minutes(1), waiting).await.expect(otherwise);
}

/// Lets calls that record wait, before the store is asked or after it has answered.
#[derive(Default)]
struct Stuck {
    before: AtomicBool,
    after: AtomicBool,
}

async fn while_set(stuck: &AtomicBool) {
    while stuck.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl Hook for Stuck {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        if call == Call::Record {
            while_set(&self.before).await;
        }
        Ok(())
    }

    async fn after(&self, call: Call) -> Result<(), StoreError> {
        if call == Call::Record {
            while_set(&self.after).await;
        }
        Ok(())
    }
}

/// Whether what was counted had reached the store or not: nobody knows, so it must not be asked for again.
#[tokio::test]
async fn a_flush_that_is_given_up_is_gone_on_with_and_counts_once() {
    let store = Arc::new(HookedStore::hooked(Arc::new(MemoryStore::new()), Stuck::default()));
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&[]).await;
    let mut used = 0;
    for stuck in [&store.hook().before, &store.hook().after] {
        world.tokens.tally_use(&world.verify(&minted).await.unwrap(), &token_core::Call::default());
        stuck.store(true, Ordering::Relaxed);
        tokio::select! {
            biased;
            _ = world.tokens.flush() => panic!("a store that is stuck has answered"),
            () = std::future::ready(()) => {}
        }
        // What comes meanwhile is stored as well.
        world.tokens.tally_use(&world.verify(&minted).await.unwrap(), &token_core::Call::default());
        stuck.store(false, Ordering::Relaxed);
        world.tokens.flush().await.unwrap();
        used += 2;
        let usage = world.tokens.manage(&world.owner).usage(minted.token.id, Time::EPOCH).await.unwrap();
        assert_eq!(usage.hours[0].count, used);
    }
}

/// How many acknowledgements are under way, and how many were at once.
#[derive(Default)]
struct Acks {
    under_way: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Hook for Acks {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        if call == Call::Ack {
            self.most.fetch_max(self.under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn after(&self, call: Call) -> Result<(), StoreError> {
        if call == Call::Ack {
            self.under_way.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

#[tokio::test]
async fn however_many_subjects_are_delivered_at_once_the_store_is_told_of_one() {
    let store = Arc::new(HookedStore::hooked(Arc::new(MemoryStore::new()), Acks::default()));
    let sink = Arc::new(Sink::default());
    let world = World::with(Arc::clone(&store) as _, |builder| builder.audit_sink(Shared(Arc::clone(&sink)))).await;
    for _ in 0..20 {
        world.create(&[]).await;
    }
    world.background.turn().await.unwrap();
    assert_eq!((sink.seen.lock().unwrap().len(), store.hook().most.load(Ordering::SeqCst)), (20, 1));
}

#[tokio::test]
async fn nothing_is_delivered_by_a_clock_at_the_end_of_time() {
    let sink = Arc::new(Sink::default());
    let world =
        World::with(Arc::new(MemoryStore::new()), |builder| builder.audit_sink(Shared(Arc::clone(&sink)))).await;
    world.create(&[]).await;
    world.clock.set_wall(Time::MAX);
    world.background.turn().await.unwrap();
    assert!(sink.seen.lock().unwrap().is_empty());
    world.clock.set_wall(crate::world::start());
    world.background.turn().await.unwrap();
    assert_eq!(*sink.seen.lock().unwrap(), [("created".to_owned(), 1)]);
}

#[tokio::test]
async fn a_spawned_background_works_by_itself() {
    let sink = Arc::new(Sink::default());
    let world =
        World::with(Arc::new(MemoryStore::new()), |builder| builder.audit_sink(Shared(Arc::clone(&sink)))).await;
    let World { tokens, background, owner, .. } = world;
    let running = tokio::spawn(background);
    tokens.manage(&owner).create(&crate::world::request(&[])).await.unwrap();
    let delivered = async {
        while sink.seen.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(minutes(1), delivered).await.expect("the event was not delivered");
    running.abort();
}

/// A sink that is killed is one whose process ends: what it had not acknowledged is delivered by the next, again if need be.
#[tokio::test]
async fn what_a_killed_process_was_delivering_is_delivered_by_the_next() {
    let store: Arc<MemoryStore> = Arc::new(MemoryStore::new());
    let hanging = Arc::new(Sink::default());
    *hanging.mood.lock().unwrap() = Mood::Hanging;
    let first = World::with(Arc::clone(&store) as _, |builder| builder.audit_sink(Shared(Arc::clone(&hanging)))).await;
    let minted = first.create(&[]).await;
    {
        // Taken, and never answered: the process ends in the middle.
        let turn = first.background.turn();
        tokio::select! {
            biased;
            _ = turn => panic!("a sink that hangs has answered"),
            () = tokio::task::yield_now() => {}
        }
    }
    // Meanwhile nothing waits for it.
    first.tokens.manage(&first.owner).revoke(minted.token.id).await.unwrap();
    drop(first);

    let sink = Arc::new(Sink::default());
    let next = World::with(store, |builder| builder.audit_sink(Shared(Arc::clone(&sink)))).await;
    next.background.turn().await.unwrap();
    assert!(sink.seen.lock().unwrap().is_empty(), "the lease of the first has not ended");
    next.clock.advance(minutes(1));
    next.background.turn().await.unwrap();
    let expected: Vec<(String, u64)> =
        [("created", 1), ("revoked", 2)].map(|(kind, seq)| (kind.to_owned(), seq)).into();
    assert_eq!(*sink.seen.lock().unwrap(), expected);
}
