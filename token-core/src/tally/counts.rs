//! What one thread has counted since the last flush.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::atomic::Ordering;

use foldhash::fast::RandomState;
use ipnet::IpNet;

use crate::clock::Time;
use crate::network::Packed;
use crate::refusal::Reason;
use crate::scope::{Catalog, ScopeIndex, ScopeName, ScopeSet};
use crate::secret::Generation;
use crate::token::TokenId;
use crate::usage::{
    CLIENT_MAX, Call, Client, Inline, LastUse, RefusalTally, ScopeTally, SignalKind, SignalTally, SourceTally, Tallies,
    UseTally, source_network,
};

use super::calls::{Called, Rings};
use super::{KEPT, Room};

/// So many calls are kept of one entry, and of one thread, between two flushes: a flood of them costs nothing.
const CALLS_OF_ENTRY: u8 = 4;
const CALLS_OF_THREAD: usize = 64;

/// One use of a secret.
pub(crate) struct Used<'a> {
    pub(crate) token: TokenId,
    pub(crate) generation: Generation,
    pub(crate) at: Time,
    pub(crate) address: Packed,
    /// What the client calls itself.
    pub(crate) client: &'a [u8],
}

impl Used<'_> {
    fn key(&self) -> Key<Generation> {
        Key(self.token, self.generation, self.at.hour())
    }
}

/// One refusal of a token.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) token: TokenId,
    pub(crate) reason: Reason,
    pub(crate) at: Time,
    pub(crate) address: Option<IpAddr>,
}

/// Only the flush ever meets a thread there.
#[derive(Debug, Default)]
pub(super) struct Counts {
    uses: HashMap<Key<Generation>, Uses, RandomState>,
    refusals: HashMap<Key<Reason>, Refusals, RandomState>,
    /// Where addresses changed between two requests, or a request was refused.
    sources: HashMap<(TokenId, IpNet), Seen, RandomState>,
    calls: Vec<Called>,
}

/// What is counted apart: a token, one of its secrets or a reason, an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key<T>(TokenId, T, Time);

impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        // Half of an id is random already, and what else there is to a key has few values.
        let [.., a, b, c, d, e, f, g, h] = *self.0.as_bytes();
        hasher.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// The uses of a secret within an hour. What every use looks at is together, and first.
#[derive(Debug)]
#[repr(C)]
struct Uses {
    count: u64,
    at: Time,
    /// Whence the latest came, and of how many that is true in a row.
    address: Packed,
    in_a_row: u64,
    since: Time,
    scopes: ScopeSet,
    calls: u8,
    client: Inline<CLIENT_MAX>,
}

impl Uses {
    fn none(used: &Used<'_>) -> Uses {
        Uses {
            count: 0,
            at: used.at,
            address: used.address,
            in_a_row: 0,
            since: used.at,
            scopes: ScopeSet::default(),
            calls: 0,
            client: Inline::of(used.client),
        }
    }
}

#[derive(Debug)]
struct Refusals {
    count: u64,
    first: Time,
    last: Time,
    calls: u8,
}

#[derive(Debug)]
struct Seen {
    first: Time,
    last: Time,
    uses: u64,
    refusals: u64,
}

impl Counts {
    /// Whether its call is one of the few to be kept.
    #[inline(always)]
    pub(super) fn used(&mut self, used: &Used<'_>, room: &Room) -> bool {
        let Some(entry) = entry(&mut self.uses, used, room) else { return false };
        entry.count += 1;
        if entry.address == used.address {
            entry.in_a_row += 1;
        } else {
            // The rest of this is for the few whose address changes.
            if entry.in_a_row > 0 {
                let seen = Seen { first: entry.since, last: entry.at, uses: entry.in_a_row, refusals: 0 };
                see(&mut self.sources, used.token, entry.address.unpacked(), seen, room);
            }
            (entry.address, entry.in_a_row, entry.since) = (used.address, 1, used.at);
        }
        entry.at = entry.at.max(used.at);
        if !entry.client.is_of(used.client) {
            entry.client.set(used.client);
        }
        let kept = entry.calls < CALLS_OF_ENTRY && self.calls.len() < CALLS_OF_THREAD;
        entry.calls += u8::from(kept);
        kept
    }

    /// Takes one use back, if there is one that is not stored yet. When the secret was last used stays as it is: whoever was refused had it.
    pub(super) fn take_back(&mut self, used: &Used<'_>) -> bool {
        let Some(entry) = self.uses.get_mut(&used.key()).filter(|entry| entry.count > 0) else { return false };
        entry.count -= 1;
        if entry.address == used.address {
            entry.in_a_row = entry.in_a_row.saturating_sub(1);
        }
        true
    }

    pub(super) fn exercised(&mut self, used: &Used<'_>, scope: ScopeIndex, room: &Room) {
        if let Some(entry) = entry(&mut self.uses, used, room) {
            entry.scopes.insert(scope);
        }
    }

    /// Keeps a call of the sample.
    pub(super) fn keep(&mut self, called: Called) {
        if self.calls.len() < CALLS_OF_THREAD {
            self.calls.push(called);
        }
    }

