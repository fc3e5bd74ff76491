//! Real threads on a small cache: no token is accepted by a request that began after its revoke was confirmed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use token_core::{MemoryStore, Policy, Reason, SystemClock};

use crate::world::{World, present, text};

const TOKENS: usize = 400;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn no_stale_acceptance() {
    let policy = Policy { live_tokens_per_owner: 1000, ..Policy::default() };
    let world = block_on(World::with(Arc::new(MemoryStore::new()), |builder| {
        // Small and short-lived, so that everything happens: misses, evictions, refreshes, and loads under way at each revoke.
        builder.cache_size(64).max_staleness(Duration::from_millis(100)).clock(SystemClock).initial_policy(policy)
    }));
    let mut minted = Vec::new();
    for _ in 0..TOKENS {
        minted.push(block_on(world.create(&[])));
    }
    let World { tokens, background, owner, .. } = world;
    let confirmed: Vec<AtomicBool> = (0..TOKENS).map(|_| AtomicBool::new(false)).collect();
    let done = AtomicBool::new(false);
    let (accepted, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for seed in 0..3_usize {
            let (tokens, minted, confirmed, done) = (&tokens, &minted, &confirmed, &done);
            let (accepted, refused) = (&accepted, &refused);
            scope.spawn(move || {
                block_on(async move {
                    let mut at = seed * 131;
                    while !done.load(Ordering::SeqCst) {
                        at = (at + 1 + seed) % TOKENS;
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
            for (minted, confirmed) in minted.iter().zip(&confirmed) {
                tokens.manage(&owner).revoke(minted.token.id).await.unwrap();
                confirmed.store(true, Ordering::SeqCst);
                let seen = accepted.load(Ordering::Relaxed) + refused.load(Ordering::Relaxed);
                // Others are to be at it between any two.
                while accepted.load(Ordering::Relaxed) + refused.load(Ordering::Relaxed) < seen + 20 {
                    thread::yield_now();
                }
            }
        });
        done.store(true, Ordering::SeqCst);
    });
    assert!(accepted.into_inner() > 0 && refused.into_inner() > 0);
}
