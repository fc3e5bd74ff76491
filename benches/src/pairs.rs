//! Measuring in pairs: a slice of ours, a slice of the reference, again and again. What else the machine does falls on both, and what
//! is kept is the median of the ratios of pairs.

use std::time::Duration;

use crate::Trouble;
use crate::clock::timed;

/// How many pairs are measured, and how long a slice is.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Pairs.
    pub pairs: usize,
    /// About how long one side of a pair takes.
    pub slice: Duration,
}

impl Plan {
    /// For work of nanoseconds.
    pub const SHORT: Plan = Plan { pairs: 301, slice: Duration::from_millis(3) };
    /// For work of more threads, or in more memory than the caches of the processor hold.
    pub const LONG: Plan = Plan { pairs: 61, slice: Duration::from_millis(30) };
}

/// What pairs showed, as medians.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Of ours, in the unit of the slices.
    pub ours: f64,
    /// Of the reference.
    pub reference: f64,
    /// Of the ratios: ours / reference of each pair.
    pub ratio: f64,
}

impl Measured {
    /// The middle of what was measured of the same thing made several times.
    #[must_use]
    pub fn middle(of: &[Measured]) -> Measured {
        let middle = |figure: fn(&Measured) -> f64| median(of.iter().map(figure).collect());
        Measured {
            ours: middle(|measured| measured.ours),
            reference: middle(|measured| measured.reference),
            ratio: middle(|measured| measured.ratio),
        }
    }
}

/// The middle of some figures.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.get(middle) {
        None => f64::NAN,
        Some(upper) if figures.len() % 2 == 1 => *upper,
        Some(upper) => (figures[middle - 1] + upper) / 2.0,
    }
}

/// The figure below which a share of them is.
#[must_use]
pub fn percentile(figures: &mut [f64], share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
    let at = ((figures.len() as f64 * share) as usize).min(figures.len().saturating_sub(1));
    figures.get(at).copied().unwrap_or(f64::NAN)
}

/// Measures pairs of slices that say themselves what they took, in any unit.
///
/// # Errors
/// That of a slice.
pub fn pairs(
    count: usize,
    mut ours: impl FnMut() -> Result<f64, Trouble>,
    mut reference: impl FnMut() -> Result<f64, Trouble>,
) -> Result<Measured, Trouble> {
    let mut seen = Vec::with_capacity(count);
    for pair in 0..count {
        // Whoever comes second finds the caches as the other left them: so they take turns.
        seen.push(if pair % 2 == 0 {
            let ours = ours()?;
            (ours, reference()?)
        } else {
            let reference = reference()?;
            (ours()?, reference)
        });
    }
    Ok(Measured {
        ours: median(seen.iter().map(|(ours, _)| *ours).collect()),
        reference: median(seen.iter().map(|(_, reference)| *reference).collect()),
        ratio: median(seen.iter().map(|(ours, reference)| ours / reference).collect()),
    })
}

/// Nanoseconds of one run of each, measured in pairs. Both are called with a number of runs to make.
///
/// # Errors
/// None of its own; it answers as [`pairs`] does.
pub fn nanoseconds(plan: Plan, mut ours: impl FnMut(u64), mut reference: impl FnMut(u64)) -> Result<Measured, Trouble> {
    let (many_ours, many_reference) = (runs(plan.slice, &mut ours), runs(plan.slice, &mut reference));
    pairs(plan.pairs, || Ok(each(many_ours, &mut ours)), || Ok(each(many_reference, &mut reference)))
}

/// Nanoseconds of one run, as the median of slices.
pub fn alone(plan: Plan, mut work: impl FnMut(u64)) -> f64 {
    let many = runs(plan.slice, &mut work);
    median((0..plan.pairs).map(|_| each(many, &mut work)).collect())
}

fn each(runs: u64, work: &mut impl FnMut(u64)) -> f64 {
    let ((), took) = timed(|| work(runs));
    took.as_nanos() as f64 / runs as f64
}

/// How many runs take about as long as a slice.
fn runs(slice: Duration, work: &mut impl FnMut(u64)) -> u64 {
    let mut runs = 1;
    loop {
        // The fastest of some: one that was interrupted says nothing of the work, and a slice of too few runs measures the clock.
        let took = (0..5).map(|_| timed(|| work(runs)).1).min().unwrap_or(slice);
        if took * 4 >= slice {
            let share = slice.as_secs_f64() / took.as_secs_f64();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most some times as many")]
            return ((runs as f64 * share) as u64).max(1);
        }
        runs *= 2;
    }
}
