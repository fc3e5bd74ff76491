//! Delivering events: those of a subject in order, one after the other, and subjects side by side.
//!
//! Subjects that failed or took long are delivered in places of their own until they no longer do. So however many of them hang, they
//! keep no event of another subject waiting.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::audit::AuditSink;
use crate::clock::Time;
use crate::event::Subject;
use crate::hook::caught_within;
use crate::store::{Delivery, StoreError};

use super::Inner;

/// Events taken at once, and how long they are kept from other nodes meanwhile.
const BATCH: u32 = 100;
const LEASE: Duration = Duration::from_secs(30);
/// How long a sink may take for one event before that counts as a failure. Well within the lease.
const LIMIT: Duration = Duration::from_secs(10);
/// A subject that takes longer is in trouble, as one that failed.
const LONG: Duration = Duration::from_secs(1);
/// How many subjects are delivered at once, and beside them of those in trouble. Few: a sink may take one event at a time, and each is to be
/// answered within the limit.
const AT_ONCE: usize = 4;
const TROUBLED_AT_ONCE: usize = 2;
/// Events of subjects in trouble that wait here for a place. What is beyond waits in the store, until its lease ends.
const TROUBLED_WAITING: usize = 1000;
/// Subjects that are known to be in trouble; then it begins anew.
const TROUBLED_KNOWN: usize = 10_000;

/// Subjects whose last delivery failed or took long, by when it was.
#[derive(Debug, Default)]
pub(super) struct Troubled {
    tried: HashMap<Subject, u64>,
    tries: u64,
}

impl Troubled {
    fn note(&mut self, subject: Subject) {
        if self.tried.len() >= TROUBLED_KNOWN {
            self.tried.clear();
        }
        self.tries += 1;
        self.tried.insert(subject, self.tries);
    }
}

/// Events of one subject that were claimed together.
struct Batch {
    subject: Subject,
    claimed_at: Time,
    events: Vec<Delivery>,
}

impl Batch {
    /// Whether a delivery that begins now might outlast the lease: what is left is somebody's again once that has ended.
    fn is_late(&self, now: Time) -> bool {
        now.since(self.claimed_at) + LIMIT > LEASE
    }
}

enum Ended {
    Delivered,
    Failed,
    Late,
}

/// What was claimed, and when.
type Claimed = (Time, Result<Vec<Delivery>, StoreError>);

type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A subject that is being delivered.
struct Running<'a> {
    subject: Subject,
    in_trouble: bool,
    since: Duration,
    work: Work<'a, Result<Ended, StoreError>>,
}

/// All that is being delivered, and waits for it.
pub(super) struct Deliveries<'a> {
    inner: &'a Inner,
    sink: &'a dyn AuditSink,
    troubled: &'a mut Troubled,
    limit: Duration,
    /// One at a time: requests need the store's connections too.
    acknowledging: Arc<async_lock::Mutex<()>>,
    running: Vec<Running<'a>>,
    waiting: VecDeque<Batch>,
    /// Those in trouble, the one first that was tried the longest time ago.
    waiting_in_trouble: BTreeMap<u64, Batch>,
    claiming: Option<Work<'a, Claimed>>,
    /// Whether the store may have more, and until when it is asked.
    more: bool,
    until: Duration,
}

impl<'a> Deliveries<'a> {
    pub(super) fn new(inner: &'a Inner, sink: &'a dyn AuditSink, troubled: &'a mut Troubled) -> Deliveries<'a> {
        Deliveries {
            inner,
            sink,
            troubled,
            limit: LIMIT,
            acknowledging: Arc::default(),
            running: Vec::new(),
            waiting: VecDeque::new(),
            waiting_in_trouble: BTreeMap::new(),
            claiming: None,
            more: false,
            until: Duration::ZERO,
        }
    }

    /// Has the store asked for what there is. No longer than a lease: from then on it would tell again of what failed.
    pub(super) fn look(&mut self) {
        self.more = true;
        self.until = self.inner.clock.monotonic() + LEASE;
    }

    /// Goes on with what is being delivered. `None` once there is nothing more to do; after an error of the store the rest can be gone on with.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<StoreError>> {
        loop {
            self.start();
            if let Some(claiming) = &mut self.claiming
                && let Poll::Ready((at, claimed)) = claiming.as_mut().poll(context)
            {
                self.claiming = None;
                match claimed {
                    Ok(claimed) => self.take(at, claimed),
                    Err(error) => return Poll::Ready(Some(error)),
                }
                continue;
            }
            let mut running = self.running.iter_mut().enumerate();
            let ended = running.find_map(|(place, running)| match running.work.as_mut().poll(context) {
                Poll::Ready(ended) => Some((place, ended)),
                Poll::Pending => None,
            });
            match ended {
                Some((place, Ok(ended))) => self.note(place, &ended),
                Some((place, Err(error))) => {
                    self.running.swap_remove(place);
                    return Poll::Ready(Some(error));
                }
                None if self.running.is_empty() && self.claiming.is_none() => return Poll::Ready(None),
                None => return Poll::Pending,
            }
        }
    }

