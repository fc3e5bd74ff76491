//! What a thread verifies again and again, it keeps within reach.
//!
//! A snapshot that many threads serve is counted by all of them, and so is the lock in front of it: on a token that every
//! request carries they would do little else. A thread that has met a snapshot some times in a row therefore keeps a handle of
//! its own, with a count of its own. Whether it may be served is asked of every handle as of every snapshot.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

use crate::secret::Selector;
use crate::snapshot::{Shared, Snapshot};

/// A power of two.
const SLOTS: usize = 64;

/// How often in a row a thread meets a snapshot before it keeps it: making a handle costs an allocation, and a thread that meets
/// many tokens in turn is not to pay it.
const OFTEN: u8 = 8;

/// A snapshot to be served, however it was come by.
#[derive(Debug, Clone)]
pub(crate) enum Held {
    Shared(Shared),
    Kept(Arc<Kept>),
}

/// A thread's own handle.
#[derive(Debug)]
pub(crate) struct Kept(Shared);

impl Deref for Kept {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

impl Deref for Held {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        match self {
            Held::Shared(snapshot) => snapshot,
            Held::Kept(kept) => &kept.0,
        }
    }
}

/// What this thread has met last of the selectors that share a slot.
#[derive(Default)]
struct Slot {
    /// The cache that it is of; 0 is none.
    cache: u64,
    selector: Option<Selector>,
    met: u8,
    kept: Option<Arc<Kept>>,
}

thread_local! {
    static SLOTS_OF_THREAD: RefCell<[Slot; SLOTS]> = RefCell::new(std::array::from_fn(|_| Slot::default()));
}

/// This thread's handle of a selector, if `may_serve` says so of its snapshot.
#[inline(always)]
pub(crate) fn find(cache: u64, selector: &Selector, may_serve: impl FnOnce(&Snapshot) -> bool) -> Option<Arc<Kept>> {
    with_slot(selector, |slot| {
        let kept = slot.kept.as_ref().filter(|_| slot.cache == cache && slot.selector == Some(*selector))?;
        may_serve(kept).then(|| Arc::clone(kept))
    })
    .flatten()
}

/// Notes that this thread has met a snapshot, which it keeps if that was often.
pub(crate) fn meet(cache: u64, snapshot: &Shared) {
    with_slot(&snapshot.selector, |slot| {
        if slot.cache != cache || slot.selector != Some(snapshot.selector) {
            *slot = Slot { cache, selector: Some(snapshot.selector), met: 1, kept: None };
        } else if slot.met < OFTEN {
            slot.met += 1;
        } else {
            slot.kept = Some(Arc::new(Kept(Arc::clone(snapshot))));
        }
    });
}

/// Lets go of what this thread keeps of a selector.
pub(crate) fn forget(selector: &Selector) {
    with_slot(selector, |slot| {
        if slot.selector == Some(*selector) {
            slot.kept = None;
        }
    });
}

/// Without its slots, as it ends, a thread has met nothing.
#[inline(always)]
fn with_slot<T>(selector: &Selector, act: impl FnOnce(&mut Slot) -> T) -> Option<T> {
    let [.., digit] = *selector.as_bytes();
    // Digits of base62, so that the last 6 bits of one tell them apart.
    let index = usize::from(digit) % SLOTS;
    SLOTS_OF_THREAD.try_with(|slots| slots.try_borrow_mut().ok().map(|mut slots| act(&mut slots[index]))).ok().flatten()
}
