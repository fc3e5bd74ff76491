//! A snapshot: all that decides about one secret, read at one moment. Immutable and small, so that many can be kept.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::{Reading, Time};
use crate::keyring::{Keyring, Shown};
use crate::marks::{Begun, Place};
use crate::network::Networks;
use crate::refusal::Reason;
use crate::scope::{Catalog, Exercised, Rights};
use crate::seal::BrokenSeal;
use crate::secret::{Generation, Selector, VERIFIER_LEN};
use crate::store::Loaded;
use crate::text::{OwnerId, TokenName};
use crate::token::TokenId;

/// What verification and its answer need of a secret, its token and its owner, and nothing else of their rows.
///
/// In the order in which a request looks at it: between two requests of one token others take its place in the processor's caches, and
/// what is looked at together then comes back together.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Snapshot {
    pub(crate) dated: Dated,
    /// Where a change of the token, and one of the owner, is marked.
    pub(crate) places: [Place; 2],
    pub(crate) token: TokenId,
    pub(crate) generation: Generation,
    /// The seals of token and owner, and whether the owner is there, as they were when the snapshot was made. Nothing else is
    /// trusted where this is `Err`.
    sound: Result<(), Reason>,
    suspended: bool,
    revoked: bool,
    /// What the verifier is known by.
    pub(crate) shown: Shown,
    expires: End,
    /// When the secret ends, its token aside.
    ends: End,
    /// The token's last change.
    changed_at: Time,
    networks: Option<Box<Networks>>,
    pub(crate) catalog: Arc<Catalog>,
    /// The token's grants under its owner's ceiling.
    pub(crate) rights: Rights,
    /// What was asked for of these rights, and had.
    pub(crate) exercised: Exercised,
    pub(crate) selector: Selector,
    pub(crate) name: TokenName,
    pub(crate) owner: Arc<OwnerId>,
    /// Each is asked for once for each snapshot.
    pub(crate) refresh: Once,
    pub(crate) redigest: Once,
}

pub(crate) type Shared = Arc<Snapshot>;

/// When something was read, by the count of marks and by the clocks, all taken before the store was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dated {
    pub(crate) begun: Begun,
    wall: Time,
    /// Microseconds.
    monotonic: u64,
}

impl Dated {
    pub(crate) fn new(begun: Begun, at: Reading) -> Dated {
        Dated { begun, wall: at.wall, monotonic: at.monotonic_micros() }
    }

    /// How old it is: by the monotonic clock, or by the wall clock if that says more. The first may have stood still, with a
    /// machine that was suspended; the second may have been set, which makes nothing younger than the first says.
    #[inline]
    pub(crate) fn age(&self, now: Reading) -> Age {
        let by_wall = now.wall.as_micros().saturating_sub(self.wall.as_micros());
        let by_wall = u64::try_from(by_wall).unwrap_or(0);
        Age(now.monotonic_micros().saturating_sub(self.monotonic).max(by_wall))
    }
}

/// An age, in microseconds: as a plain number, since it is compared at every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age(u64);

impl Age {
    pub(crate) fn new(span: Duration) -> Age {
        Age(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
    }

    pub(crate) fn span(self) -> Duration {
        Duration::from_micros(self.0)
    }
}

/// A moment from which on something is over, perhaps never: an `Option<Time>` in half of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End(i64);

impl End {
    const NEVER: End = End(i64::MAX);
    const ALWAYS: End = End(i64::MIN);

    fn at(end: Option<Time>) -> End {
        end.map_or(End::NEVER, |end| End(end.as_micros()))
    }

    #[inline]
    fn has_come(self, now: Time) -> bool {
        now.as_micros() >= self.0
    }

    fn time(self) -> Option<Time> {
        Time::from_micros(self.0)
    }
}

/// Something that is to be asked for once.
#[derive(Debug, Default)]
pub(crate) struct Once(AtomicBool);

impl Once {
    /// Whether it is the first time.
    pub(crate) fn first(&self) -> bool {
        // Looked at before it is written: all but the first leave the cache line to those who read.
        !self.0.load(Ordering::Relaxed) && !self.0.swap(true, Ordering::Relaxed)
    }

