//! Refresh ahead: snapshots that are in use are read again before they are too old to be served, many in one statement.

use std::collections::HashMap;

use crate::counters;
use crate::hook::within;
use crate::keyring::Shown;
use crate::secret::Selector;
use crate::snapshot::Dated;
use crate::store::{Fault, Loaded, StoreError};
use crate::text::OwnerId;
use crate::together::{self, Task};

use super::Inner;

/// Selectors in one statement.
const BATCH: usize = 512;

/// Owners that the host is asked about at once.
const OWNERS_AT_ONCE: usize = 32;

impl Inner {
    /// Refreshes what is due. What fails is left as it is: it is served for as long as it may be, and then loaded by whoever asks.
    pub(super) async fn refresh(&self) -> Result<(), StoreError> {
        loop {
            let due = self.cache.due(BATCH);
            if due.is_empty() {
                return Ok(());
            }
            self.refresh_these(&due).await?;
        }
    }

    async fn refresh_these(&self, due: &[Selector]) -> Result<(), StoreError> {
        let dated = self.cache.date(self.clock.reading());
        // What takes longer could not be served any more.
        let loaded = within(self.cache.max_staleness(), self.load_readable(due, "refresh")).await;
        let (mut rows, unreadable) = loaded.map_err(|error| StoreError::new(Fault::TimedOut, error))??;
        let mut by_owner: HashMap<OwnerId, Vec<(Loaded, Shown)>> = HashMap::new();
        for selector in due.iter().filter(|selector| !unreadable.contains(selector)) {
            // Nobody shows a secret here: what was shown before has to be of this digest too.
            let fits = |row: Loaded| {
                let shown = self.cache.shown(selector).filter(|shown| self.keyring.still_fits(shown, &row.secret))?;
                Some((row, shown))
            };
            match rows.remove(selector).and_then(fits) {
                Some((row, shown)) => {
                    let owner = row.token.unverified().owner.clone();
                    by_owner.entry(owner).or_default().push((row, shown));
                }
                None => self.cache.remove(selector),
            }
        }
        let mut owners: Vec<Task<'_>> = Vec::with_capacity(by_owner.len());
        for (owner, rows) in &by_owner {
            owners.push(Box::pin(self.refresh_owner(owner, rows, dated)));
        }
        together::all(owners, OWNERS_AT_ONCE).await;
        Ok(())
    }

    async fn refresh_owner(&self, owner: &OwnerId, rows: &[(Loaded, Shown)], dated: Dated) {
        let Ok(ceiling) = self.ceiling(owner).await else { return };
        let now = self.clock.reading();
        for (row, shown) in rows {
            if let Some(age) = self.cache.age(&row.secret.selector, now) {
                counters::age_when_refreshed(age);
            }
            self.cache.insert(&self.snapshot(row, ceiling.as_ref(), *shown, dated));
        }
    }
}
