//! For tests: the conformance suite that every [`TokenStore`] must pass, and stores that count, fail or break.
//!
//! A store is conformant when [`conformance`] finds nothing broken. The suite itself is tested too: for every
//! [`Promise`] there is a store that breaks it ([`Sabotaged`]), and [`sabotage_goes_unnoticed`] names the promises whose
//! breach the suite would miss. Both use no runtime of their own and run on any.
//!
//! ```
//! # use std::sync::Arc;
//! use token_core::testing::{conformance, sabotage_goes_unnoticed};
//! use token_core::{MemoryStore, TokenStore};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let open = async || Arc::new(MemoryStore::new()) as Arc<dyn TokenStore>;
//! assert_eq!(conformance(open).await, []);
//! assert_eq!(sabotage_goes_unnoticed(open).await, []);
//! # }
//! ```

mod checks;
mod hooked;
mod leak;
mod promise;
mod sabotage;
mod sample;
mod text;

use std::sync::Arc;

use crate::store::TokenStore;

pub use hooked::{Call, Counter, CountingStore, Hook, HookedStore};
pub use leak::LeakSearch;
pub use promise::{Broken, Promise};
pub use sabotage::Sabotaged;
pub use text::{with_checksum, with_wrong_verifier};

/// Checks every promise, each on a fresh store from `open`. Answers what is broken: nothing, for a conformant store.
pub async fn conformance(open: impl AsyncFn() -> Arc<dyn TokenStore>) -> Vec<Broken> {
    let mut broken = Vec::new();
    for promise in Promise::ALL {
        if let Err(breach) = promise.check(open().await).await {
            broken.push(breach);
        }
    }
    broken
}

/// Breaks each promise in turn on a fresh store from `open`. Answers the promises whose breach was not found: none, for a
/// suite that can fail.
pub async fn sabotage_goes_unnoticed(open: impl AsyncFn() -> Arc<dyn TokenStore>) -> Vec<Promise> {
    let mut unnoticed = Vec::new();
    'promises: for promise in Promise::ALL {
        // On a real database a race may happen to be won: it is lost soon enough.
        let tries = if promise.is_race() { 10 } else { 1 };
        for _ in 0..tries {
            let sabotaged = Arc::new(Sabotaged::new(open().await, promise));
            if promise.check(sabotaged).await.is_err() {
                continue 'promises;
            }
        }
        unnoticed.push(promise);
    }
    unnoticed
}
