//! A use that was counted before its request was refused.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::refusal::{Reason, Refusal};
use crate::usage::Call;

use super::{Tokens, Verified};

/// A use that is to be taken back, for an adapter to keep with its answer until it is known what was called. Made by
/// [`Tokens::refused_use`].
///
/// The same answer may be met by several layers, and be kept and sent again: the use is taken back once all the same.
#[derive(Debug)]
pub struct RefusedUse {
    tokens: Tokens,
    token: Verified,
    reason: Reason,
    tallied: AtomicBool,
}

impl Tokens {
    /// The use of a token whose request is refused after [`count_use`](Tokens::count_use) has counted it.
    #[must_use]
    pub fn refused_use(&self, token: &Verified, refusal: &Refusal) -> RefusedUse {
        let (tokens, token, reason) = (self.clone(), token.clone(), refusal.reason());
        RefusedUse { tokens, token, reason, tallied: AtomicBool::new(false) }
    }
}

impl RefusedUse {
    /// Takes the use back and notes the call, as [`Tokens::tally_refused_use`] does: the first time, and never again.
    pub fn tally(&self, call: &Call<'_>) {
        if !self.tallied.swap(true, Ordering::Relaxed) {
            self.tokens.tally_refused_use(&self.token, self.reason, call);
        }
    }
}
