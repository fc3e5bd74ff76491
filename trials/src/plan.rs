//! What two workers are going to do, from a seed.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

use crate::request::{Kind, Shape, Swap};
use crate::service::OWNERS;

/// One change to come. Which token it is about shows when it is its turn, by what lives then.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its key.
    pub key: String,
    /// What to do.
    pub kind: Kind,
    /// To whom, or to whose token.
    pub owner: usize,
    /// Chooses among tokens.
    pub pick: usize,
    /// Whether it is about a token that was there before the trial, so that both workers mean the same one.
    pub elder: bool,
    /// For edits.
    pub shape: Shape,
    /// For rotations.
    pub swap: Swap,
    /// For policies.
    pub overlap_hours: u64,
}

/// The steps of one worker. Of ten, one is in the plan of every worker under the same key, and one was there before.
#[must_use]
pub fn plan(seed: u8, worker: u8, count: usize) -> Vec<Step> {
    let mut common = ChaCha20Rng::from_seed([seed; 32]);
    let mut own = ChaCha20Rng::from_seed([seed ^ (worker + 1); 32]);
    let mut steps: Vec<Step> = Vec::with_capacity(count);
    for number in 0..count {
        let step = match number % 10 {
            3 => Step::draw(&mut common, format!("both-{number}"), true),
            7 => match steps.iter().rev().nth(below(&mut own, 20)) {
                Some(before) => before.clone(),
                None => Step::draw(&mut own, format!("{worker}-{number}"), false),
            },
            _ => Step::draw(&mut own, format!("{worker}-{number}"), false),
        };
        steps.push(step);
    }
    steps
}

impl Step {
    fn draw(rng: &mut ChaCha20Rng, key: String, elder: bool) -> Step {
        let kind = match below(rng, 100) {
            0..25 => Kind::Create,
            25..48 => Kind::Edit,
            48..67 => Kind::Rotate,
            67..73 => Kind::EndOverlap,
            73..89 => Kind::Revoke,
            89..91 => Kind::Suspend,
            91..98 => Kind::Resume,
            _ => Kind::SetPolicy,
        };
        Step {
            key,
            kind: if elder && kind == Kind::Revoke { Kind::Edit } else { kind },
            // Some owners are busier than others.
            owner: below(rng, OWNERS).min(below(rng, OWNERS)),
            pick: below(rng, 1000),
            elder,
            shape: pick(rng, [Shape::Same, Shape::Name, Shape::Expiry, Shape::Rights, Shape::Anywhere]),
            swap: pick(rng, [Swap::Current, Swap::CurrentNow, Swap::EndingSuperseded, Swap::EndingCurrent]),
            overlap_hours: [1, 24, 48, 72, 96, 168][below(rng, 6)],
        }
    }
}

fn pick<T: Copy, const N: usize>(rng: &mut ChaCha20Rng, of: [T; N]) -> T {
    of[below(rng, N)]
}

/// A number below `end`; which of them is a little likelier does not matter here.
fn below(rng: &mut ChaCha20Rng, end: usize) -> usize {
    usize::try_from(rng.next_u32()).unwrap_or(0) % end
}
