//! What the service says of itself to whoever measures.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use token_core::{Call, Caller, Credential, CredentialError};

use crate::store::weathered;
use crate::world::{World, seconds, text};

/// Sums of counters, the last value of gauges, and how often a histogram was given one.
#[derive(Default)]
struct Sums(Mutex<BTreeMap<String, Arc<Sum>>>);

#[derive(Debug, Default)]
struct Sum(AtomicU64);

impl CounterFn for Sum {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::SeqCst);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }
}

impl GaugeFn for Sum {
    fn increment(&self, _value: f64) {}

    fn decrement(&self, _value: f64) {}

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::SeqCst);
    }
}

impl HistogramFn for Sum {
    fn record(&self, _value: f64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Sums {
    fn of(&self, key: &Key) -> Arc<Sum> {
        let labels: String = key.labels().map(|label| format!(" {}", label.value())).collect();
        Arc::clone(self.0.lock().unwrap().entry(format!("{}{labels}", key.name())).or_default())
    }

    fn get(&self, name: &str) -> u64 {
        self.0.lock().unwrap().get(name).map_or(0, |sum| sum.0.load(Ordering::SeqCst))
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of(key))
    }
}

#[test]
fn verifications_loads_and_ages_are_measured() {
    let sums = Sums::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&sums, || runtime.block_on(verify_some()));
    let expected = [
        ("api_token_verifications_total accepted", 5),
        ("api_token_verifications_total wrong_verifier", 1),
        ("api_token_verifications_total no_credential", 1),
        ("api_token_verifications_total wrong_prefix", 1),
        ("api_token_cache_hits_total", 5),
        ("api_token_cache_misses_total", 1),
        ("api_token_load_seconds miss", 1),
        ("api_token_load_selectors miss", 1),
        ("api_token_load_seconds refresh", 1),
        ("api_token_snapshot_age_seconds", 1),
        ("api_token_cache_snapshots", 1_f64.to_bits()),
        // Not heard since the last time, 3 seconds ago.
        ("api_token_feed_lag_seconds", 3_f64.to_bits()),
    ];
    for (name, value) in expected {
        assert_eq!(sums.get(name), value, "{name}");
    }
}

async fn verify_some() {
    let (_, store) = weathered();
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&[]).await;
    for _ in 0..4 {
        assert!(world.verify(&minted).await.is_ok());
    }
    let wrong = token_core::testing::with_wrong_verifier(text(&minted));
    assert!(world.present(&wrong).await.is_err());
    assert!(world.tokens.authenticate(Err(CredentialError::Missing), Caller::default()).await.is_err());
    assert!(world.present("x").await.is_err());
    world.background.turn().await.unwrap();
    world.clock.advance(seconds(3));
    assert!(world.verify(&minted).await.is_ok());
    store.hook().set(&store.hook().feed_fails, true);
    assert!(world.background.turn().await.is_err());
}

#[test]
fn what_there_was_no_room_for_is_measured() {
    let sums = Sums::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&sums, || {
        runtime.block_on(async {
            let world = World::new().await;
            let minted = world.create(&[]).await;
            for number in 0..100_002_u32 {
                let [_, a, b, c] = number.to_be_bytes();
                let credential = Credential::Borrowed(text(&minted).as_bytes());
                let caller = Caller::at([11 + a, b, c, 1].into());
                let verified = world.tokens.authenticate(Ok(credential), caller).await.unwrap();
                world.tokens.tally_use(&verified, &Call::default());
            }
            world.tokens.flush().await.unwrap();
        });
    });
    assert_eq!(sums.get("api_token_usage_dropped_total"), 2, "of so many networks there is room for 100,000");
}
