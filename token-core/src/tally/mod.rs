//! The tally: usage counted in memory between two flushes, bounded.

mod calls;
mod counts;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::by_thread::ByThread;
use crate::scope::{Catalog, ScopeIndex};
use crate::secret::Selector;
use crate::usage::{Call, Redigest, Tallies};

use calls::{Called, Rings};
use counts::{Counts, Taken};

pub(crate) use counts::{Refused, Used};

/// Entries of each kind between two flushes. Overload drops counts, never requests.
const ENTRIES_MAX: usize = 100_000;

/// With so many of one kind the next flush is not waited for.
const ENTRIES_MANY: usize = ENTRIES_MAX / 2;

/// What a thread's maps may hold and be emptied where they are, so that what is counted again after a flush is counted without
/// allocating.
const KEPT: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: ByThread<Mutex<Counts>>,
    room: Room,
    redigests: Mutex<HashMap<Selector, Redigest>>,
    /// What could not be written, for the next flush.
    unwritten: Mutex<Tallies>,
    rings: Mutex<Rings>,
}

/// The room that is left for entries, of all threads together.
#[derive(Debug, Default)]
struct Room {
    uses: AtomicUsize,
    refusals: AtomicUsize,
    sources: AtomicUsize,
    dropped: AtomicU64,
    /// Who flushes, and waits for its time.
    flush: Mutex<Option<Waker>>,
}

impl Room {
    /// Whether there is room for one more entry; its counts are dropped if not.
    fn admit(&self, entries: &AtomicUsize, count: u64) -> bool {
        let before = entries.fetch_add(1, Ordering::Relaxed);
        if before + 1 == ENTRIES_MANY
            && let Some(flush) = lock(&self.flush).take()
        {
            flush.wake();
        }
        let room = before < ENTRIES_MAX;
        if !room {
            entries.fetch_sub(1, Ordering::Relaxed);
            self.dropped.fetch_add(count, Ordering::Relaxed);
        }
        room
    }

    fn is_filling(&self) -> bool {
        let many = |entries: &AtomicUsize| entries.load(Ordering::Relaxed) >= ENTRIES_MANY;
        many(&self.uses) || many(&self.refusals) || many(&self.sources)
    }
}

impl Tally {
    /// Whether its call is one of the few to be kept, by [`keep_call`](Tally::keep_call) when it has ended.
    #[inline(always)]
    pub(crate) fn used(&self, used: &Used<'_>) -> bool {
        lock(self.counts.own()).used(used, &self.room)
    }

    pub(crate) fn keep_call(&self, used: &Used<'_>, call: &Call<'_>) {
        let Used { token, at, address, .. } = *used;
        lock(self.counts.own()).keep(Called::new(token, at, address.unpacked(), None, call));
    }

    /// Takes a use back whose request was refused after all. What is stored already stays.
    pub(crate) fn take_back(&self, used: &Used<'_>) {
        // Where a request changes threads, another has counted it.
        for counts in std::iter::once(self.counts.own()).chain(self.counts.all()) {
            if lock(counts).take_back(used) {
                return;
            }
        }
    }

    /// A scope was exercised, for the first time since the token was read.
    pub(crate) fn exercised(&self, used: &Used<'_>, scope: ScopeIndex) {
        lock(self.counts.own()).exercised(used, scope, &self.room);
    }

    pub(crate) fn refused(&self, refused: &Refused) {
        lock(self.counts.own()).refused(refused, &self.room);
    }

    /// A call that was refused, for the sample.
    pub(crate) fn refused_call(&self, refused: &Refused, call: &Call<'_>) {
        lock(self.counts.own()).refused_call(refused, call);
    }

    pub(crate) fn redigested(&self, redigest: Redigest) {
        let mut redigests = lock(&self.redigests);
        if redigests.len() < ENTRIES_MAX {
            redigests.insert(redigest.selector, redigest);
        }
    }