    /// Begins whatever there is a place for.
    fn start(&mut self) {
        while self.places_taken(false) < AT_ONCE
            && let Some(batch) = self.waiting.pop_front()
        {
            self.begin(batch, false);
        }
        while self.places_taken(true) < TROUBLED_AT_ONCE
            && let Some((_, batch)) = self.waiting_in_trouble.pop_first()
        {
            self.begin(batch, true);
        }
        let (inner, now) = (self.inner, self.inner.clock.now());
        // A clock that can't be believed reads as the end of time, when no lease would end.
        self.more &= inner.clock.monotonic() < self.until && Time::MAX.since(now) >= LEASE;
        if self.more && self.claiming.is_none() && self.places_taken(false) < AT_ONCE {
            self.more = false;
            self.claiming = Some(Box::pin(async move { (now, inner.store.claim(now, LEASE, BATCH).await) }));
        }
    }

    fn places_taken(&self, in_trouble: bool) -> usize {
        self.running.iter().filter(|running| running.in_trouble == in_trouble).count()
    }

    fn begin(&mut self, batch: Batch, in_trouble: bool) {
        let (subject, since) = (batch.subject.clone(), self.inner.clock.monotonic());
        let (inner, sink, limit) = (self.inner, self.sink, self.limit);
        let acknowledging = Arc::clone(&self.acknowledging);
        let work = Box::pin(async move { deliver(inner, sink, limit, &acknowledging, &batch).await });
        self.running.push(Running { subject, in_trouble, since, work });
    }

    fn note(&mut self, place: usize, ended: &Ended) {
        let Running { subject, since, .. } = self.running.swap_remove(place);
        // What came after these events was kept back until they were acknowledged.
        self.more |= matches!(ended, Ended::Delivered);
        let took_long = self.inner.clock.monotonic().saturating_sub(since) > LONG;
        match ended {
            Ended::Delivered if !took_long => drop(self.troubled.tried.remove(&subject)),
            // It was not tried.
            Ended::Late if !took_long => {}
            _ => self.troubled.note(subject),
        }
    }

    /// Puts what was claimed where it waits for its place.
    fn take(&mut self, claimed_at: Time, claimed: Vec<Delivery>) {
        self.more |= claimed.len() == BATCH as usize;
        self.waiting.retain(|batch| !batch.is_late(claimed_at));
        self.waiting_in_trouble.retain(|_, batch| !batch.is_late(claimed_at));
        let mut batches: Vec<Batch> = Vec::new();
        for delivery in claimed {
            let subject = &delivery.event.subject;
            if let Some(batch) = batches.iter_mut().find(|batch| batch.subject == *subject) {
                batch.events.push(delivery);
            // By a clock that was set, a lease may end here too. It comes again: no subject is delivered twice at once.
            } else if !self.holds(subject) {
                batches.push(Batch { subject: subject.clone(), claimed_at, events: vec![delivery] });
            }
        }
        for batch in batches {
            match self.troubled.tried.get(&batch.subject) {
                Some(tried) => drop(self.waiting_in_trouble.insert(*tried, batch)),
                None => self.waiting.push_back(batch),
            }
        }
        let mut events: usize = self.waiting_in_trouble.values().map(|batch| batch.events.len()).sum();
        while events > TROUBLED_WAITING
            && let Some((_, batch)) = self.waiting_in_trouble.pop_last()
        {
            events -= batch.events.len();
        }
    }

    fn holds(&self, subject: &Subject) -> bool {
        let mut waiting = self.waiting.iter().chain(self.waiting_in_trouble.values());
        self.running.iter().any(|running| running.subject == *subject) || waiting.any(|batch| batch.subject == *subject)
    }
}

