//! The sample of calls: who called, and in which slot of its token's ring it is kept.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;

use crate::clock::Time;
use crate::refusal::Reason;
use crate::token::TokenId;
use crate::usage::{Call, CallTally, Inline};

use super::ENTRIES_MAX;

/// So many calls are kept of a token, each in a slot of its own.
const SLOTS: u8 = 32;

/// So many calls go into one flush.
const CALLS_OF_FLUSH: usize = 1000;

/// A call as it is kept until the flush, without allocating.
#[derive(Debug)]
pub(super) struct Called {
    token: TokenId,
    at: Time,
    address: Option<IpAddr>,
    refused: Option<Reason>,
    method: Inline<16>,
    route: Option<Inline<96>>,
}

impl Called {
    pub(super) fn new(
        token: TokenId,
        at: Time,
        address: Option<IpAddr>,
        refused: Option<Reason>,
        call: &Call<'_>,
    ) -> Called {
        let route = call.route.map(|route| Inline::of(route.as_bytes()));
        Called { token, at, address, refused, method: Inline::of(call.method.as_bytes()), route }
    }
}

/// Which slot of each token is written next. A node goes round by itself, beginning anywhere: what it overwrites of others is older,
/// or stays.
#[derive(Debug, Default)]
pub(super) struct Rings {
    next: HashMap<TokenId, u8, RandomState>,
}

impl Rings {
    /// The latest of these calls, in slots.
    pub(super) fn place(&mut self, mut calls: Vec<Called>) -> Vec<CallTally> {
        calls.sort_by_key(|call| (call.at, call.token));
        calls.drain(..calls.len().saturating_sub(CALLS_OF_FLUSH));
        if self.next.len() > ENTRIES_MAX {
            self.next.clear();
        }
        let place = |call: Called| {
            let Called { token, at, address, refused, method, route } = call;
            let begin = (at.as_micros() / 1000).rem_euclid(i64::from(SLOTS));
            let next = self.next.entry(token).or_insert_with(|| u8::try_from(begin).unwrap_or(0));
            let slot = *next;
            *next = (slot + 1) % SLOTS;
            let route = route.map(|route| route.shown());
            CallTally { token, slot, at, method: method.shown(), route, refused, address }
        };
        calls.into_iter().map(place).collect()
    }
}
