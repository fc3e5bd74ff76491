//! Loads: misses that wait together are loaded together, and one key is loaded once however many wait for it.
//!
//! There is no runtime and no task: a load is driven by the future of one of those who wait, its leader. A miss that finds
//! fewer than [`Limits::at_once`] loads under way leads at once; others queue, and where so many wait that one more load is worth
//! it ([`Limits::many`]), up to [`Limits::under_way`] are. A leader takes all that is queued, up to [`Limits::batch`], and its
//! answer goes to everyone who waits for one of those keys. Where a leader is dropped, its keys go back to the front of the queue
//! and another leads.
//!
//! Those who waited for the last load may be about to come again: whoever could lead lets others come first, once, while fewer keys
//! wait than that load carried.
//!
//! ```text
//! let mut waiter = loads.join(key)?;
//! loop {
//!     match waiter.turn().await {
//!         Turn::Answered(answer) => break answer,
//!         Turn::Lead(lead) => { let answers = ask(lead.keys()).await; lead.land(answers) }
//!     }
//! }
//! ```

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::hash::Hash;
use std::task::{Context, Poll, Waker};

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What bounds the loads of one service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Loads under way, of whatever size.
    pub(crate) at_once: usize,
    /// Loads under way at most.
    pub(crate) under_way: usize,
    /// As many keys in the queue are worth a load beyond those at once.
    pub(crate) many: usize,
    /// Keys in one load.
    pub(crate) batch: usize,
    /// Distinct keys that are waited for.
    pub(crate) waited_for: usize,
}

/// More keys are waited for than the limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// The loads of one service. `V` is the answer for one key.
#[derive(Debug)]
pub(crate) struct Loads<K, V> {
    limits: Limits,
    state: Mutex<State<K, V>>,
}

#[derive(Debug)]
struct State<K, V> {
    flights: HashMap<K, Arc<Flight<V>>>,
    /// Keys that no load has taken yet, in the order they are to be taken.
    queue: BTreeMap<i64, K>,
    under_way: usize,
    /// How many keys the last load carried.
    carried: usize,
    /// Numbers those who wait, and the places at the end of the queue.
    arrivals: i64,
    /// Numbers the places at its front.
    returns: i64,
}

/// One key on its way, and those who wait for it. Its lock is taken last.
#[derive(Debug)]
struct Flight<V>(Mutex<Waiting<V>>);

#[derive(Debug)]
struct Waiting<V> {
    answer: Option<V>,
    /// Where its key is in the queue; `None` once a load has taken it.
    queued: Option<i64>,
    wakers: Vec<(i64, Waker)>,
    waiting: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Loads<K, V> {
    pub(crate) fn new(limits: Limits) -> Loads<K, V> {
        let (flights, queue) = (HashMap::new(), BTreeMap::new());
        let state = State { flights, queue, under_way: 0, carried: 0, arrivals: 0, returns: 0 };
        Loads { limits, state: Mutex::new(state) }
    }

    /// Waits for a key, with those who wait for it already or as the first.
    pub(crate) fn join(&self, key: K) -> Result<Waiter<'_, K, V>, TooMany> {
        let mut state = self.lock();
        state.arrivals += 1;
        let number = state.arrivals;
        let found = state.flights.get(&key).cloned();
        let flight = match found {
            Some(flight) => {
                flight.lock().waiting += 1;
                flight
            }
            None if state.flights.len() >= self.limits.waited_for => return Err(TooMany),
            None => {
                let waiting = Waiting { answer: None, queued: Some(number), wakers: Vec::new(), waiting: 1 };
                let flight = Arc::new(Flight(Mutex::new(waiting)));
                state.flights.insert(key.clone(), Arc::clone(&flight));
                state.queue.insert(number, key.clone());
                flight
            }
        };
        drop(state);
        Ok(Waiter { loads: self, key, flight, number, deferred: false })
    }

    /// How many keys are waited for.
    pub(crate) fn waited_for(&self) -> usize {
        self.lock().flights.len()
    }

