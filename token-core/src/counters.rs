//! What verification counts as it goes, for the background to publish.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::by_thread::ByThread;
use crate::refusal::Reason;

/// Verifications by outcome, and whether the cache knew the answer.
#[derive(Debug, Default)]
pub(crate) struct Counters(ByThread<Counts>);

#[derive(Debug)]
struct Counts {
    /// Accepted on a hit: what almost every verification is, so that it counts one thing only.
    accepted_hits: AtomicU64,
    accepted_misses: AtomicU64,
    refused_hits: AtomicU64,
    misses: AtomicU64,
    refused: [AtomicU64; Reason::COUNT],
}

impl Default for Counts {
    fn default() -> Counts {
        Counts {
            accepted_hits: AtomicU64::new(0),
            accepted_misses: AtomicU64::new(0),
            refused_hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            refused: [const { AtomicU64::new(0) }; Reason::COUNT],
        }
    }
}

impl Counters {
    #[inline]
    pub(crate) fn accepted_on_hit(&self) {
        add(&self.0.own().accepted_hits);
    }

    pub(crate) fn accepted_on_miss(&self) {
        add(&self.0.own().accepted_misses);
    }

    pub(crate) fn refused_on_hit(&self) {
        add(&self.0.own().refused_hits);
    }

    pub(crate) fn missed(&self) {
        add(&self.0.own().misses);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        add(&self.0.own().refused[reason as usize]);
    }

    /// Publishes what was counted since the last time.
    pub(crate) fn publish(&self) {
        let sum = |count: fn(&Counts) -> &AtomicU64| -> u64 { self.0.all().map(|counts| take(count(counts))).sum() };
        let accepted_hits = sum(|counts| &counts.accepted_hits);
        metrics::counter!("api_token_verifications_total", "outcome" => "accepted")
            .increment(accepted_hits + sum(|counts| &counts.accepted_misses));
        metrics::counter!("api_token_cache_hits_total").increment(accepted_hits + sum(|counts| &counts.refused_hits));
        metrics::counter!("api_token_cache_misses_total").increment(sum(|counts| &counts.misses));
        for reason in Reason::all() {
            let refused: u64 = self.0.all().map(|counts| take(&counts.refused[reason as usize])).sum();
            if refused > 0 {
                metrics::counter!("api_token_verifications_total", "outcome" => reason.as_str()).increment(refused);
            }
        }
    }
}

#[inline]
fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn take(count: &AtomicU64) -> u64 {
    // Most stand still most of the time.
    if count.load(Ordering::Relaxed) == 0 { 0 } else { count.swap(0, Ordering::Relaxed) }
}

/// A load has been answered.
pub(crate) fn loaded(kind: &'static str, keys: usize, took: Duration) {
    metrics::histogram!("api_token_load_seconds", "kind" => kind).record(took.as_secs_f64());
    metrics::histogram!("api_token_load_selectors", "kind" => kind).record(keys as f64);
}

/// A snapshot that is served was this old when it was replaced.
pub(crate) fn age_when_refreshed(age: Duration) {
    metrics::histogram!("api_token_snapshot_age_seconds").record(age.as_secs_f64());
}

/// What is kept, and what is waited for.
pub(crate) fn sizes(snapshots: usize, waited_for: usize) {
    metrics::gauge!("api_token_cache_snapshots").set(snapshots as f64);
    metrics::gauge!("api_token_loads_waited_for").set(waited_for as f64);
}

/// How long ago the feed was last heard to its end.
pub(crate) fn feed_lag(lag: Duration) {
    metrics::gauge!("api_token_feed_lag_seconds").set(lag.as_secs_f64());
}

/// Usage that was counted and could not be kept.
pub(crate) fn dropped(counts: u64) {
    metrics::counter!("api_token_usage_dropped_total").increment(counts);
}