    pub(super) fn refused(&mut self, refused: &Refused, room: &Room) {
        let Refused { token, reason, at, address } = *refused;
        let key = Key(token, reason, at.hour());
        if let Some(entry) = self.refusals.get_mut(&key) {
            entry.count += 1;
            entry.first = entry.first.min(at);
            entry.last = entry.last.max(at);
        } else if room.admit(&room.refusals, 1) {
            self.refusals.insert(key, Refusals { count: 1, first: at, last: at, calls: 0 });
        }
        see(&mut self.sources, token, address, Seen { first: at, last: at, uses: 0, refusals: 1 }, room);
    }

    pub(super) fn refused_call(&mut self, refused: &Refused, call: &Call<'_>) {
        let Refused { token, reason, at, address } = *refused;
        // Counted just before, unless another thread did.
        if let Some(entry) = self.refusals.get_mut(&Key(token, reason, at.hour())) {
            if entry.calls >= CALLS_OF_ENTRY {
                return;
            }
            entry.calls += 1;
        }
        self.keep(Called::new(token, at, address, Some(reason), call));
    }

    /// A map that has grown large is taken as it is: its thread may be waiting.
    pub(super) fn empty_into(&mut self, taken: &mut Taken, room: &Room) {
        let before = (taken.uses.len(), taken.refusals.len(), taken.sources.len());
        empty_into(&mut self.uses, &mut taken.uses);
        empty_into(&mut self.refusals, &mut taken.refusals);
        empty_into(&mut self.sources, &mut taken.sources);
        taken.calls.append(&mut self.calls);
        room.uses.fetch_sub(taken.uses.len() - before.0, Ordering::Relaxed);
        room.refusals.fetch_sub(taken.refusals.len() - before.1, Ordering::Relaxed);
        room.sources.fetch_sub(taken.sources.len() - before.2, Ordering::Relaxed);
    }
}

/// What is counted of a secret, if there is room: nothing yet if it is new.
#[inline(always)]
fn entry<'a>(
    uses: &'a mut HashMap<Key<Generation>, Uses, RandomState>,
    used: &Used<'_>,
    room: &Room,
) -> Option<&'a mut Uses> {
    match uses.entry(used.key()) {
        Entry::Occupied(entry) => Some(entry.into_mut()),
        Entry::Vacant(entry) => room.admit(&room.uses, 1).then(|| entry.insert(Uses::none(used))),
    }
}

fn see<S: BuildHasher>(
    sources: &mut HashMap<(TokenId, IpNet), Seen, S>,
    token: TokenId,
    address: Option<IpAddr>,
    seen: Seen,
    room: &Room,
) {
    let Some(address) = address else { return };
    let key = (token, source_network(address));
    if let Some(entry) = sources.get_mut(&key) {
        entry.first = entry.first.min(seen.first);
        entry.last = entry.last.max(seen.last);
        entry.uses += seen.uses;
        entry.refusals += seen.refusals;
    } else if room.admit(&room.sources, seen.uses + seen.refusals) {
        sources.insert(key, seen);
    }
}

fn empty_into<K, V>(map: &mut HashMap<K, V, RandomState>, all: &mut Vec<(K, V)>) {
    if map.len() <= KEPT { all.extend(map.drain()) } else { all.extend(std::mem::take(map)) }
}

/// What was taken of all threads.
#[derive(Debug, Default)]
pub(super) struct Taken {
    uses: Vec<(Key<Generation>, Uses)>,
    refusals: Vec<(Key<Reason>, Refusals)>,
    sources: Vec<((TokenId, IpNet), Seen)>,
    calls: Vec<Called>,
}

impl Taken {
    /// With one of each kind for each key, in the order of the keys.
    pub(super) fn into_tallies(self, catalog: &Catalog, rings: &mut Rings) -> Tallies {
        let mut tallies = Tallies { calls: rings.place(self.calls), ..Tallies::default() };
        for (Key(token, generation, hour), uses) in self.uses {
            let Uses { count, at, in_a_row, since, scopes, client, .. } = uses;
            let address = uses.address.unpacked();
            // None is left where all were taken back.
            if count > 0 {
                let last = LastUse { at, address, client: Client::of(client.as_bytes()) };
                tallies.uses.push(UseTally { token, generation, hour, count, last });
            }
            if let Some(address) = address.filter(|_| in_a_row > 0) {
                let network = source_network(address);
                let (first, last) = (since, at);
                tallies.sources.push(SourceTally { token, network, first, last, uses: in_a_row, refusals: 0 });
            }
            tallies.scopes.extend(scopes.iter().filter_map(|scope| {
                let scope = ScopeName::new(catalog.name(scope)).ok()?;
                Some(ScopeTally { token, scope, last: at.hour() })
            }));
        }
        for (Key(token, reason, hour), Refusals { count, first, last, .. }) in self.refusals {
            tallies.refusals.push(RefusalTally { token, reason, hour, count });
            if let Some(kind) = SignalKind::of_refusal(reason) {
                tallies.signals.push(SignalTally { token, kind, subject: String::new(), first, last, count });
            }
        }
        for ((token, network), Seen { first, last, uses, refusals }) in self.sources {
            tallies.sources.push(SourceTally { token, network, first, last, uses, refusals });
        }
        tallies.sort();
        tallies
    }
}
