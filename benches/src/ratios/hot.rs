//! `verify.hot`: the whole of a cached verification, over the least that its MAC can cost.

use std::hint::black_box;

use super::{Setting, runtime};
use crate::Trouble;
use crate::mac::{Cloned, Floor, MESSAGE};
use crate::pairs::{Plan, alone, nanoseconds};
use crate::subject::{Subject, pass, verify_cached};
use crate::table::Row;

/// No secret.
pub(crate) const KEY: [u8; 32] = *b"the key of the reference, unkept";

pub(super) fn measure(_setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    let subject = runtime()?.block_on(Subject::in_memory(1))?;
    let (tokens, header) = (&subject.tokens, &*subject.headers[0]);
    let (floor, message) = (Floor::new(&KEY), [7; MESSAGE]);
    let passes = |runs| (0..runs).for_each(|_| assert!(pass(tokens, black_box(header)), "a good token was refused"));
    let floors = |runs| {
        (0..runs).for_each(|_| {
            black_box(floor.mac(black_box(&message)));
        });
    };
    let measured = nanoseconds(Plan::SHORT, passes, floors)?;

    let cloned = Cloned::new(&KEY).ok_or("no key")?;
    let cloned = alone(Plan::SHORT, |runs| {
        (0..runs).for_each(|_| {
            black_box(cloned.mac(black_box(&message)));
        });
    });
    let verified = alone(Plan::SHORT, |runs| {
        (0..runs).for_each(|_| {
            drop(black_box(verify_cached(tokens, black_box(header))));
        });
    });
    let row = Row::new("verify.hot", "ns", measured);
    let row =
        row.note(format!("without scope and tally {verified:.0} ns; the MAC by a cloned keyed Hmac {cloned:.0} ns"));
    Ok(vec![row])
}
