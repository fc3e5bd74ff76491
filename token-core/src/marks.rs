//! Invalidation: marks that what was read before them does not stand, wherever it is by then.
//!
//! Nothing is looked for and nothing is taken out. Whoever reads the store notes beforehand how many marks there have been
//! ([`Marks::begin`]), and keeps that note with what was read. Whoever changes a subject marks its place afterwards with the
//! mark's number. What was read stands while its places hold no later mark than its note. So a change wins against a read that
//! is under way, against one that is read and not yet in the cache, and against one that is in it, by the same comparison.
//!
//! Subjects share places, as in a hash table without its keys: a mark may fell what it is not about, which is read once more.
//! What it is about it never misses.

use crate::sync::{AtomicU64, Ordering};

/// Numbers every mark, and keeps the last of each place.
#[derive(Debug)]
pub(crate) struct Marks {
    made: AtomicU64,
    places: Box<[AtomicU64]>,
}

/// How many marks had been made when a read began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Begun(u64);

/// Where the marks of a subject are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u32);

impl Marks {
    pub(crate) fn new(places: u32) -> Marks {
        Marks { made: AtomicU64::new(0), places: (0..places.max(1)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The place of a subject with this hash.
    pub(crate) fn place(&self, hash: u64) -> Place {
        // The remainder is below a length that was a `u32`.
        Place(u32::try_from(hash % self.places.len() as u64).unwrap_or(0))
    }

    /// To be called before the store is asked.
    pub(crate) fn begin(&self) -> Begun {
        // Acquires what was changed before any mark that is counted: the read that follows sees it.
        Begun(self.made.load(Ordering::Acquire))
    }

    /// To be called after the store has changed, and before anyone is told.
    pub(crate) fn mark(&self, place: Place) {
        // Counted first: a read that counts this mark began after the change, and need not fall to it.
        let number = self.made.fetch_add(1, Ordering::AcqRel) + 1;
        self.of(place).fetch_max(number, Ordering::AcqRel);
    }

    /// Whether what was read stands, as far as these places go.
    #[inline]
    pub(crate) fn spare(&self, places: [Place; 2], begun: Begun) -> bool {
        // Where nothing at all was marked since, no place needs to be looked at: a mark is counted before it is made.
        self.begin() == begun || places.iter().all(|place| self.of(*place).load(Ordering::Acquire) <= begun.0)
    }

    #[inline]
    fn of(&self, place: Place) -> &AtomicU64 {
        &self.places[place.0 as usize]
    }
}
