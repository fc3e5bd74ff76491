//! HMAC-SHA256 of one short message, from two states that are computed once for each key.
//!
//! A digest is of 52 bytes: with both pads compressed beforehand that is two compressions, one for each of HMAC's two hashes, and
//! nothing else of a general HMAC (its buffer, its copies of two hashers) is needed.
//!
//! The outer hash is of the inner one and of nothing else (FIPS 198-1 §4, steps 6 to 9). So two messages whose inner hashes are equal
//! have equal MACs, and whoever remembers the inner hash of a message whose MAC was right need not compute the outer one to know that
//! it is right again.

use std::fmt;

use sha2::block_api::compress256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What SHA-256 compresses at once (FIPS 180-4 §5.2.1), in bytes.
pub(crate) const BLOCK: usize = 64;

/// The longest message: what fits one block with its padding, a bit and a length of 8 bytes.
const MESSAGE_MAX: usize = BLOCK - 9;

/// SHA-256's initial state (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A key of HMAC-SHA256 (FIPS 198-1), as the states of SHA-256 after its two pads. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct ShortMac {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl ShortMac {
    pub(crate) fn new(key: &[u8; 32]) -> ShortMac {
        let after = |pad: u8| {
            let mut block = Zeroizing::new([pad; BLOCK]);
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut state = INITIAL;
            compress256(&mut state, std::slice::from_ref(&*block));
            state
        };
        ShortMac { inner: after(0x36), outer: after(0x5c) }
    }

    /// The inner hash of the message in a block with the [`padding`] of its length. The block is wiped.
    #[inline]
    pub(crate) fn inner(&self, block: &mut [u8; BLOCK]) -> InnerHash {
        let mut state = self.inner;
        compress256(&mut state, std::slice::from_ref(&*block));
        // A wide store that is kept for its being looked at; 64 volatile ones cost a third of a compression.
        *block = [0; BLOCK];
        std::hint::black_box(&*block);
        InnerHash(state)
    }

    /// The MAC of the message with this inner hash.
    #[inline]
    pub(crate) fn outer(&self, inner: InnerHash) -> [u8; 32] {
        let mut last = const { padding::<32>() };
        last[..32].copy_from_slice(&bytes(inner.0));
        let mut state = self.outer;
        compress256(&mut state, std::slice::from_ref(&last));
        bytes(state)
    }
}

/// The inner hash of a message under a key: as secret as the MAC, which is of nothing else.
#[derive(Clone, Copy)]
pub(crate) struct InnerHash([u32; 8]);

impl InnerHash {
    /// Whether two are equal, in time that depends on neither.
    #[inline]
    pub(crate) fn ct_eq(&self, other: &InnerHash) -> bool {
        equal(self.0.into_iter().zip(other.0))
    }
}

/// Whether the words of each pair are equal, in time that depends on none of them. Their differences are folded into one word, so that the
/// optimization barrier of `subtle` is paid once and not for each.
#[inline]
pub(crate) fn equal(pairs: impl Iterator<Item = (u32, u32)>) -> bool {
    pairs.fold(0, |difference, (a, b)| difference | (a ^ b)).ct_eq(&0).into()
}

impl fmt::Debug for InnerHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InnerHash(..)")
    }
}

/// A block for a message of so many bytes, behind one block of a pad of the key: zeros in their place, and the padding (FIPS 180-4 §5.1.1).
pub(crate) const fn padding<const LEN: usize>() -> [u8; BLOCK] {
    const { assert!(LEN <= MESSAGE_MAX) };
    let mut block = [0; BLOCK];
    block[LEN] = 0x80;
    let bits = ((BLOCK + LEN) as u64 * 8).to_be_bytes();
    let mut at = 0;
    while at < bits.len() {
        block[BLOCK - bits.len() + at] = bits[at];
        at += 1;
    }
    block
}

#[inline]
fn bytes(state: [u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.chunks_exact_mut(4).zip(state).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_be_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    fn mac<const LEN: usize>(key: &[u8; 32], message: &[u8; BLOCK]) -> [u8; 32] {
        let mut block = padding::<LEN>();
        block[..LEN].copy_from_slice(&message[..LEN]);
        let key = ShortMac::new(key);
        key.outer(key.inner(&mut block))
    }

    #[test]
    fn inner_hashes_that_differ_anywhere_are_not_equal() {
        let key = ShortMac::new(&[7; 32]);
        let inner = key.inner(&mut padding::<52>());
        assert!(inner.ct_eq(&key.inner(&mut padding::<52>())));
        for bit in 0..256 {
            let mut other = inner;
            other.0[bit / 32] ^= 1 << (bit % 32);
            assert!(!inner.ct_eq(&other) && key.outer(inner) != key.outer(other), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn it_is_hmac_sha256(key: [u8; 32], message in proptest::array::uniform::<_, BLOCK>(any::<u8>())) {
            let whole = |length: usize| -> [u8; 32] {
                let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(&message[..length]);
                mac.finalize().into_bytes().into()
            };
            prop_assert_eq!(mac::<0>(&key, &message), whole(0));
            prop_assert_eq!(mac::<1>(&key, &message), whole(1));
            prop_assert_eq!(mac::<52>(&key, &message), whole(52));
            prop_assert_eq!(mac::<MESSAGE_MAX>(&key, &message), whole(MESSAGE_MAX));
        }
    }
}
