//! Behaviour of the core, seen from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod conformance;
