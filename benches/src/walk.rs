//! Random walks, the same again from the same seed.

/// A xorshift generator: a few instructions, so that it is no part of what is measured.
#[derive(Debug, Clone)]
pub struct Walk(u64);

impl Walk {
    /// A walk of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Walk {
        Walk(seed | 1)
    }

    /// The next step.
    #[inline]
    pub fn step(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// The next step, to one of so many places.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "it is below a number of that size")]
    pub fn below(&mut self, places: usize) -> usize {
        // The upper half of a product, which needs no division.
        ((u128::from(self.step()) * places as u128) >> 64) as usize
    }
}
