//! Everyone who waits gets an answer, whoever leads and whoever goes away.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::loads::{Limits, Loads, Turn};

/// Two loads at most, the second where two keys wait.
const LIMITS: Limits = Limits { at_once: 1, under_way: 2, many: 2, batch: 2, waited_for: 10 };

/// One at a time, where there are orders enough to try without a second.
const ONE: Limits = Limits { under_way: 1, ..LIMITS };

struct World {
    loads: Loads<u32, u32>,
    asked: AtomicUsize,
}

impl World {
    fn new() -> Arc<World> {
        Arc::new(World { loads: Loads::new(LIMITS), asked: AtomicUsize::new(0) })
    }

    async fn load(&self, key: u32) -> u32 {
        let mut waiter = self.loads.join(key).unwrap();
        loop {
            match waiter.turn().await {
                Turn::Answered(answer) => return answer,
                Turn::Lead(lead) => {
                    give_way().await;
                    self.asked.fetch_add(1, Ordering::Relaxed);
                    let answers: Vec<u32> = lead.keys().iter().map(|key| key * 10).collect();
                    lead.land(answers);
                }
            }
        }
    }
}

/// A store that does not answer at once.
async fn give_way() {
    let mut gave_way = false;
    poll_fn(|context| {
        if gave_way {
            return Poll::Ready(());
        }
        gave_way = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls it once and lets it go, wherever it has come to.
async fn once(future: impl Future) {
    let mut future = pin!(future);
    poll_fn(|context| {
        let _ = future.as_mut().poll(context).is_ready();
        Poll::Ready(())
    })
    .await;
}

#[test]
fn all_who_wait_are_answered() {
    loom::model(|| {
        let world = World::new();
        let other = {
            let world = world.clone();
            thread::spawn(move || block_on(world.load(1)))
        };
        assert_eq!(block_on(world.load(1)), 10);
        assert_eq!(other.join().unwrap(), 10);
        assert!(world.asked.load(Ordering::Relaxed) <= 2);
        assert_eq!(world.loads.waited_for(), 0);
    });
}

#[test]
fn a_leader_that_is_dropped_hands_its_keys_over() {
    loom::model(|| {
        let world = World::new();
        let leaving = {
            let world = world.clone();
            thread::spawn(move || block_on(once(world.load(1))))
        };
        assert_eq!(block_on(world.load(1)), 10);
        leaving.join().unwrap();
        assert_eq!(world.loads.waited_for(), 0);
    });
}

#[test]
fn one_that_was_called_to_lead_and_goes_away_calls_another() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let world = World::new();
        let leaving = {
            let world = world.clone();
            thread::spawn(move || block_on(once(world.load(1))))
        };
        let waiting = {
            let world = world.clone();
            thread::spawn(move || block_on(world.load(2)))
        };
        assert_eq!(block_on(world.load(3)), 30);
        assert_eq!(waiting.join().unwrap(), 20);
        leaving.join().unwrap();
        assert_eq!(world.loads.waited_for(), 0);
    });
}

/// Whether a waiter was called.
#[derive(Default)]
struct Called(std::sync::atomic::AtomicBool);

impl Wake for Called {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn who_leads_a_full_load_calls_another_for_the_rest() {
    loom::model(|| {
        let loads: Loads<u32, u32> = Loads::new(LIMITS);
        let mut waiting: Vec<_> =
            (0..8).map(|key| (loads.join(key).unwrap(), std::sync::Arc::new(Called::default()))).collect();
        let mut poll = |key: usize| {
            let (waiter, called) = &mut waiting[key];
            let waker = Waker::from(std::sync::Arc::clone(called));
            let turn = pin!(waiter.turn()).poll(&mut Context::from_waker(&waker));
            match turn {
                Poll::Ready(Turn::Lead(lead)) => Some(lead),
                Poll::Ready(Turn::Answered(_)) | Poll::Pending => None,
            }
        };
        // Two loads are under way, and the others wait.
        let (first, second) = (poll(0).unwrap(), poll(2).unwrap());
        assert_eq!((first.keys(), second.keys()), (&[0, 1][..], &[2, 3][..]));
        assert!((4..8).all(|key| poll(key).is_none()));
        // Both land before anyone who waits is there again.
        first.land([0, 1]);
        second.land([2, 3]);
        let third = poll(4).unwrap();
        assert_eq!(third.keys(), [4, 5]);
        assert!(waiting[6].1.0.load(Ordering::Relaxed), "nobody was called for the keys that the load left");
        drop(third);
    });
}
