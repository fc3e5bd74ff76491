//! The cache: snapshots by selector, bounded in number, in age, and by the changes that they do not know of.
//!
//! A snapshot is served only while it is younger than the bound and no change of its token or owner was marked since before it
//! was read. Both are looked at when it is served, so that nothing depends on anyone's taking it out in time.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use concurrent_queue::ConcurrentQueue;
use foldhash::fast::RandomState;
use quick_cache::sync::DefaultLifecycle;
use quick_cache::{OptionsBuilder, Weighter};

use crate::clock::Reading;
use crate::event::Subject;
use crate::keyring::Shown;
use crate::marks::{Begun, Marks, Place};
use crate::near::{self, Kept};
use crate::owners::Owners;
use crate::secret::Selector;
use crate::snapshot::{Age, Dated, Shared, Snapshot};
use crate::text::OwnerId;
use crate::token::TokenId;

/// Subjects that share a place fall together: with so many places one change in 16,384 costs a bystander a load.
const PLACES: u32 = 16_384;

/// Snapshots that wait to be refreshed. One that finds no room asks again when it is served again.
const DUE_MAX: usize = 16_384;

pub(crate) struct Cache {
    /// Which one it is, where a thread keeps what is of several. Never 0.
    id: u64,
    snapshots: quick_cache::sync::Cache<Selector, Shared, Weight, RandomState>,
    marks: Marks,
    hasher: RandomState,
    owners: Owners,
    due: ConcurrentQueue<Selector>,
    max_staleness: Duration,
    /// The age at which a snapshot is served no more, and the one at which a snapshot that is in use is due.
    stale_at: Age,
    refresh_at: Age,
}

/// What a snapshot counts for: more than one where a token names many resources, as whoever makes it likes.
#[derive(Debug, Clone)]
struct Weight {
    /// Nothing is too large to be kept, or each request for it would ask the store.
    max: u64,
}

impl Weighter<Selector, Shared> for Weight {
    fn weight(&self, _: &Selector, snapshot: &Shared) -> u64 {
        snapshot.weight().min(self.max)
    }
}

impl Cache {
    /// `clock_lag` is what the clock that ages are judged by may be behind.
    pub(crate) fn new(size: usize, max_staleness: Duration, clock_lag: Duration) -> Cache {
        static CACHES: AtomicU64 = AtomicU64::new(0);
        let size = size.max(1);
        let weight = Weight { max: (size as u64 / 16).max(1) };
        let options = OptionsBuilder::new().estimated_items_capacity(size).weight_capacity(size as u64).build();
        let snapshots = match options {
            Ok(options) => quick_cache::sync::Cache::with_options(
                options,
                weight.clone(),
                RandomState::default(),
                DefaultLifecycle::default(),
            ),
            // Both numbers are given, which is all that is asked for.
            Err(_) => quick_cache::sync::Cache::with(
                size,
                size as u64,
                weight,
                RandomState::default(),
                DefaultLifecycle::default(),
            ),
        };
        // By a clock that may be behind, what looks younger is too old already.
        let servable = max_staleness.saturating_sub(clock_lag);
        Cache {
            id: CACHES.fetch_add(1, Ordering::Relaxed) + 1,
            snapshots,
            marks: Marks::new(PLACES),
            hasher: RandomState::default(),
            owners: Owners::default(),
            due: ConcurrentQueue::bounded(DUE_MAX.min(size)),
            max_staleness,
            stale_at: Age::new(servable),
            refresh_at: Age::new(servable / 2),
        }
    }

    /// The snapshot of a selector that this thread keeps, unless a change was marked since it was read. How old it is remains to
    /// be asked.
    #[inline(always)]
    pub(crate) fn kept(&self, selector: &Selector) -> Option<Arc<Kept>> {
        near::find(self.id, selector, |kept| self.stands(kept.places, kept.dated.begun))
    }

    /// The same of what all threads share. Allocates nothing, and waits for no other that only reads.
    pub(crate) fn shared(&self, selector: &Selector) -> Option<Shared> {
        let snapshot = self.snapshots.get(selector)?;
        self.stands(snapshot.places, snapshot.dated.begun).then_some(snapshot)
    }

