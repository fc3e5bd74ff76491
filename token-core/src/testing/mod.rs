//! For tests: the conformance suite that every [`TokenStore`](crate::TokenStore) must pass, and stores that watch.

mod counting;

pub use counting::CountingStore;
