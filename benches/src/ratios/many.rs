//! `verify.1e3`, `verify.1e6`: a random walk over cached tokens, over the same walk through nothing but a cache and a MAC.

use std::hint::black_box;
use std::sync::Arc;

use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, UnitWeighter};

use super::hot::KEY;
use super::{Setting, runtime};
use crate::Trouble;
use crate::mac::{Floor, MESSAGE};
use crate::pairs::{Plan, nanoseconds};
use crate::subject::{Subject, pass, verify_cached};
use crate::table::Row;
use crate::walk::Walk;

pub(super) fn thousand(_setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    measure("verify.1e3", 1_000, Plan::SHORT)
}

pub(super) fn million(_setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    measure("verify.1e6", 1_000_000, Plan::LONG)
}

fn measure(name: &'static str, count: usize, plan: Plan) -> Result<Vec<Row>, Trouble> {
    let subject = runtime()?.block_on(Subject::in_memory(count))?;
    let (bare, floor) = (Bare::of(&subject.headers)?, Floor::new(&KEY));
    let (headers, tokens) = (&subject.headers, &subject.tokens);
    let (mut ours, mut theirs) = (Walk::new(1), Walk::new(1));
    let passes = |runs| {
        (0..runs).for_each(|_| assert!(pass(tokens, &headers[ours.below(count)]), "a good token was refused"));
    };
    let gets = |runs| {
        (0..runs).for_each(|_| assert!(bare.knows(&headers[theirs.below(count)], &floor), "a good token was refused"));
    };
    let measured = nanoseconds(plan, passes, gets)?;

    // What counting adds is where the walk meets a second table as large as the first.
    let (mut ours, mut theirs) = (Walk::new(2), Walk::new(2));
    let uncounted = |runs| {
        (0..runs).for_each(|_| {
            drop(black_box(verify_cached(tokens, &headers[ours.below(count)])));
        });
    };
    let gets = |runs| {
        (0..runs).for_each(|_| assert!(bare.knows(&headers[theirs.below(count)], &floor), "a good token was refused"));
    };
    let uncounted = nanoseconds(plan, uncounted, gets)?;
    let note = format!("without scope and tally {:.0} ns, {:.2} of its reference", uncounted.ours, uncounted.ratio);
    Ok(vec![Row::new(name, "ns", measured).note(note)])
}

/// A cache of what a verification can't do without: by selector, a digest and what it is bound to.
pub(crate) struct Bare(Cache<[u8; 16], Arc<Entry>, UnitWeighter, RandomState>);

struct Entry {
    token: [u8; 20],
    digest: [u8; 32],
}

impl Bare {
    pub(crate) fn of(headers: &[Box<[u8]>]) -> Result<Bare, Trouble> {
        let room = headers.len() + headers.len() / 4 + 1000;
        let options = OptionsBuilder::new().estimated_items_capacity(room).weight_capacity(room as u64).build()?;
        let cache = Cache::with_options(options, UnitWeighter, RandomState::default(), DefaultLifecycle::default());
        let floor = Floor::new(&KEY);
        for (header, number) in headers.iter().zip(0_u64..) {
            let mut token = [0; 20];
            token[..8].copy_from_slice(&number.to_be_bytes());
            let digest = floor.mac(&message(header, &token));
            cache.insert(selector(header), Arc::new(Entry { token, digest }));
        }
        Ok(Bare(cache))
    }

    #[inline]
    pub(crate) fn knows(&self, header: &[u8], floor: &Floor) -> bool {
        let Some(entry) = self.0.get(&selector(header)) else { return false };
        floor.mac(&message(header, &entry.token)) == entry.digest
    }
}

const SELECTOR_AT: usize = "Bearer acme_live_".len();

#[inline]
fn selector(header: &[u8]) -> [u8; 16] {
    let mut selector = [0; 16];
    selector.copy_from_slice(&header[SELECTOR_AT..SELECTOR_AT + 16]);
    selector
}

#[inline]
fn message(header: &[u8], token: &[u8; 20]) -> [u8; MESSAGE] {
    let mut message = [0; MESSAGE];
    message[..32].copy_from_slice(&header[SELECTOR_AT + 16..SELECTOR_AT + 48]);
    message[32..].copy_from_slice(token);
    message
}
