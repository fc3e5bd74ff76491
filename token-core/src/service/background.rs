//! The work between requests: flushing usage, following changes, refreshing snapshots and delivering events.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_timer::Delay;
use tracing::Instrument;

use crate::audit::AuditSink;
use crate::clock::Time;
use crate::counters;
use crate::store::{Fault, StoreError, TokenStore};
use crate::tally::Tally;
use crate::usage::{SignalTally, Tallies};

use super::deliver::{Deliveries, Troubled};
use super::follow::{Follower, Told};
use super::watch::Watch;
use super::{Inner, Tokens};

/// How often usage is flushed unless there is much of it, and how long a change may wait to be noticed.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the feed is left alone when it told of nothing, and when it failed.
const FEED_PAUSE: Duration = Duration::from_millis(10);
const FEED_RETRY: Duration = Duration::from_millis(250);
/// How often it is asked whether stored usage is to be looked after: by the clock of the service, which may be set.
const TEND_LOOK: Duration = Duration::from_secs(60);

/// The work between requests. Spawn it on the host's runtime; it runs until it is dropped.
///
/// ```
/// # use token_core::{Keyring, MemoryStore, Tokens};
/// # async fn build() -> Result<(), Box<dyn std::error::Error>> {
/// # let keyring = Keyring::parse(&Keyring::generate("k1")?)?;
/// let (tokens, background) = Tokens::builder(MemoryStore::new()).prefix("acme_test").keyring(keyring).build().await?;
/// tokio::spawn(background);
/// # drop(tokens); Ok(())
/// # }
/// ```
#[must_use = "spawn the background, or usage is not stored, events are not delivered, and changes elsewhere are noticed late"]
pub struct Background {
    worker: Worker,
    running: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    turned: AtomicBool,
}

#[derive(Clone)]
struct Worker {
    tokens: Tokens,
    sink: Option<Arc<dyn AuditSink>>,
    follower: Arc<async_lock::Mutex<Follower>>,
    /// When stored usage was last looked after.
    tended: Arc<async_lock::Mutex<Option<Time>>>,
    troubled: Arc<async_lock::Mutex<Troubled>>,
}

impl Background {
    pub(super) fn new(tokens: Tokens, sink: Option<Arc<dyn AuditSink>>) -> Background {
        Background {
            worker: Worker { tokens, sink, follower: Arc::default(), tended: Arc::default(), troubled: Arc::default() },
            running: None,
            turned: AtomicBool::new(false),
        }
    }

    /// One round by hand, for tests and for hosts without a runtime: stores the usage counted so far, notices what others have
    /// changed since the round before, refreshes what is due, delivers the events that wait, and looks after stored usage once an hour.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed in any of that; usage is kept for the next round. A failing sink is logged, and its event is
    /// delivered again once its lease has ended.
    pub async fn turn(&self) -> Result<(), StoreError> {
        self.turned.store(true, Ordering::Relaxed);
        self.worker.turn().await
    }
}

impl std::fmt::Debug for Background {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Background").field("running", &self.running.is_some()).finish_non_exhaustive()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.running.is_none() && !self.turned.load(Ordering::Relaxed) {
            tracing::warn!(
                "the background was dropped without being run: usage is not stored, events are not delivered, and changes \
                 elsewhere are noticed late; spawn it: tokio::spawn(background)"
            );
        }
    }
}

impl Future for Background {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let worker = self.worker.clone();
        self.running.get_or_insert_with(|| Box::pin(worker.run())).as_mut().poll(context)
    }
}

impl Tokens {
    /// Stores the usage counted so far: for a host's shutdown, after the last request. Waits for a flush that is under way, and goes on
    /// with one whose caller gave up.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed; the counts are kept. Those of which it is not known whether they were stored are not.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let inner = &*self.0;
        let mut flushing = inner.flushing.lock().await;
        let Flushing { watch, recording } = &mut *flushing;
        inner.counters.publish();
        counters::sizes(inner.cache.len(), inner.loads.waited_for());
        if let Err(error) = recorded(inner, watch, recording).await {
            tracing::warn!(error = %error, "the usage of a flush that was given up was not stored");
        }
        let (tallies, dropped) = inner.tally.take(&inner.catalog);
        if dropped > 0 {
            counters::dropped(dropped);
            tracing::warn!(dropped, "usage came faster than it could be stored; some counts were dropped");
        }
        if !tallies.is_empty() {
            let mut unwritten = Unwritten { tally: &inner.tally, tallies };
            let rules = watch.rules(inner).await.unwrap_or_default().signals;
            match watch.woken(inner, &unwritten.tallies, &rules).await {
                Ok(woken) => unwritten.tallies.signals.extend(woken),
                Err(error) => {
                    tracing::warn!(error = %error, "it can't be seen which tokens were dormant; their usage is stored all the same");
                }
            }
            *recording = Some(record(Arc::clone(&inner.store), unwritten.written()));
            recorded(inner, watch, recording).await?;
        }
        watch.look(inner).await
    }
}

/// What a flush holds: others wait for it.
#[derive(Default)]
pub(super) struct Flushing {
    pub(super) watch: Watch,
    recording: Option<Recording>,
}

/// Tallies on their way to the store, and the store's answer. Where a caller gives up it stays, and the next goes on with it: dropped
/// while a commit is under way, nobody would know whether they are to be stored again.
type Recording = Pin<Box<dyn Future<Output = (Tallies, Result<(), StoreError>)> + Send>>;

