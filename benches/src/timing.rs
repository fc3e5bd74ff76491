//! `timing`: whether the time of a comparison tells where two digests differ. In the manner of dudect: two classes of input, one of
//! them at random for each sample, and Welch's t-test between their times.

use std::hint::black_box;
use std::sync::Arc;

use token_core::Digest;
use token_core::testing::with_checksum;

use crate::Trouble;
use crate::clock::now;
use crate::shelf::Shelf;
use crate::subject::{Keeping, Subject, verify, verify_cached};
use crate::table::say;
use crate::walk::Walk;

/// Beyond this the classes are told apart, and no chance explains it.
const LEAKS: f64 = 10.0;

/// Below so many samples a small difference would not show.
const LEAST: usize = 1_000_000;

/// Compares 32 bytes in any way.
type Compare = fn(&[u8; 32], &[u8; 32]) -> bool;

/// Runs all of it.
///
/// # Errors
/// If ours leaks, or the control is not found to.
pub fn run(samples: usize) -> Result<(), Trouble> {
    if samples < LEAST {
        return Err(format!("at least {LEAST} samples").into());
    }
    say(&format!("{:<64} {:>8}", "classes", "max |t|"));
    let early = early_exit as Compare;
    let control = told(
        "control: an early exit, first byte wrong / last byte wrong",
        of_compare(samples, early, [Some(0), Some(31)]),
    );
    let ours = of_compare(samples, in_constant_time, [Some(0), Some(31)]);
    let ours = told("the digest's comparison, first byte wrong / last byte wrong", ours);
    let right = of_compare(samples, in_constant_time, [Some(0), None]);
    let right = told("the digest's comparison, first byte wrong / all right", right);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let loaded = runtime.block_on(of_loaded(samples, false))?;
    let loaded = told("verification on a miss, digest's first byte wrong / last", loaded);
    let seen = runtime.block_on(of_loaded(samples, true))?;
    let seen = told("control: the same, and an early exit after it", seen);
    let cached = runtime.block_on(of_cached(samples))?;
    let cached = told("verification on a hit, verifier's first digit wrong / last", cached);

    let worst = [ours, right, loaded, cached].into_iter().fold(0.0, f64::max);
    match (control > LEAKS, worst > LEAKS) {
        (false, _) => Err("the control was not found to leak: this machine is too noisy to say anything".into()),
        (true, true) => Err(format!("a comparison of ours leaks: |t| = {worst:.1}").into()),
        (true, false) => {
            let found = if seen > LEAKS { "as well" } else { "not, which is below the noise there" };
            say(&format!("ok: nothing of ours above {LEAKS}; the control is, and inside of a verification {found}"));
            Ok(())
        }
    }
}

fn told(what: &str, t: f64) -> f64 {
    say(&format!("{what:<64} {t:>8.2}"));
    t
}

fn in_constant_time(a: &[u8; 32], b: &[u8; 32]) -> bool {
    Digest::from_bytes(*a).ct_eq(&Digest::from_bytes(*b))
}

/// What must be found out: it ends at the first byte that differs.
fn early_exit(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).all(|(a, b)| black_box(a) == b)
}

/// The classes are the byte that is wrong, or none.
fn of_compare(samples: usize, compare: Compare, wrong: [Option<usize>; 2]) -> f64 {
    let stored: [u8; 32] = std::array::from_fn(|at| b'A' + u8::try_from(at).unwrap_or(0));
    let classes = wrong.map(|wrong| std::array::from_fn(|at| stored[at] ^ if wrong == Some(at) { 0x55 } else { 0 }));
    // Both classes are compared from one place, and are written there whole: where they lie and how they came there is the same.
    let mut presented = stored;
    t_of(samples, 48, |class, batch| {
        presented = black_box(classes)[class];
        let (presented, stored) = (black_box(&presented), black_box(&stored));
        timed(batch, || {
            black_box(compare(presented, stored));
        })
    })
}

