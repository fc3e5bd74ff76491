//! No answer to a request that began after a revoke was confirmed is older than the revoke.

use loom::sync::Arc;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use crate::marks::{Begun, Marks};

/// A row as it was read: whether the token was live, and what the cache keeps of the reading.
#[derive(Clone, Copy)]
struct Read {
    live: bool,
    begun: Begun,
}

/// One token in a store and in a cache, whose one place is the cache's map.
struct World {
    live: AtomicBool,
    marks: Marks,
    cache: Mutex<Option<Read>>,
    /// Whether a reading is dated before the store is asked, as it must be.
    guarded: bool,
}

impl World {
    fn new(guarded: bool) -> World {
        World { live: AtomicBool::new(true), marks: Marks::new(1), cache: Mutex::new(None), guarded }
    }

    fn read(&self) -> Read {
        if self.guarded {
            let begun = self.marks.begin();
            Read { live: self.live.load(Ordering::Acquire), begun }
        } else {
            let live = self.live.load(Ordering::Acquire);
            Read { live, begun: self.marks.begin() }
        }
    }

    /// A load on a miss, and a refresh ahead: both read and insert, whatever is in the cache by then.
    fn load(&self) -> Read {
        let read = self.read();
        *self.cache.lock().unwrap() = Some(read);
        read
    }

    fn refresh(&self) {
        self.load();
    }

    fn stands(&self, read: Read) -> bool {
        self.marks.spare([self.marks.place(7), self.marks.place(8)], read.begun)
    }

    fn accepts(&self) -> bool {
        let cached = *self.cache.lock().unwrap();
        match cached.filter(|read| self.stands(*read)) {
            Some(read) => read.live,
            None => self.load().live,
        }
    }

    fn request(&self) {
        self.accepts();
    }

    fn revoke(&self) {
        self.live.store(false, Ordering::Release);
        self.marks.mark(self.marks.place(7));
    }

    fn evict(&self) {
        *self.cache.lock().unwrap() = None;
    }
}

/// A verification, a refresh and a revoke at once; then a request that comes after the revoke was confirmed.
fn race(guarded: bool) {
    let mut model = loom::model::Builder::new();
    // Every interleaving with up to so many switches that nothing forces; all of them take minutes and show no more.
    model.preemption_bound = Some(3);
    model.check(move || {
        let world = Arc::new(World::new(guarded));
        let run = |act: fn(&World)| {
            let world = world.clone();
            thread::spawn(move || act(&world))
        };
        let verifying = run(World::request);
        let refreshing = run(World::refresh);
        world.revoke();
        assert!(!world.accepts(), "accepted after the revoke was confirmed");
        verifying.join().unwrap();
        refreshing.join().unwrap();
        assert!(!world.accepts(), "accepted for good: a load that was under way has won");
    });
}

#[test]
fn a_change_wins_against_loads_under_way_and_refreshes() {
    race(true);
}

#[test]
#[should_panic(expected = "accepted")]
fn without_its_guard_it_would_not() {
    race(false);
}

#[test]
fn eviction_changes_nothing() {
    loom::model(|| {
        let world = Arc::new(World::new(true));
        world.load();
        let evicting = {
            let world = world.clone();
            thread::spawn(move || world.evict())
        };
        let verifying = {
            let world = world.clone();
            thread::spawn(move || world.request())
        };
        world.revoke();
        assert!(!world.accepts());
        evicting.join().unwrap();
        verifying.join().unwrap();
        assert!(!world.accepts());
    });
}

/// Two changes of what shares a place: the mark that is numbered first may be written last.
#[test]
fn marks_written_out_of_order_fell_what_they_must() {
    loom::model(|| {
        let world = Arc::new(World::new(true));
        let other = {
            let world = world.clone();
            thread::spawn(move || world.marks.mark(world.marks.place(7)))
        };
        let before = world.read();
        world.revoke();
        assert!(!world.stands(before));
        other.join().unwrap();
        assert!(!world.stands(before) && !world.accepts());
    });
}