    /// Whether a snapshot that this thread keeps is young enough to be served at this moment.
    #[inline]
    pub(crate) fn may_serve_kept(&self, kept: &Kept, now: Reading) -> bool {
        let age = kept.dated.age(now);
        age <= self.refresh_at || self.may_serve_old(kept, age)
    }

    /// The same of one that all threads share, which this one may keep from now on.
    #[inline]
    pub(crate) fn may_serve_shared(&self, snapshot: &Shared, now: Reading) -> bool {
        let age = snapshot.dated.age(now);
        if age > self.refresh_at {
            return self.may_serve_old(snapshot, age);
        }
        near::meet(self.id, snapshot);
        true
    }

    /// Past half of its time a snapshot asks to be refreshed, and its thread looks for what comes after it.
    #[cold]
    fn may_serve_old(&self, snapshot: &Snapshot, age: Age) -> bool {
        near::forget(&snapshot.selector);
        if age >= self.stale_at {
            return false;
        }
        if snapshot.refresh.first() && self.due.push(snapshot.selector).is_err() {
            snapshot.refresh.again();
        }
        true
    }

    /// Keeps a snapshot of a secret whose MAC was right. Such selectors are the service's own, so nobody else decides what is
    /// kept here.
    pub(crate) fn insert(&self, snapshot: &Shared) {
        if self.stands(snapshot.places, snapshot.dated.begun) {
            self.snapshots.insert(snapshot.selector, Arc::clone(snapshot));
        }
    }

    pub(crate) fn remove(&self, selector: &Selector) {
        self.snapshots.remove(selector);
    }

    /// How many changes have been marked.
    pub(crate) fn begin(&self) -> Begun {
        self.marks.begin()
    }

    /// When a read begins that begins now.
    pub(crate) fn date(&self, now: Reading) -> Dated {
        Dated::new(self.marks.begin(), now)
    }

    pub(crate) fn is_stale(&self, dated: Dated, now: Reading) -> bool {
        dated.age(now) >= self.stale_at
    }

    /// Whether what was read stands for a token and its owner.
    #[inline]
    pub(crate) fn stands(&self, places: [Place; 2], begun: Begun) -> bool {
        self.marks.spare(places, begun)
    }

    /// To be called when a change of this subject may have been stored, before anyone is told that it was.
    pub(crate) fn invalidate(&self, subject: &Subject) {
        match subject {
            Subject::Token(token) => self.marks.mark(self.place_of_token(*token)),
            Subject::Owner(owner) => self.marks.mark(self.place_of_owner(owner)),
            // Limits what is made, and nothing that is.
            Subject::Policy => {}
        }
    }

    pub(crate) fn places(&self, token: TokenId, owner: &OwnerId) -> [Place; 2] {
        [self.place_of_token(token), self.place_of_owner(owner)]
    }

    fn place_of_token(&self, token: TokenId) -> Place {
        self.marks.place(self.hasher.hash_one(token))
    }

    fn place_of_owner(&self, owner: &OwnerId) -> Place {
        self.marks.place(self.hasher.hash_one(owner))
    }

    pub(crate) fn owner(&self, owner: &OwnerId) -> Arc<OwnerId> {
        self.owners.one(owner)
    }

    /// Selectors whose snapshots are used and past half of their time, up to `max`.
    pub(crate) fn due(&self, max: usize) -> Vec<Selector> {
        let mut due: Vec<Selector> = self.due.try_iter().take(max).collect();
        due.sort_unstable();
        due.dedup();
        due
    }

    /// What was shown of the verifier of a selector, if its snapshot is there.
    pub(crate) fn shown(&self, selector: &Selector) -> Option<Shown> {
        self.snapshots.peek(selector).map(|snapshot| snapshot.shown)
    }

    /// How old the snapshot of a selector is, if it is there.
    pub(crate) fn age(&self, selector: &Selector, now: Reading) -> Option<Duration> {
        self.snapshots.peek(selector).map(|snapshot| snapshot.dated.age(now).span())
    }

    pub(crate) fn len(&self) -> usize {
        self.snapshots.len()
    }

    pub(crate) fn max_staleness(&self) -> Duration {
        self.max_staleness
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("snapshots", &self.len()).finish_non_exhaustive()
    }
}
