//! The cache's protocol, model-checked: every interleaving of loads, invalidations, refreshes and leaders that are dropped.
//!
//! The two modules are the core's own files, on the model checker's primitives instead of the standard library's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, dead_code, unreachable_pub)]

#[path = "../../src/loads.rs"]
mod loads;
#[path = "../../src/marks.rs"]
mod marks;

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}

mod handover;
mod invalidation;