fn record(store: Arc<dyn TokenStore>, tallies: Tallies) -> Recording {
    let Tallies { uses, refusals, redigests, .. } = &tallies;
    let span = tracing::debug_span!("flush", uses = uses.len(), refusals = refusals.len(), redigests = redigests.len());
    let recording = async move {
        let recorded = store.record(&tallies).await;
        (tallies, recorded)
    };
    Box::pin(recording.instrument(span))
}

/// Waits for what is on its way to the store, if anything is, and hands what arrived on to the watch.
async fn recorded(inner: &Inner, watch: &mut Watch, recording: &mut Option<Recording>) -> Result<(), StoreError> {
    let Some(under_way) = recording else { return Ok(()) };
    let (tallies, recorded) = under_way.await;
    *recording = None;
    match &recorded {
        Ok(()) => {
            tallies.signals.iter().for_each(tell);
            watch.note(&tallies, inner.clock.now());
        }
        // Rather too few than twice as many.
        Err(error) if error.fault() == Fault::OutcomeUnknown => {
            tracing::warn!("it is not known whether usage was stored; it is not stored again");
        }
        Err(_) => inner.tally.put_back(tallies),
    }
    recorded
}

/// Tells the log of a signal that is stored.
pub(super) fn tell(signal: &SignalTally) {
    let SignalTally { token, kind, subject, count, .. } = signal;
    tracing::info!(%token, signal = %kind, subject, count, "suspicious usage");
}

/// Tallies that were taken and did not set out for the store. Put back if the caller gives up.
struct Unwritten<'a> {
    tally: &'a Tally,
    tallies: Tallies,
}

impl Unwritten<'_> {
    fn written(mut self) -> Tallies {
        std::mem::take(&mut self.tallies)
    }
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        self.tally.put_back(std::mem::take(&mut self.tallies));
    }
}

impl Worker {
    /// All side by side: a sink that hangs keeps no usage from being stored, and a store that hangs over one thing may still
    /// answer another.
    async fn run(self) {
        let changed = AtomicBool::new(true);
        let mut flushing = pin!(self.keep_flushing());
        let mut refreshing = pin!(self.keep_refreshing());
        let mut following = pin!(self.keep_following(&changed));
        let mut tending = pin!(self.keep_tending());
        let mut delivering = pin!(self.keep_delivering(&changed));
        poll_fn(|context| {
            // None of them ever ends. The last looks at what the one before it has left.
            let parts: [Pin<&mut (dyn Future<Output = ()> + Send)>; 5] =
                [flushing.as_mut(), refreshing.as_mut(), tending.as_mut(), following.as_mut(), delivering.as_mut()];
            for part in parts {
                if part.poll(context).is_ready() {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        })
        .await
    }

    async fn keep_flushing(&self) {
        loop {
            report(self.tokens.flush().await);
            let mut interval = pin!(Delay::new(INTERVAL));
            poll_fn(|context| match self.tokens.0.tally.poll_filling(context) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => interval.as_mut().poll(context),
            })
            .await;
        }
    }

    async fn keep_refreshing(&self) {
        let inner = &*self.tokens.0;
        // Often enough that what becomes due at half of its time is back well before its end.
        let tick = (inner.cache.max_staleness() / 20).min(Duration::from_millis(250));
        loop {
            Delay::new(tick).await;
            report(inner.refresh().await);
        }
    }

    async fn keep_tending(&self) {
        loop {
            report(self.tend().await);
            Delay::new(TEND_LOOK).await;
        }
    }

    async fn tend(&self) -> Result<(), StoreError> {
        self.tokens.0.tend(&mut *self.tended.lock().await, self.sink.is_some()).await
    }

    async fn keep_following(&self, changed: &AtomicBool) {
        let mut follower = self.follower.lock().await;
        loop {
            match follower.step(&self.tokens.0).await {
                Ok(Told::News) => changed.store(true, Ordering::Relaxed),
                // Whatever the store makes of the wait it was given.
                Ok(Told::Nothing) => Delay::new(FEED_PAUSE).await,
                Err(error) => {
                    report(Err(error));
                    Delay::new(FEED_RETRY).await;
                }
            }
        }
    }

    async fn keep_delivering(&self, changed: &AtomicBool) {
        let Some(sink) = &self.sink else { return std::future::pending().await };
        let mut troubled = self.troubled.lock().await;
        let mut deliveries = Deliveries::new(&self.tokens.0, &**sink, &mut troubled);
        loop {
            deliveries.look();
            let mut interval = pin!(Delay::new(INTERVAL));
            poll_fn(|context| {
                while let Poll::Ready(Some(error)) = deliveries.poll(context) {
                    report(Err(error));
                }
                // Whoever sets it is polled by the same task, just before.
                if changed.swap(false, Ordering::Relaxed) { Poll::Ready(()) } else { interval.as_mut().poll(context) }
            })
            .await;
        }
    }

    async fn turn(&self) -> Result<(), StoreError> {
        let inner = &*self.tokens.0;
        let flushed = self.tokens.flush().await;
        let followed = self.follower.lock().await.catch_up(inner).await;
        let refreshed = inner.refresh().await;
        let delivered = self.deliver().await;
        let tended = self.tend().await;
        flushed.and(followed).and(refreshed).and(delivered).and(tended)
    }

    async fn deliver(&self) -> Result<(), StoreError> {
        let Some(sink) = &self.sink else { return Ok(()) };
        let mut troubled = self.troubled.lock().await;
        let mut deliveries = Deliveries::new(&self.tokens.0, &**sink, &mut troubled);
        deliveries.look();
        let mut delivered = Ok(());
        while let Some(error) = poll_fn(|context| deliveries.poll(context)).await {
            delivered = delivered.and(Err(error));
        }
        delivered
    }
}

fn report(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::warn!(error = %error, "the token store failed in the background; trying again");
    }
}
