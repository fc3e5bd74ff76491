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
use quick_cache::{OptionsBuilder, UnitWeighter};

use crate::event::Subject;
use crate::marks::{Begun, Marks, Place};
use crate::near::{self, Held};
use crate::owners::Owners;
use crate::secret::Selector;
use crate::snapshot::{Dated, Shared, Snapshot};
use crate::text::OwnerId;
use crate::token::TokenId;

/// Subjects that share a place fall together: with so many places one change in 16,384 costs a bystander a load.
const PLACES: u32 = 16_384;

/// Snapshots that wait to be refreshed. One that finds no room asks again when it is served again.
const DUE_MAX: usize = 16_384;

pub(crate) struct Cache {
    /// Which one it is, where a thread keeps what is of several. Never 0.
    id: u64,
    snapshots: quick_cache::sync::Cache<Selector, Shared, UnitWeighter, RandomState>,
    marks: Marks,
    hasher: RandomState,
    owners: Owners,
    due: ConcurrentQueue<Selector>,
    max_staleness: Duration,
    /// The age at which a snapshot that is in use is due.
    refresh_at: Duration,
}

impl Cache {
    pub(crate) fn new(size: usize, max_staleness: Duration) -> Cache {
        static CACHES: AtomicU64 = AtomicU64::new(0);
        let size = size.max(1);
        let options = OptionsBuilder::new().estimated_items_capacity(size).weight_capacity(size as u64).build();
        let snapshots = match options {
            Ok(options) => quick_cache::sync::Cache::with_options(
                options,
                UnitWeighter,
                RandomState::default(),
                DefaultLifecycle::default(),
            ),
            // Both numbers are given, which is all that is asked for.
            Err(_) => quick_cache::sync::Cache::with(
                size,
                size as u64,
                UnitWeighter,
                RandomState::default(),
                DefaultLifecycle::default(),
            ),
        };
        Cache {
            id: CACHES.fetch_add(1, Ordering::Relaxed) + 1,
            snapshots,
            marks: Marks::new(PLACES),
            hasher: RandomState::default(),
            owners: Owners::default(),
            due: ConcurrentQueue::bounded(DUE_MAX.min(size)),
            max_staleness,
            refresh_at: max_staleness / 2,
        }
    }

    /// The snapshot of a selector, if it may be served at this moment of the monotonic clock. Allocates nothing, and waits for
    /// no other that only reads.
    pub(crate) fn get(&self, selector: &Selector, now: Duration) -> Option<Held> {
        let age = |snapshot: &Snapshot| now.saturating_sub(snapshot.dated.at);
        let stands = |snapshot: &Snapshot| self.stands(snapshot.places, snapshot.dated.begun);
        // What a thread keeps it does not refresh: past half of its time it looks here for what has come after it.
        let kept = near::find(self.id, selector, |kept| age(kept) <= self.refresh_at && stands(kept));
        if kept.is_some() {
            return kept;
        }
        let snapshot = self.snapshots.get(selector)?;
        let age = age(&snapshot);
        if age >= self.max_staleness || !stands(&snapshot) {
            return None;
        }
        if age <= self.refresh_at {
            near::meet(self.id, &snapshot);
        } else if snapshot.refresh.first() && self.due.push(*selector).is_err() {
            snapshot.refresh.again();
        }
        Some(Held::Shared(snapshot))
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

    /// When a read begins that begins now.
    pub(crate) fn date(&self, now: Duration) -> Dated {
        Dated { begun: self.marks.begin(), at: now }
    }

    pub(crate) fn is_stale(&self, dated: Dated, now: Duration) -> bool {
        now.saturating_sub(dated.at) >= self.max_staleness
    }

    /// Whether what was read stands for a token and its owner.
    pub(crate) fn stands(&self, places: [Place; 2], begun: Begun) -> bool {
        places.iter().all(|place| self.marks.spare(*place, begun))
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

    /// How old the snapshot of a selector is, if it is there.
    pub(crate) fn age(&self, selector: &Selector, now: Duration) -> Option<Duration> {
        self.snapshots.peek(selector).map(|snapshot| now.saturating_sub(snapshot.dated.at))
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