    /// Lets the lock go, and sees to it that somebody leads if there is something to lead and room for it: to be called whenever
    /// either may have come about without anyone looking.
    fn release(&self, state: MutexGuard<'_, State<K, V>>) {
        let mut next = None;
        if state.wants_leader(self.limits) {
            // One of them is enough: if it goes away instead, it calls another. One that leads already has no waker here.
            let flights = state.queue.values().filter_map(|key| state.flights.get(key));
            next = flights.filter_map(|flight| flight.lock().wakers.first().map(|(_, waker)| waker.clone())).next();
        }
        drop(state);
        next.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        // Nothing under the lock panics but an allocator.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> State<K, V> {
    fn wants_leader(&self, limits: Limits) -> bool {
        let room = if self.queue.len() < limits.many { limits.at_once } else { limits.under_way };
        self.under_way < room && !self.queue.is_empty()
    }
}

impl<V> Flight<V> {
    fn lock(&self) -> MutexGuard<'_, Waiting<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes next for one who waits.
#[derive(Debug)]
pub(crate) enum Turn<'a, K: Clone + Eq + Hash, V: Clone> {
    Answered(V),
    Lead(Lead<'a, K, V>),
}

/// One who waits for a key.
#[derive(Debug)]
pub(crate) struct Waiter<'a, K: Clone + Eq + Hash, V: Clone> {
    loads: &'a Loads<K, V>,
    key: K,
    flight: Arc<Flight<V>>,
    number: i64,
    /// Whether it has let others come first.
    deferred: bool,
}

impl<'a, K: Clone + Eq + Hash, V: Clone> Waiter<'a, K, V> {
    /// Waits for the answer, or for the turn to lead.
    pub(crate) async fn turn(&mut self) -> Turn<'a, K, V> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Turn<'a, K, V>> {
        let loads = self.loads;
        let mut state = loads.lock();
        let mut waiting = self.flight.lock();
        if let Some(answer) = &waiting.answer {
            return Poll::Ready(Turn::Answered(answer.clone()));
        }
        let number = self.number;
        if state.wants_leader(loads.limits) {
            // Who leads can't be called to lead, and who comes again by itself need not be.
            waiting.wakers.retain(|(other, _)| *other != number);
            drop(waiting);
            if state.queue.len() < state.carried && !self.deferred {
                self.deferred = true;
                drop(state);
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let lead = loads.lead(&mut state);
            // More may wait than one load takes.
            loads.release(state);
            return Poll::Ready(Turn::Lead(lead));
        }
        match waiting.wakers.iter_mut().find(|(other, _)| *other == number) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => waiting.wakers.push((number, context.waker().clone())),
        }
        Poll::Pending
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Drop for Waiter<'_, K, V> {
    fn drop(&mut self) {
        let mut state = self.loads.lock();
        let mut waiting = self.flight.lock();
        waiting.wakers.retain(|(number, _)| *number != self.number);
        waiting.waiting -= 1;
        // What is being loaded lands with nobody there; what is not need not be.
        let abandoned = waiting.queued.filter(|_| waiting.waiting == 0);
        drop(waiting);
        if let Some(place) = abandoned {
            state.queue.remove(&place);
            state.flights.remove(&self.key);
        }
        self.loads.release(state);
    }
}

/// A load under way, in the hands of its leader.
#[derive(Debug)]
#[must_use]
pub(crate) struct Lead<'a, K: Clone + Eq + Hash, V: Clone> {
    loads: &'a Loads<K, V>,
    keys: Vec<K>,
}

impl<K: Clone + Eq + Hash, V: Clone> Loads<K, V> {
    fn lead<'a>(&'a self, state: &mut State<K, V>) -> Lead<'a, K, V> {
        state.under_way += 1;
        let mut keys = Vec::with_capacity(state.queue.len().min(self.limits.batch));
        while keys.len() < self.limits.batch
            && let Some((_, key)) = state.queue.pop_first()
        {
            if let Some(flight) = state.flights.get(&key) {
                flight.lock().queued = None;
            }
            keys.push(key);
        }
        state.carried = keys.len();
        Lead { loads: self, keys }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Lead<'_, K, V> {
    /// What to load; never empty.
    pub(crate) fn keys(&self) -> &[K] {
        &self.keys
    }

    /// Gives out the answers, one for each key in the same order.
    pub(crate) fn land(mut self, answers: impl IntoIterator<Item = V>) {
        let mut state = self.loads.lock();
        let mut woken = Vec::new();
        for (key, answer) in std::mem::take(&mut self.keys).into_iter().zip(answers) {
            if let Some(flight) = state.flights.remove(&key) {
                let mut waiting = flight.lock();
                waiting.answer = Some(answer);
                woken.append(&mut waiting.wakers);
            }
        }
        drop(state);
        // Makes room for another load.
        drop(self);
        woken.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Drop for Lead<'_, K, V> {
    fn drop(&mut self) {
        let mut state = self.loads.lock();
        state.under_way -= 1;
        // Keys that have not landed are the next to be led, in the order they had, but for those that nobody waits for any more.
        for key in self.keys.drain(..).rev() {
            let Some(flight) = state.flights.get(&key).cloned() else { continue };
            let mut waiting = flight.lock();
            if waiting.waiting == 0 {
                state.flights.remove(&key);
            } else {
                state.returns -= 1;
                let place = state.returns;
                waiting.queued = Some(place);
                state.queue.insert(place, key);
            }
        }
        self.loads.release(state);
    }
}
