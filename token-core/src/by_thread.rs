//! One of something for each thread, so that threads that count do not wait for each other.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads beyond so many share.
const SHARDS: usize = 32;

/// What a thread takes on its way without meeting another, and the background looks through as a whole.
#[derive(Debug)]
pub(crate) struct ByThread<T>(Box<[Apart<T>]>);

/// Far enough from its neighbours that no two share a cache line, nor a pair of them that is fetched together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T: Default> Default for ByThread<T> {
    fn default() -> ByThread<T> {
        ByThread((0..SHARDS).map(|_| Apart::default()).collect())
    }
}

impl<T> ByThread<T> {
    /// This thread's own.
    #[inline]
    pub(crate) fn own(&self) -> &T {
        &self.0[index()].0
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|apart| &apart.0)
    }
}

#[inline]
fn index() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static INDEX: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    // Without its storage, as it ends, a thread shares the first.
    let known = INDEX.try_with(Cell::get).unwrap_or(0);
    if known != usize::MAX {
        return known % SHARDS;
    }
    let next = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
    INDEX.with(|index| index.set(next));
    next
}