/// Through the whole of a verification that misses the cache, by a store whose digests are wrong in one byte.
async fn of_loaded(samples: usize, with_control: bool) -> Result<f64, Trouble> {
    let shelf = Arc::new(Shelf::default());
    let (subject, background) = Subject::on(shelf.clone(), Keeping::all(1), 1).await?;
    background.turn().await?;
    let (tokens, header) = (&subject.tokens, &*subject.headers[0]);
    let stored = [7; 32];
    let t = t_of(samples, 2, |class, batch| {
        let byte = [0, 31][class];
        shelf.spoil(byte);
        let mut presented = stored;
        presented[byte] ^= 0x55;
        let presented = black_box(&presented);
        timed(batch, || {
            // A store in memory answers at once.
            let mut verification = std::pin::pin!(verify(tokens, header));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(matches!(verification.as_mut().poll(&mut context), std::task::Poll::Ready(Err(_))), "not refused");
            if with_control {
                black_box(early_exit(presented, &stored));
            }
        })
    });
    Ok(t)
}

/// Through a verification that hits, which is what a stranger can ask for as often as he likes: verifiers that are wrong in their first
/// digit, and in their last. Of many tokens and with any digit, since the time that it takes to read a text may well depend on
/// that text, which is no secret to whoever sends it.
async fn of_cached(samples: usize) -> Result<f64, Trouble> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let subject = Subject::in_memory(1000).await?;
    let (tokens, headers) = (&subject.tokens, &subject.headers);
    let bearer = "Bearer ".len();
    let first = "Bearer acme_live_".len() + 16;
    let mut walk = Walk::new(3);
    let mut presented = headers[0].clone();
    let covered = presented.len() - 6;
    let mut broken = false;
    let t = t_of(samples, 8, |class, batch| {
        presented.copy_from_slice(&headers[walk.below(headers.len())]);
        let (at, step) = (first + 31 * class, 1 + walk.below(61));
        // Any digit but the right one.
        let right = DIGITS.iter().position(|digit| *digit == presented[at]).unwrap_or(0);
        presented[at] = DIGITS[(right + step) % 62];
        match std::str::from_utf8(&presented[bearer..covered]).map(with_checksum) {
            Ok(text) => presented[bearer..].copy_from_slice(text.as_bytes()),
            Err(_) => broken = true,
        }
        let presented = black_box(&*presented);
        timed(batch, || assert!(matches!(verify_cached(tokens, presented), Some(Err(_))), "not refused"))
    });
    if broken { Err("a token that is no text".into()) } else { Ok(t) }
}

/// Nanoseconds of a batch.
#[inline]
fn timed(batch: usize, mut work: impl FnMut()) -> f64 {
    let started = now();
    (0..batch).for_each(|_| work());
    started.elapsed().as_nanos() as f64
}

/// The largest |t| between two classes, over all samples and over those below some shares of them: what is slow for reasons of its
/// own is in the way of what is looked for.
fn t_of(samples: usize, batch: usize, mut sample: impl FnMut(usize, usize) -> f64) -> f64 {
    let mut walk = Walk::new(9);
    let mut classes = [Vec::with_capacity(samples), Vec::with_capacity(samples)];
    // The first ones find nothing where it will be later on.
    (0..samples / 100).for_each(|_| {
        sample(walk.below(2), batch);
    });
    for _ in 0..samples {
        let class = walk.below(2);
        classes[class].push(sample(class, batch));
    }
    let mut all: Vec<f64> = classes.iter().flatten().copied().collect();
    let limits = [0.5, 0.75, 0.9, 0.95, 0.99].map(|share| crate::pairs::percentile(&mut all, share));
    let limits = limits.into_iter().chain([f64::INFINITY]);
    limits.map(|limit| welch(&classes, limit).abs()).filter(|t| t.is_finite()).fold(0.0, f64::max)
}

/// Welch's t of what is up to a limit.
fn welch(classes: &[Vec<f64>; 2], limit: f64) -> f64 {
    let [(n, mean, variance), (m, other, other_variance)] = classes.each_ref().map(|class| {
        let kept = || class.iter().filter(|time| **time <= limit);
        let count = kept().count() as f64;
        let mean = kept().sum::<f64>() / count;
        let variance = kept().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (count, mean, variance)
    });
    (mean - other) / (variance / n + other_variance / m).sqrt()
}