    /// It has not been asked for after all.
    pub(crate) fn again(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// What a snapshot is made with, besides the rows.
pub(crate) struct Making<'a> {
    pub(crate) keyring: &'a Keyring,
    pub(crate) catalog: &'a Arc<Catalog>,
    pub(crate) shown: Shown,
    pub(crate) dated: Dated,
    pub(crate) places: [Place; 2],
    pub(crate) owner: Arc<OwnerId>,
}

impl Snapshot {
    /// `ceiling` is `None` where the host does not know the owner or has deactivated it.
    pub(crate) fn new(loaded: &Loaded, ceiling: Option<&Rights>, making: Making<'_>) -> Snapshot {
        let Making { keyring, catalog, shown, dated, places, owner } = making;
        let (secret, token) = (&loaded.secret, loaded.token.unverified());
        let seals = loaded.token.check(keyring).map(drop).and_then(|()| match &loaded.owner {
            Some(owner) => owner.check(keyring).map(drop),
            None => Ok(()),
        });
        // A row of another owner, or of another token, is not this one's, whatever a database's collation takes for equal.
        let belong =
            secret.token == token.id && loaded.owner.as_ref().is_none_or(|owner| owner.unverified().id == token.owner);
        let known = loaded.owner.is_some() && ceiling.is_some();
        let sound = match seals {
            Err(BrokenSeal::Altered) => Err(Reason::BrokenSeal),
            Err(BrokenSeal::UnknownKey) => Err(Reason::UnknownKey),
            Ok(()) if !belong => Err(Reason::BrokenSeal),
            Ok(()) if !known => Err(Reason::OwnerMissing),
            Ok(()) => Ok(()),
        };
        let named = |named: &crate::token::SecretRef| {
            named.generation == secret.generation && named.selector == secret.selector
        };
        let ends = match &token.superseded {
            _ if named(&token.current) => End::NEVER,
            Some(old) if named(&old.secret) => End::at(Some(old.until)),
            _ => End::ALWAYS,
        };
        let rights = ceiling.map(|ceiling| Rights::of(&token.grants, catalog).intersection(ceiling));
        Snapshot {
            token: secret.token,
            generation: secret.generation,
            selector: secret.selector,
            shown,
            dated,
            places,
            sound,
            suspended: loaded.owner.as_ref().is_some_and(|owner| owner.unverified().suspended_at.is_some()),
            revoked: token.revoked_at.is_some(),
            expires: End::at(token.expires_at),
            ends,
            changed_at: token.head.at,
            networks: token.networks.clone().map(Box::new),
            name: token.name.clone(),
            owner,
            rights: rights.unwrap_or_default(),
            catalog: Arc::clone(catalog),
            exercised: Exercised::default(),
            refresh: Once::default(),
            redigest: Once::default(),
        }
    }

    /// Whether the verifier is the right one, in time that depends on neither.
    #[inline(always)]
    pub(crate) fn is_of(&self, verifier: &[u8; VERIFIER_LEN], keyring: &Keyring) -> bool {
        keyring.shows(&self.shown, verifier, self.token)
    }

    /// What it takes in memory, by how many snapshots take as much that name no resources.
    pub(crate) fn weight(&self) -> u64 {
        // Some 400 bytes each.
        1 + self.rights.bytes_of_resources() as u64 / 400
    }

    pub(crate) fn expires_at(&self) -> Option<Time> {
        self.expires.time()
    }

    /// Whether the secret may be used, from this address at this moment, its verifier and the scope aside.
    #[inline]
    pub(crate) fn standing(&self, address: Option<IpAddr>, now: Time) -> Result<(), Reason> {
        // A broken row says nothing that can be believed. One that is dead by its own word needs neither owner nor key to be refused.
        if self.sound == Err(Reason::BrokenSeal) {
            return Err(Reason::BrokenSeal);
        }
        if self.revoked {
            return Err(Reason::Revoked);
        }
        // A clock that was set back does not bring back what had ended by the token's last change.
        let now = now.max(self.changed_at);
        let expired = self.expires.has_come(now);
        if expired && self.sound == Err(Reason::UnknownKey) {
            return Err(Reason::Expired);
        }
        self.sound?;
        if self.suspended {
            return Err(Reason::OwnerSuspended);
        }
        if expired {
            return Err(Reason::Expired);
        }
        if self.ends.has_come(now) {
            return Err(Reason::OverlapEnded);
        }
        match (&self.networks, address) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Reason::AddressUnknown),
            (Some(networks), Some(address)) if networks.contain(address) => Ok(()),
            (Some(_), Some(_)) => Err(Reason::NetworkNotAllowed),
        }
    }
}
