//! The floor: HMAC-SHA256 of the 52 bytes that a digest is made of, and nothing else.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sha2::block_api::compress256;

const BLOCK: usize = 64;

/// How long the message is: a verifier, a token's id, a generation.
pub const MESSAGE: usize = 52;

/// SHA-256's initial state (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A key as the two states after its pads: two compressions are left for each message.
#[derive(Debug, Clone)]
pub struct Floor {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl Floor {
    /// With both pads compressed.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Floor {
        let after = |pad: u8| {
            let mut block = [pad; BLOCK];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut state = INITIAL;
            compress256(&mut state, std::slice::from_ref(&block));
            state
        };
        Floor { inner: after(0x36), outer: after(0x5c) }
    }

    /// As far as a hit computes it.
    #[inline]
    #[must_use]
    pub fn inner_hash(&self, message: &[u8; MESSAGE]) -> [u32; 8] {
        let mut block = [0; BLOCK];
        block[..MESSAGE].copy_from_slice(message);
        compressed(self.inner, block, MESSAGE)
    }

    /// The MAC. Wipes nothing and compares nothing.
    #[inline]
    #[must_use]
    pub fn mac(&self, message: &[u8; MESSAGE]) -> [u8; 32] {
        compressed(self.outer, bytes(self.inner_hash(message)), 32).iter().zip(0..).fold(
            [0; 32],
            |mut mac, (word, at)| {
                let at: usize = at;
                mac[at * 4..at * 4 + 4].copy_from_slice(&word.to_be_bytes());
                mac
            },
        )
    }
}

/// The state after a last block that holds so many bytes, behind one block of a pad.
#[inline]
fn compressed(mut state: [u32; 8], mut block: [u8; BLOCK], length: usize) -> [u32; 8] {
    block[length] = 0x80;
    let bits = ((BLOCK + length) as u64) * 8;
    block[BLOCK - 8..].copy_from_slice(&bits.to_be_bytes());
    compress256(&mut state, std::slice::from_ref(&block));
    state
}

/// A state at the start of a block.
#[inline]
fn bytes(state: [u32; 8]) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    bytes.chunks_exact_mut(4).zip(state).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_be_bytes()));
    bytes
}

/// The same by the library as it is meant to be used: a keyed `Hmac`, cloned for each message.
#[derive(Debug, Clone)]
pub struct Cloned(Hmac<Sha256>);

impl Cloned {
    /// Keyed once. HMAC takes a key of any length, so this is never `None`.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Option<Cloned> {
        Hmac::new_from_slice(key).ok().map(Cloned)
    }

    /// The MAC.
    #[inline]
    #[must_use]
    pub fn mac(&self, message: &[u8; MESSAGE]) -> [u8; 32] {
        self.0.clone().chain_update(message).finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_hmac_sha256() {
        for seed in 0..64 {
            let key = std::array::from_fn(|at| seed ^ u8::try_from(at).unwrap());
            let message = std::array::from_fn(|at| seed.wrapping_mul(31).wrapping_add(u8::try_from(at).unwrap()));
            assert_eq!(Floor::new(&key).mac(&message), Cloned::new(&key).unwrap().mac(&message));
        }
    }
}