    /// Ready when so much was counted that it had better be stored now.
    pub(crate) fn poll_filling(&self, context: &Context<'_>) -> Poll<()> {
        // Left before it is looked: what comes in between wakes.
        *lock(&self.room.flush) = Some(context.waker().clone());
        if self.room.is_filling() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes everything counted so far, sorted, and how many counts were dropped.
    pub(crate) fn take(&self, catalog: &Catalog) -> (Tallies, u64) {
        let mut taken = Taken::default();
        for counts in self.counts.all() {
            lock(counts).empty_into(&mut taken, &self.room);
        }
        let mut tallies = taken.into_tallies(catalog, &mut lock(&self.rings));
        tallies.redigests = std::mem::take(&mut *lock(&self.redigests)).into_values().collect();
        tallies.redigests.sort_by_key(|redigest| redigest.selector);
        let unwritten = std::mem::take(&mut *lock(&self.unwritten));
        if !unwritten.is_empty() {
            tallies.merge(unwritten);
        }
        let dropped = self.room.dropped.swap(0, Ordering::Relaxed) + tallies.cut_to(ENTRIES_MAX);
        (tallies, dropped)
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, tallies: Tallies) {
        if !tallies.is_empty() {
            lock(&self.unwritten).merge(tallies);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::network::Packed;
    use crate::refusal::Reason;
    use crate::secret::Generation;
    use crate::token::TokenId;

    fn at(seconds: i64) -> Time {
        Time::from_micros(seconds * 1_000_000).unwrap()
    }

    fn used(token: TokenId, at: Time) -> Used<'static> {
        Used { token, generation: Generation::FIRST, at, address: Packed::new(None), client: b"curl/8" }
    }

    fn from(address: &str, at: Time) -> Used<'static> {
        Used { address: Packed::new(address.parse().ok()), ..used(TokenId::NIL, at) }
    }

    fn refused(token: TokenId, at: Time) -> Refused {
        Refused { token, reason: Reason::Expired, at, address: None }
    }

    fn take(tally: &Tally) -> (Tallies, u64) {
        tally.take(&Catalog::new([]).unwrap())
    }

    #[test]
    fn what_could_not_be_written_is_counted_with_what_came_since() {
        let tally = Tally::default();
        let token = TokenId::from_bytes([1; 16]);
        tally.used(&used(token, at(10)));
        tally.refused(&refused(token, at(10)));
        let (first, _) = take(&tally);
        tally.used(&used(token, at(5)));
        tally.put_back(first);
        let (all, _) = take(&tally);
        assert_eq!(all.uses.len(), 1);
        assert_eq!((all.uses[0].count, all.uses[0].last.at), (2, at(10)));
        assert_eq!(all.refusals[0].count, 1);
        assert!(take(&tally).0.is_empty());
    }

    #[test]
    fn what_threads_have_counted_apart_is_one_count() {
        let tally = Tally::default();
        let token = TokenId::from_bytes([1; 16]);
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        tally.used(&used(token, Time::EPOCH));
                        tally.refused(&refused(token, Time::EPOCH));
                    }
                });
            }
        });
        let (all, dropped) = take(&tally);
        assert_eq!((all.uses.len(), all.uses[0].count), (1, 400));
        assert_eq!((all.refusals.len(), all.refusals[0].count, dropped), (1, 400, 0));
    }

    #[test]
    fn an_overload_is_bounded_and_counted() {
        let tally = Tally::default();
        let number = |number: u128| TokenId::from_bytes(number.to_be_bytes());
        for entry in 0..ENTRIES_MAX as u128 + 5 {
            tally.refused(&refused(number(entry), Time::EPOCH));
            tally.used(&used(number(entry), Time::EPOCH));
        }
        let (all, dropped) = take(&tally);
        assert_eq!((all.refusals.len(), all.uses.len(), dropped), (ENTRIES_MAX, ENTRIES_MAX, 10));
        // Room again, once they are taken; and what can't be written does not grow either.
        tally.refused(&refused(TokenId::NIL, Time::EPOCH));
        tally.put_back(all);
        tally.refused(&refused(number(u128::MAX), Time::EPOCH));
        let (all, dropped) = take(&tally);
        assert_eq!((all.refusals.len(), all.signals.len()), (ENTRIES_MAX, ENTRIES_MAX));
        assert_eq!(dropped, 2, "a refusal, and that it is suspicious");
    }

    #[test]
    fn requests_are_counted_for_their_networks() {
        let tally = Tally::default();
        for (address, second) in [("198.51.100.1", 1), ("198.51.100.2", 2), ("2001:db8::1", 3), ("198.51.100.1", 4)] {
            tally.used(&from(address, at(second)));
        }
        let address = Some("203.0.113.9".parse().unwrap());
        tally.refused(&Refused { address, ..refused(TokenId::NIL, at(9)) });
        let (all, _) = take(&tally);
        let sources: Vec<_> = all
            .sources
            .iter()
            .map(|source| (source.network.to_string(), source.first, source.last, source.uses, source.refusals))
            .collect();
        let expected = [
            ("198.51.100.0/24".to_owned(), at(1), at(4), 3, 0),
            ("203.0.113.0/24".to_owned(), at(9), at(9), 0, 1),
            ("2001:db8::/48".to_owned(), at(3), at(3), 1, 0),
        ];
        assert_eq!(sources, expected);
        assert_eq!(all.uses[0].last.address, Some("198.51.100.1".parse().unwrap()));
    }

    #[test]
    fn a_use_is_taken_back_wherever_it_was_counted_unless_it_is_stored() {
        let tally = Tally::default();
        let token = TokenId::from_bytes([1; 16]);
        let total = || take(&tally).0.uses.iter().map(|uses| uses.count).sum::<u64>();
        for _ in 0..3 {
            tally.used(&used(token, at(10)));
        }
        tally.take_back(&used(token, at(10)));
        std::thread::scope(|scope| scope.spawn(|| tally.take_back(&used(token, at(10)))).join().unwrap());
        assert_eq!(total(), 1);
        // One that is stored stays, and none of another token, secret or hour goes for it.
        tally.used(&used(token, at(10)));
        for other in [
            used(TokenId::NIL, at(10)),
            used(token, at(3700)),
            Used { generation: Generation::FIRST.next().unwrap(), ..used(token, at(10)) },
        ] {
            tally.take_back(&other);
        }
        assert_eq!(total(), 1);
        tally.take_back(&used(token, at(10)));
        assert_eq!(total(), 0);
    }

    #[test]
    fn of_a_secret_whose_uses_were_all_taken_back_nothing_is_left_but_what_it_exercised() {
        let tally = Tally::default();
        let catalog = Catalog::new([crate::scope::ScopeDef {
            name: "projects:read",
            says: "See your projects",
            group: "Projects",
            risk: crate::scope::Risk::Low,
            implies: &[],
        }])
        .unwrap();
        let used = from("198.51.100.1", at(10));
        tally.used(&used);
        tally.exercised(&used, catalog.index("projects:read").unwrap());
        tally.take_back(&used);
        let (all, _) = tally.take(&catalog);
        assert_eq!((all.uses.len(), all.sources.len()), (0, 0));
        assert_eq!(all.scopes.iter().map(|tally| tally.scope.as_str()).collect::<Vec<_>>(), ["projects:read"]);
        // Nor where a use from elsewhere follows.
        tally.used(&used);
        tally.take_back(&used);
        tally.used(&from("203.0.113.9", at(11)));
        let networks: Vec<_> = take(&tally).0.sources.iter().map(|source| source.network.to_string()).collect();
        assert_eq!(networks, ["203.0.113.0/24"]);
    }

    #[test]
    fn where_no_more_calls_are_kept_nobody_is_asked_to_tell_them() {
        let tally = Tally::default();
        let call = Call { method: "GET", route: None, client: None };
        let number = |number: u128| used(TokenId::from_bytes(number.to_be_bytes()), at(1));
        let kept = |token| tally.used(&number(token)).then(|| tally.keep_call(&number(token), &call)).is_some();
        assert_eq!((0..1000).filter(|token| kept(*token)).count(), 64);
        assert_eq!(take(&tally).0.calls.len(), 64);
        assert!(kept(0));
    }

    #[test]
    fn of_a_flood_of_calls_a_few_are_kept_each_in_a_slot_of_its_own() {
        let tally = Tally::default();
        let call = |route| Call { method: "GET", route: Some(route), client: Some(b"curl/8") };
        let used_at = |second, route| {
            let used = used(TokenId::NIL, at(second));
            if tally.used(&used) {
                tally.keep_call(&used, &call(route));
            }
        };
        for second in 0..1000 {
            used_at(second, "/a");
        }
        tally.refused_call(&refused(TokenId::NIL, at(1001)), &call("/b"));
        let (first, dropped) = take(&tally);
        assert_eq!(dropped, 0, "calls are a sample");
        assert_eq!(first.uses.iter().map(|tally| tally.count).sum::<u64>(), 1000);
        assert_eq!(first.uses[0].last.client.as_ref().map(crate::usage::Client::as_str), Some("curl/8"));
        assert_eq!(first.calls.iter().filter(|call| call.refused.is_none()).count(), 4);
        assert_eq!(
            first.calls.last().map(|call| (call.route.as_deref(), call.refused)),
            Some((Some("/b"), Some(Reason::Expired)))
        );
        used_at(2000, "/c");
        let (second, _) = take(&tally);
        let mut slots: Vec<u8> = first.calls.iter().chain(&second.calls).map(|call| call.slot).collect();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), 6);
    }
}
