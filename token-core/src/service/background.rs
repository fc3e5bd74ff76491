//! The work between requests: flushing usage and delivering events.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_timer::Delay;

use crate::audit::AuditSink;
use crate::event::Subject;
use crate::hook::caught_within;
use crate::store::{Cursor, Delivery, StoreError};
use crate::tally::Tally;
use crate::usage::Tallies;

use super::Tokens;

/// How often usage is flushed, and how long a change may wait to be noticed.
const INTERVAL: Duration = Duration::from_secs(1);
/// Events taken at once, and how long they are kept from other nodes meanwhile.
const DELIVERY_BATCH: u32 = 100;
const DELIVERY_LEASE: Duration = Duration::from_secs(30);
/// How long a sink may take for one event before that counts as a failure. Well within the lease.
const DELIVERY_LIMIT: Duration = Duration::from_secs(10);

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
#[must_use = "spawn the background, or usage is not stored and events are not delivered"]
pub struct Background {
    worker: Worker,
    running: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    turned: AtomicBool,
}

#[derive(Clone)]
struct Worker {
    tokens: Tokens,
    sink: Option<Arc<dyn AuditSink>>,
}

impl Background {
    pub(super) fn new(tokens: Tokens, sink: Option<Arc<dyn AuditSink>>) -> Background {
        Background { worker: Worker { tokens, sink }, running: None, turned: AtomicBool::new(false) }
    }

    /// One round by hand, for tests and for hosts without a runtime: stores the usage counted so far and delivers the events
    /// that wait.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed; usage is kept for the next round. A failing sink is logged, and its event is
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
                "the background was dropped without being run: usage is not stored and events are not delivered; spawn it: \
                 tokio::spawn(background)"
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
    /// Stores the usage counted so far: for a host's shutdown, after the last request. Waits for a flush that is under way.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed; the counts are kept.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let inner = &*self.0;
        let _flushing = inner.flushing.lock().await;
        let (tallies, dropped) = inner.tally.take();
        if dropped > 0 {
            tracing::warn!(dropped, "usage came faster than it could be stored; some counts were dropped");
        }
        if tallies.is_empty() {
            return Ok(());
        }
        let unwritten = Unwritten { tally: &inner.tally, tallies };
        inner.store.record(&unwritten.tallies).await?;
        unwritten.written();
        Ok(())
    }
}

/// Tallies on their way to the store. Put back unless they arrive, be it for an error or for a caller who gives up.
struct Unwritten<'a> {
    tally: &'a Tally,
    tallies: Tallies,
}

impl Unwritten<'_> {
    fn written(mut self) {
        self.tallies = Tallies::default();
    }
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        self.tally.put_back(std::mem::take(&mut self.tallies));
    }
}

impl Worker {
    /// Flushes and delivers, side by side: a sink that hangs keeps no usage from being stored.
    async fn run(self) {
        let mut flushing = pin!(self.keep_flushing());
        let mut delivering = pin!(self.keep_delivering());
        poll_fn(|context| {
            // Neither ever ends: whatever the one answers, it is the other's turn.
            match flushing.as_mut().poll(context) {
                Poll::Pending | Poll::Ready(()) => delivering.as_mut().poll(context),
            }
        })
        .await
    }

    async fn keep_flushing(&self) {
        loop {
            report(self.tokens.flush().await);
            Delay::new(INTERVAL).await;
        }
    }

    async fn keep_delivering(&self) {
        let Some(sink) = &self.sink else { return std::future::pending().await };
        let mut cursor = None;
        loop {
            report(self.deliver(&**sink).await);
            cursor = self.wait(cursor).await;
        }
    }

    async fn turn(&self) -> Result<(), StoreError> {
        let flushed = self.tokens.flush().await;
        let delivered = match &self.sink {
            Some(sink) => self.deliver(&**sink).await,
            None => Ok(()),
        };
        flushed.and(delivered)
    }

    /// Waits for a change or for the interval to pass, whichever is first.
    async fn wait(&self, cursor: Option<Cursor>) -> Option<Cursor> {
        match self.tokens.0.store.changes(cursor, INTERVAL).await {
            Ok(feed) => {
                if cursor.is_none() {
                    Delay::new(INTERVAL).await;
                }
                Some(feed.cursor)
            }
            Err(_) => {
                // Reported by the next delivery, which asks the same store.
                Delay::new(INTERVAL).await;
                cursor
            }
        }
    }

    async fn deliver(&self, sink: &dyn AuditSink) -> Result<(), StoreError> {
        let store = &self.tokens.0.store;
        loop {
            let claimed_at = self.tokens.now();
            let claimed = store.claim(claimed_at, DELIVERY_LEASE, DELIVERY_BATCH).await?;
            if claimed.is_empty() {
                return Ok(());
            }
            let mut failed: Vec<&Subject> = Vec::new();
            for Delivery { cursor, event } in &claimed {
                // The rest of a slow batch is somebody's again once its lease has ended.
                if self.tokens.now().since(claimed_at) + DELIVERY_LIMIT > DELIVERY_LEASE {
                    return Ok(());
                }
                // In order for each subject: nothing overtakes an event that failed.
                if failed.contains(&&event.subject) {
                    continue;
                }
                match caught_within(DELIVERY_LIMIT, sink.deliver(event)).await.map_err(Into::into).flatten() {
                    Ok(()) => store.ack(&[*cursor], self.tokens.now()).await?,
                    Err(error) => {
                        let subject = &event.subject;
                        tracing::warn!(%subject, seq = event.seq, error = %error, "the audit sink failed; trying again");
                        failed.push(subject);
                    }
                }
            }
            if !failed.is_empty() {
                return Ok(());
            }
        }
    }
}

fn report(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::warn!(error = %error, "the token store failed in the background; trying again");
    }
}
