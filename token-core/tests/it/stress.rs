//! Real threads on a small cache: no token is accepted by a request that began after its revoke was confirmed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use token_core::testing::{Call, Hook, HookedStore};
use token_core::{MemoryStore, Policy, Reason, StoreError, SystemClock};

use crate::world::{World, present, text};

const TOKENS: usize = 500;

/// What it has read is some time on its way, as on a network.
struct Distant;

#[async_trait]
impl Hook for Distant {
    async fn after(&self, call: Call) -> Result<(), StoreError> {
        if call == Call::Load {
            for _ in 0..3 {
                thread::yield_now();
            }
        }
        Ok(())
    }
}

/// Ends the test when a thread of it ends, be it by a panic.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn no_stale_acceptance() {
    let store = HookedStore::hooked(Arc::new(MemoryStore::new()), Distant);
    let policy = Policy { live_tokens_per_owner: 1000, ..Policy::default() };
    let world = block_on(World::with(Arc::new(store), |builder| {
        // Small and short-lived, so that everything happens: misses, evictions, refreshes, and loads under way at each revoke.
        builder.cache_size(2).max_staleness(Duration::from_millis(100)).clock(SystemClock).initial_policy(policy)
    }));
    let mut minted = Vec::new();
    for _ in 0..TOKENS {
        minted.push(block_on(world.create(&[])));
    }
    let World { tokens, background, owner, .. } = world;
    let confirmed: Vec<AtomicBool> = (0..TOKENS).map(|_| AtomicBool::new(false)).collect();
    let current = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    let (accepted, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for seed in 0..3_usize {
            let (tokens, minted, confirmed, done) = (&tokens, &minted, &confirmed, &done);
            let (accepted, refused, current) = (&accepted, &refused, &current);
            scope.spawn(move || {
                let _ending = Ending(done);
                block_on(async move {
                    let mut turn = seed;
                    while !done.load(Ordering::SeqCst) {
                        // Those that are being revoked, have just been, and are the next.
                        turn += 1;
                        let at = (current.load(Ordering::SeqCst) + turn % 4).saturating_sub(2).min(TOKENS - 1);
                        let before = confirmed[at].load(Ordering::SeqCst);
                        match present(tokens, text(&minted[at])).await {
                            Ok(_) => {
                                assert!(!before, "accepted after its revoke was confirmed");
                                accepted.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(reason) => {
                                assert_eq!(reason, Reason::Revoked);
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                })
            });
        }
        let done_too = &done;
        scope.spawn(move || {
            block_on(async {
                while !done_too.load(Ordering::SeqCst) {
                    background.turn().await.unwrap();
                    thread::yield_now();
                }
            })
        });
        block_on(async {
            for (number, (minted, confirmed)) in minted.iter().zip(&confirmed).enumerate() {
                current.store(number, Ordering::SeqCst);
                tokens.manage(&owner).revoke(minted.token.id).await.unwrap();
                confirmed.store(true, Ordering::SeqCst);
                let seen = accepted.load(Ordering::Relaxed) + refused.load(Ordering::Relaxed);
                // Others are to be at it between any two.
                while accepted.load(Ordering::Relaxed) + refused.load(Ordering::Relaxed) < seen + 20
                    && !done.load(Ordering::SeqCst)
                {
                    thread::yield_now();
                }
            }
        });
        done.store(true, Ordering::SeqCst);
    });
    assert!(accepted.into_inner() > 0 && refused.into_inner() > 0);
}
