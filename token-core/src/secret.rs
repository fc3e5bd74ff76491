//! One generation of a token's credential: what the client holds, and what the store keeps of it.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::base62;
use crate::mac::equal;
use crate::random::{Random, RandomError};
use crate::text::KeyId;
use crate::token::TokenId;

pub(crate) const SELECTOR_LEN: usize = 16;
pub(crate) const VERIFIER_LEN: usize = 32;

/// The public half of a secret: 16 base62 digits (95 bits) by which the store finds it. Safe to log and to show.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector([u8; SELECTOR_LEN]);

impl Hash for Selector {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        // Two words and no length: it is looked up at every request.
        hasher.write_u128(u128::from_ne_bytes(self.0));
    }
}

impl Selector {
    /// The selector of these digits, or `None` if they are not 16 of `0-9A-Za-z`.
    #[must_use]
    pub fn from_bytes(digits: &[u8]) -> Option<Selector> {
        if !base62::is_base62(digits) {
            return None;
        }
        digits.try_into().ok().map(Selector)
    }

    /// Of digits that were looked at already.
    pub(crate) fn from_digits(digits: [u8; SELECTOR_LEN]) -> Selector {
        Selector(digits)
    }

    /// The 16 digits, ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SELECTOR_LEN] {
        &self.0
    }

    /// The 16 digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII digits are ever stored, so the fallback is never taken.
        std::str::from_utf8(&self.0).unwrap_or("")
    }

    pub(crate) fn random(random: &Random) -> Result<Selector, RandomError> {
        Ok(Selector(*base62::random_digits(random)?))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Selector({})", self.as_str())
    }
}

impl Serialize for Selector {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Selector, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Selector::from_bytes(text.as_bytes()).ok_or_else(|| serde::de::Error::custom("not a selector: 16 of 0-9A-Za-z"))
    }
}

/// The plaintext of a secret: what the client holds, in memory once, in the answer that mints it.
///
/// There is deliberately no way to print, clone, compare or serialize it, and it is wiped when dropped.
/// The one way to its characters is [`TokenText::expose_secret`].
///
/// ```compile_fail
/// fn leak(text: token_core::TokenText) -> String { text.to_string() }
/// ```
/// ```compile_fail
/// fn copy(text: &token_core::TokenText) -> token_core::TokenText { text.clone() }
/// ```
/// ```compile_fail
/// fn compare(a: &token_core::TokenText, b: &token_core::TokenText) -> bool { a == b }
/// ```
/// ```compile_fail
/// fn write(text: &token_core::TokenText) -> String { serde_json::to_string(text).unwrap() }
/// ```
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct TokenText(String);

impl TokenText {
    /// Takes the text whole; the caller must not have left copies of it behind by growing the buffer.
    pub(crate) fn new(text: String) -> TokenText {
        TokenText(text)
    }

    /// The characters of the secret, to be put into the one response that shows it and nowhere else.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(<redacted>)")
    }
}

/// The secret half: 32 base62 digits (190 bits).
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Verifier([u8; VERIFIER_LEN]);

impl Verifier {
    pub(crate) fn random(random: &Random) -> Result<Verifier, RandomError> {
        Ok(Verifier(*base62::random_digits(random)?))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; VERIFIER_LEN] {
        &self.0
    }
}

/// HMAC-SHA256 of a verifier, bound to its token and generation: what the store keeps instead of the secret.
///
/// It has no `PartialEq`: digests are compared in constant time with [`Digest::ct_eq`].
///
/// ```compile_fail
/// fn compare(a: token_core::Digest, b: token_core::Digest) -> bool { a == b }
/// ```
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Wraps the 32 bytes of a digest read from a store.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// The 32 bytes, for a store to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether two digests are equal, in time that depends on neither.
    #[must_use]
    pub fn ct_eq(&self, other: &Digest) -> bool {
        equal(self.words().zip(other.words()))
    }

    fn words(&self) -> impl Iterator<Item = u32> {
        const { assert!(size_of::<Digest>().is_multiple_of(size_of::<u32>()), "all of a digest is compared") };
        let (words, _none) = self.0.as_chunks();
        words.iter().map(|word| u32::from_ne_bytes(*word))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// The number of a secret within its token: 1 for the first, one more at each rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(u32);

impl Generation {
    /// The generation that a token is created with.
    pub const FIRST: Generation = Generation(1);

    /// The generation of this number, or `None` for 0.
    #[must_use]
    pub fn new(number: u32) -> Option<Generation> {
        (number > 0).then_some(Generation(number))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// The one after, or `None` after four thousand million rotations.
    pub(crate) fn next(self) -> Option<Generation> {
        self.0.checked_add(1).map(Generation)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a digest was made, kept beside it so that a later scheme can live next to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// HMAC-SHA256(digest key, verifier || token id || generation): FIPS 198-1, FIPS 180-4.
    HmacSha256,
}

impl Scheme {
    /// The number that stores keep.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Scheme::HmacSha256 => 1,
        }
    }

    /// The scheme of a stored number, or `None` for one that this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Scheme> {
        (code == 1).then_some(Scheme::HmacSha256)
    }
}

/// What a store keeps of one generation of a token's credential.
#[derive(Debug, Clone)]
pub struct Secret {
    /// The public lookup id.
    pub selector: Selector,
    /// The token it belongs to.
    pub token: TokenId,
    /// Which generation of the token it is.
    pub generation: Generation,
    /// How the digest was made.
    pub scheme: Scheme,
    /// The digest of the verifier.
    pub digest: Digest,
    /// The master key whose digest subkey made the digest.
    pub key: KeyId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_that_differ_anywhere_are_not_equal() {
        let digest = Digest::from_bytes([7; 32]);
        assert!(digest.ct_eq(&Digest::from_bytes([7; 32])));
        for bit in 0..256 {
            let mut other = [7; 32];
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!digest.ct_eq(&Digest::from_bytes(other)), "bit {bit}");
        }
    }
}
