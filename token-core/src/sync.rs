//! What threads share, by one name, so that the model checker's own (`tests/model`) can stand in for it.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
