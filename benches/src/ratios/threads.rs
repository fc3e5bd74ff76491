//! `verify.threads`, `verify.threads.hot`: how much more two threads do than one, over how much more of the bare MAC they do in the same
//! moments: a machine whose second processor is busy elsewhere is no fault of ours.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, PoisonError, RwLock};
use std::time::Duration;

use super::hot::KEY;
use super::{Setting, runtime};
use crate::Trouble;
use crate::clock::now;
use crate::mac::{Floor, MESSAGE};
use crate::pairs::pairs;
use crate::subject::{Subject, pass};
use crate::table::Row;
use crate::walk::Walk;

const PAIRS: usize = 61;
const SLICE: Duration = Duration::from_millis(40);

pub(super) fn measure(setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    let mut rows = Vec::new();
    for (name, count) in [("verify.threads", 1000), ("verify.threads.hot", 1)] {
        if setting.asks_for(name) {
            let subject = runtime()?.block_on(Subject::in_memory(count))?;
            let (headers, tokens) = (&subject.headers, &subject.tokens);
            let passes =
                |walk: &mut Walk| assert!(pass(tokens, &headers[walk.below(count)]), "a good token was refused");
            let (floor, message) = (Floor::new(&KEY), [7; MESSAGE]);
            let macs = |_: &mut Walk| {
                black_box(floor.mac(black_box(&message)));
            };
            let measured = pairs(PAIRS, || scaling(&passes), || scaling(&macs))?;
            rows.push(Row::new(name, "x", measured));
        }
    }
    Ok(rows)
}

/// Work of two threads over that of one, in slices that follow each other.
fn scaling(work: &(impl Fn(&mut Walk) + Sync)) -> Result<f64, Trouble> {
    let one = done_by(1, SLICE, work)?;
    let two = done_by(2, SLICE, work)?;
    Ok(two / one)
}

/// How much so many threads do in a second.
pub(crate) fn done_by(threads: usize, slice: Duration, work: &(impl Fn(&mut Walk) + Sync)) -> Result<f64, Trouble> {
    let (start, stop) = (Barrier::new(threads + 1), AtomicBool::new(false));
    let failed = RwLock::new(false);
    let rate = std::thread::scope(|scope| {
        let (start, stop, failed) = (&start, &stop, &failed);
        let workers: Vec<_> = (1..=threads)
            .map(|thread| {
                scope.spawn(move || {
                    let mut walk = Walk::new(thread as u64 * 77);
                    let mut done = 0_u64;
                    start.wait();
                    while !stop.load(Ordering::Relaxed) {
                        (0..64).for_each(|_| work(&mut walk));
                        done += 64;
                    }
                    done
                })
            })
            .collect();
        start.wait();
        let started = now();
        std::thread::sleep(slice);
        stop.store(true, Ordering::Relaxed);
        let took = started.elapsed();
        let done = workers.into_iter().map(|worker| {
            worker.join().unwrap_or_else(|_| {
                *failed.write().unwrap_or_else(PoisonError::into_inner) = true;
                0
            })
        });
        done.sum::<u64>() as f64 / took.as_secs_f64()
    });
    if *failed.read().unwrap_or_else(PoisonError::into_inner) { Err("a thread failed".into()) } else { Ok(rate) }
}
