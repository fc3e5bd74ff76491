//! `reject.checksum`: what a mistyped token costs. It reaches neither the MAC nor the store.

use std::hint::black_box;
use std::sync::Arc;

use token_core::testing::CountingStore;

use super::hot::KEY;
use super::{Setting, runtime};
use crate::Trouble;
use crate::mac::{Floor, MESSAGE};
use crate::pairs::{Plan, alone, nanoseconds};
use crate::shelf::Shelf;
use crate::subject::{Keeping, Subject, verify_cached};
use crate::table::Row;

pub(super) fn measure(_setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    let store = Arc::new(CountingStore::new(Arc::new(Shelf::default())));
    let (subject, background) = runtime()?.block_on(Subject::on(store.clone(), Keeping::all(1), 1))?;
    runtime()?.block_on(background.turn())?;
    let tokens = &subject.tokens;
    let mut header = subject.headers[0].clone();
    let last = header.last_mut().ok_or("an empty header")?;
    *last = if *last == b'0' { b'1' } else { b'0' };

    let (floor, message) = (Floor::new(&KEY), [7; MESSAGE]);
    let floors = |runs| {
        (0..runs).for_each(|_| {
            black_box(floor.mac(black_box(&message)));
        });
    };
    let refused = |runs| {
        (0..runs).for_each(|_| {
            let refused = matches!(verify_cached(tokens, black_box(&header)), Some(Err(_)));
            assert!(refused, "a mistyped token was not refused at once");
        });
    };
    let before = store.calls();
    let measured = nanoseconds(Plan::SHORT, refused, floors)?;
    let asked = store.calls() - before;

    let (realm, sources) = (tokens.realm(), tokens.sources());
    let answered = alone(Plan::SHORT, |runs| {
        (0..runs).for_each(|_| {
            if let Some(Err(refusal)) = verify_cached(tokens, black_box(&header)) {
                black_box(refusal.answer(realm, sources));
            }
        });
    });
    let row = Row::new("reject.checksum", "ns", measured);
    Ok(vec![row.note(format!("calls to the store: {asked}; with the answer and its receipt {answered:.0} ns"))])
}
