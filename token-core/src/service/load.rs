//! Verification on a miss: one load for all who wait, and one snapshot for all who know the secret.

use std::collections::HashMap;
use std::sync::Arc;

use async_lock::OnceCell;
use tracing::Instrument;

use crate::counters;
use crate::format::Parsed;
use crate::keyring::{Shown, Verdict};
use crate::loads::Turn;
use crate::near::Held;
use crate::network::Packed;
use crate::refusal::{Class, Reason, Refusal};
use crate::scope::Rights;
use crate::secret::Selector;
use crate::snapshot::{Dated, Making, Shared, Snapshot};
use crate::store::{Fault, Loaded, StoreError};

use super::verify::{Caller, Presented, Verified};
use super::{Inner, Tokens};

/// What a load says of one selector. An error is everybody's who waits, and nobody's who comes later.
pub(super) type Answer = Result<Arc<Read>, Reason>;

/// What was read of one selector.
#[derive(Debug)]
pub(super) struct Read {
    /// `None` if there is no such secret.
    row: Option<Loaded>,
    dated: Dated,
    /// Made by the first who shows that it knows the secret, and shared by all who do.
    made: OnceCell<Made>,
}

/// A snapshot, and whether the host has said what its owner may do; where it has not, the snapshot allows nothing and is not
/// cached.
#[derive(Debug, Clone)]
struct Made {
    snapshot: Shared,
    ceiling: Result<(), Reason>,
}

impl Tokens {
    pub(super) async fn load_and_verify(&self, parsed: Parsed<'_>, caller: Caller) -> Result<Verified, Refusal> {
        let inner = &*self.0;
        inner.counters.missed();
        let read = inner.read(parsed.selector()).await.map_err(|reason| self.refused(reason))?;
        // The MAC first and always: whoever does not know the secret gets the same work and the same answer for every selector.
        let verdict = inner.keyring.verify(parsed.verifier(), read.row.as_ref().map(|row| &row.secret));
        let Some(row) = &read.row else { return Err(self.refused(Reason::UnknownSelector)) };
        let token = row.secret.token;
        let made = match verdict {
            Verdict::Right(shown) => Ok(read.made.get_or_init(|| inner.make(row, shown, read.dated)).await),
            Verdict::Wrong | Verdict::Unknown => Err(Reason::WrongVerifier),
            Verdict::UnknownKey => Err(row.without_key(inner.clock.now())),
        };
        let proven = made.is_ok();
        let now = inner.clock.reading();
        let accepted = made.and_then(|made| {
            // Where the host does not answer, what is dead anyway is refused as that.
            made.snapshot.standing(caller.address, now.wall).and(made.ceiling)?;
            // What took so long to be read that it would not be served from the cache is not served at all.
            if inner.cache.is_stale(read.dated, now) { Err(Reason::StoreUnavailable) } else { Ok(made) }
        });
        match accepted {
            Ok(made) => {
                inner.counters.accepted_on_miss();
                Ok(self.verified(parsed, Held::Shared(Arc::clone(&made.snapshot)), now.wall, caller))
            }
            Err(reason) => {
                let address = Packed::new(caller.address);
                // What the store or the host is to blame for says nothing about the token.
                let proven = proven && reason.class() != Class::Unavailable;
                Err(self.refused_token(reason, Presented { token, at: now.wall, address, proven }, None))
            }
        }
    }
}

impl Inner {
    /// What the store says of a selector: as it was when this was called, or later.
    async fn read(&self, selector: Selector) -> Answer {
        let called = self.cache.begin();
        loop {
            let read = self.load_with_others(selector).await?;
            // It may be of a load that was under way already, and of before a change that was confirmed before this was called.
            // The next one can't be.
            let stands = |row: &Loaded| {
                let places = self.cache.places(row.secret.token, &row.token.unverified().owner);
                self.cache.stands(places, read.dated.begun)
            };
            if read.dated.begun >= called || read.row.as_ref().is_some_and(stands) {
                return Ok(read);
            }
        }
    }

    async fn load_with_others(&self, selector: Selector) -> Answer {
        let mut waiter = self.loads.join(selector).map_err(|_| {
            tracing::warn!("more tokens wait to be looked up than can be; refusing some");
            Reason::StoreUnavailable
        })?;
        loop {
            match waiter.turn().await {
                Turn::Answered(answer) => return answer,
                Turn::Lead(lead) => {
                    let answers = self.load_all(lead.keys(), "miss").await;
                    lead.land(answers);
                }
            }
        }
    }

    /// Reads what is known of each selector, in their order.
    async fn load_all(&self, selectors: &[Selector], kind: &'static str) -> Vec<Answer> {
        let dated = self.cache.date(self.clock.reading());
        let (mut rows, unreadable) = match self.load_readable(selectors, kind).await {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(error = %error, cause = ?std::error::Error::source(&error), "the token store did not answer");
                return vec![Err(Reason::StoreUnavailable); selectors.len()];
            }
        };
        let answer = |selector: &Selector| {
            if unreadable.contains(selector) {
                return Err(Reason::StoreUnavailable);
            }
            Ok(Arc::new(Read { row: rows.remove(selector), dated, made: OnceCell::new() }))
        };
        selectors.iter().map(answer).collect()
    }

    /// The rows of these selectors, and which of them have rows that can't be read: those are found by halves, so that one of
    /// them makes no other unknown.
    pub(super) async fn load_readable(
        &self,
        selectors: &[Selector],
        kind: &'static str,
    ) -> Result<(HashMap<Selector, Loaded>, Vec<Selector>), StoreError> {
        let (mut rows, mut unreadable) = (HashMap::with_capacity(selectors.len()), Vec::new());
        let mut parts = vec![selectors];
        while let Some(part) = parts.pop() {
            let span = tracing::debug_span!("load", kind, selectors = part.len());
            let started = self.clock.monotonic();
            let loaded = self.store.load(part).instrument(span).await;
            counters::loaded(kind, part.len(), self.clock.monotonic().saturating_sub(started));
            match loaded {
                Ok(loaded) => rows.extend(loaded.into_iter().map(|loaded| (loaded.secret.selector, loaded))),
                Err(error) if error.fault() == Fault::Corrupt && part.len() > 1 => {
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.extend([right, left]);
                }
                Err(error) if error.fault() == Fault::Corrupt => {
                    tracing::error!(error = %error, selector = ?part.first(), "a token's rows can't be read");
                    unreadable.extend(part);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((rows, unreadable))
    }

    /// The snapshot of a row whose secret was shown to be known, which is kept unless the host did not answer.
    async fn make(&self, row: &Loaded, shown: Shown, dated: Dated) -> Made {
        let ceiling = self.ceiling(&row.token.unverified().owner).await;
        let (ceiling, answered) = match ceiling {
            Ok(ceiling) => (ceiling, Ok(())),
            Err(_) => (Some(Rights::default()), Err(Reason::CeilingUnavailable)),
        };
        let snapshot = self.snapshot(row, ceiling.as_ref(), shown, dated);
        if answered.is_ok() {
            self.cache.insert(&snapshot);
        }
        Made { snapshot, ceiling: answered }
    }

    pub(super) fn snapshot(&self, row: &Loaded, ceiling: Option<&Rights>, shown: Shown, dated: Dated) -> Shared {
        let owner = &row.token.unverified().owner;
        let making = Making {
            keyring: &self.keyring,
            catalog: &self.catalog,
            shown,
            dated,
            places: self.cache.places(row.secret.token, owner),
            owner: self.cache.owner(owner),
        };
        Arc::new(Snapshot::new(row, ceiling, making))
    }
}