/// Delivers a batch in order: nothing overtakes an event that failed.
async fn deliver(
    inner: &Inner,
    sink: &dyn AuditSink,
    limit: Duration,
    acknowledging: &async_lock::Mutex<()>,
    batch: &Batch,
) -> Result<Ended, StoreError> {
    for Delivery { cursor, event } in &batch.events {
        if batch.is_late(inner.clock.now()) {
            return Ok(Ended::Late);
        }
        match caught_within(limit, || sink.deliver(event)).await.map_err(Into::into).flatten() {
            Ok(()) => {
                let _one_at_a_time = acknowledging.lock().await;
                inner.store.ack(&[*cursor], inner.clock.now()).await?;
            }
            Err(error) => {
                let subject = &event.subject;
                tracing::warn!(%subject, seq = event.seq, error = %error, "the audit sink failed; trying again");
                return Ok(Ended::Failed);
            }
        }
    }
    Ok(Ended::Delivered)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::error::Error;
    use std::future::poll_fn;
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::clock::ManualClock;
    use crate::event::Event;
    use crate::text::{ActorId, OwnerId};
    use crate::{Actor, Ceiling, Edit, Grants, Keyring, MemoryStore, NewToken, TokenId, TokenName, Tokens};

    /// Takes every event but those of some subjects, over which it hangs.
    struct Sink {
        hangs_over: Mutex<HashSet<Subject>>,
        /// How far it moves the clock on with each event.
        takes: Mutex<Duration>,
        clock: Arc<ManualClock>,
        seen: Mutex<Vec<(Subject, u64)>>,
        under_way: Mutex<Vec<Subject>>,
        /// How many were under way at once.
        most: Mutex<usize>,
    }

    /// Removes a subject as its delivery ends, however it does.
    struct UnderWay<'a>(&'a Sink, &'a Subject);

    impl Drop for UnderWay<'_> {
        fn drop(&mut self) {
            self.0.under_way.lock().unwrap().retain(|subject| subject != self.1);
        }
    }

    #[async_trait]
    impl AuditSink for Sink {
        async fn deliver(&self, event: &Event) -> Result<(), Box<dyn Error + Send + Sync>> {
            let under_way = {
                let mut under_way = self.under_way.lock().unwrap();
                // Noted, and not asserted: a panic would count as a failure of the sink.
                let twice = under_way.contains(&event.subject);
                under_way.push(event.subject.clone());
                let mut most = self.most.lock().unwrap();
                *most = if twice { usize::MAX } else { under_way.len().max(*most) };
                UnderWay(self, &event.subject)
            };
            if self.hangs_over.lock().unwrap().contains(&event.subject) {
                std::future::pending::<()>().await;
            }
            self.clock.advance(*self.takes.lock().unwrap());
            self.seen.lock().unwrap().push((event.subject.clone(), event.seq));
            drop(under_way);
            Ok(())
        }
    }

    struct House {
        tokens: Tokens,
        actor: Actor,
        clock: Arc<ManualClock>,
        sink: Sink,
    }

    impl House {
        async fn new() -> House {
            let clock = Arc::new(ManualClock::at("2027-01-31T12:00:00Z".parse().unwrap()));
            let keyring = Keyring::parse(&Keyring::generate("k1").unwrap()).unwrap();
            let builder = Tokens::builder(MemoryStore::new()).prefix("acme_test").keyring(keyring);
            let policy = crate::Policy { live_tokens_per_owner: 1000, ..crate::Policy::default() };
            let (tokens, background) = builder.initial_policy(policy).clock(Arc::clone(&clock)).build().await.unwrap();
            // Nothing else is to be done here.
            background.turn().await.unwrap();
            let (id, owner) = (ActorId::new("ann").unwrap(), OwnerId::new("ann").unwrap());
            let sink = Sink {
                hangs_over: Mutex::default(),
                takes: Mutex::default(),
                clock: Arc::clone(&clock),
                seen: Mutex::default(),
                under_way: Mutex::default(),
                most: Mutex::default(),
            };
            House { tokens, actor: Actor::owner(id, owner, Ceiling::Everything), clock, sink }
        }

        async fn create(&self) -> TokenId {
            let request = NewToken::new(TokenName::new("a token").unwrap(), Grants::new([]).unwrap());
            self.tokens.manage(&self.actor).create(&request).await.unwrap().token.id
        }

        async fn rename(&self, token: TokenId, name: &str) {
            let edit = Edit { name: Some(TokenName::new(name).unwrap()), ..Edit::default() };
            self.tokens.manage(&self.actor).edit(token, &edit).await.unwrap();
        }

        /// As a sink that hangs is given up on after `limit`.
        fn deliveries<'a>(&'a self, troubled: &'a mut Troubled, limit: Duration) -> Deliveries<'a> {
            Deliveries { limit, ..Deliveries::new(&self.tokens.0, &self.sink, troubled) }
        }

        fn seen(&self) -> Vec<(Subject, u64)> {
            std::mem::take(&mut self.sink.seen.lock().unwrap())
        }
    }

    const SOON: Duration = Duration::from_millis(1);
    const NEVER: Duration = Duration::from_secs(3600);

    async fn to_the_end(deliveries: &mut Deliveries<'_>) {
        deliveries.look();
        assert!(poll_fn(|context| deliveries.poll(context)).await.is_none());
    }

    /// What can be delivered is, as they are polled once: the rest hangs.
    async fn as_far_as_it_goes(deliveries: &mut Deliveries<'_>) {
        deliveries.look();
        poll_fn(|context| {
            assert!(deliveries.poll(context).is_pending(), "nothing hangs");
            Poll::Ready(())
        })
        .await;
    }

    #[tokio::test]
    async fn however_many_subjects_hang_those_of_others_are_delivered() {
        let house = House::new().await;
        let mut troubled = Troubled::default();
        let mut hanging = Vec::new();
        for _ in 0..250 {
            hanging.push(house.create().await);
        }
        house.rename(hanging[0], "renamed").await;
        house.sink.hangs_over.lock().unwrap().extend(hanging.iter().copied().map(Subject::Token));
        // Nothing is known of them at first, and each is given up on once.
        to_the_end(&mut house.deliveries(&mut troubled, SOON)).await;
        assert_eq!(house.seen(), []);

        let healthy = house.create().await;
        house.clock.advance(LEASE);
        let mut deliveries = house.deliveries(&mut troubled, NEVER);
        as_far_as_it_goes(&mut deliveries).await;
        assert_eq!(house.seen(), [(Subject::Token(healthy), 1)]);
        for seq in 2..5 {
            house.rename(healthy, &format!("name {seq}")).await;
            // With leases that end meanwhile, and without.
            house.clock.advance(LEASE * u32::from(seq % 2 == 0));
            as_far_as_it_goes(&mut deliveries).await;
            assert_eq!(house.seen(), [(Subject::Token(healthy), seq)]);
        }
        drop(deliveries);

        house.sink.hangs_over.lock().unwrap().clear();
        house.clock.advance(LEASE);
        to_the_end(&mut house.deliveries(&mut troubled, NEVER)).await;
        let seen = house.seen();
        assert_eq!(seen.len(), 251);
        for token in &hanging {
            let of_it = seen.iter().filter(|(subject, _)| *subject == Subject::Token(*token)).map(|(_, seq)| *seq);
            assert!(of_it.eq(1..=1 + u64::from(*token == hanging[0])), "in order, and each once: {seen:?}");
        }
        assert_eq!(*house.sink.most.lock().unwrap(), AT_ONCE, "so many at once, and none of them twice");
    }

    #[tokio::test]
    async fn those_that_take_long_leave_the_places_of_others_free() {
        let house = House::new().await;
        let mut troubled = Troubled::default();
        let mut slow = Vec::new();
        for _ in 0..AT_ONCE {
            slow.push(house.create().await);
        }
        *house.sink.takes.lock().unwrap() = LONG * 2;
        to_the_end(&mut house.deliveries(&mut troubled, NEVER)).await;
        assert_eq!(house.seen().len(), AT_ONCE);

        *house.sink.takes.lock().unwrap() = Duration::ZERO;
        for token in &slow {
            house.rename(*token, "renamed").await;
        }
        let healthy = house.create().await;
        house.sink.hangs_over.lock().unwrap().extend(slow.iter().copied().map(Subject::Token));
        as_far_as_it_goes(&mut house.deliveries(&mut troubled, NEVER)).await;
        assert_eq!(house.seen(), [(Subject::Token(healthy), 1)]);
    }

    #[tokio::test]
    async fn nothing_is_begun_that_might_outlast_its_lease_or_is_under_way() {
        let house = House::new().await;
        let mut troubled = Troubled::default();
        let token = house.create().await;
        house.rename(token, "renamed").await;
        house.rename(token, "renamed again").await;
        // After the second there is less time left than one may take.
        *house.sink.takes.lock().unwrap() = (LEASE - LIMIT) / 2 + Duration::from_secs(1);
        to_the_end(&mut house.deliveries(&mut troubled, NEVER)).await;
        assert_eq!(house.seen(), [1, 2].map(|seq| (Subject::Token(token), seq)));

        house.sink.hangs_over.lock().unwrap().insert(Subject::Token(token));
        house.clock.advance(LEASE);
        let mut deliveries = house.deliveries(&mut troubled, NEVER);
        for _ in 0..3 {
            as_far_as_it_goes(&mut deliveries).await;
            // The lease ends, and what hangs does not.
            house.clock.advance(LEASE);
        }
        assert_eq!(*house.sink.most.lock().unwrap(), 1);
    }
}
