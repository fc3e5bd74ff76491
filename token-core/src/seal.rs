//! Row seals: a row that was changed behind the application's back grants nothing.

use std::fmt;

use crate::encoding::Canonical;
use crate::keyring::Keyring;
use crate::text::KeyId;

/// HMAC-SHA256 over the canonical encoding of everything in a row that grants power, and the key it was made with.
#[derive(Clone, PartialEq, Eq)]
pub struct Seal {
    /// The master key whose seal subkey made it.
    pub key: KeyId,
    /// The 32 bytes.
    pub mac: [u8; 32],
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({}, ..)", self.key)
    }
}

/// A row as a store keeps it. Until its seal is checked against the keyring it proves nothing, so the row is not
/// reachable as if it did: the service opens it, a store takes it apart into columns and puts it together again.
///
/// A seal can't tell an older valid row, restored whole, from the present one; the event chain shows that the log
/// and the row disagree.
#[derive(Debug, Clone)]
pub struct Sealed<T> {
    row: T,
    seal: Seal,
}

/// The seal of a row does not fit it. The row is refused until an operator reseals it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenSeal {
    /// The row was changed by something else than this service, or sealed with another key under the same id.
    #[error("the row was changed behind the application's back: its seal does not fit")]
    Altered,
    /// The seal names a key that is not on the keyring.
    #[error("the row was sealed with a key that is not on the keyring; add that key")]
    UnknownKey,
}

impl<T> Sealed<T> {
    /// Puts together what a store has read.
    pub fn from_parts(row: T, seal: Seal) -> Sealed<T> {
        Sealed { row, seal }
    }

    /// The row, not checked: for a store that writes it into columns or filters by it, never for a decision.
    pub fn unverified(&self) -> &T {
        &self.row
    }

    /// The seal.
    pub fn seal(&self) -> &Seal {
        &self.seal
    }
}

#[expect(private_bounds, reason = "only rows of this crate are sealed")]
impl<T: Canonical> Sealed<T> {
    pub(crate) fn new(row: T, keyring: &Keyring) -> Sealed<T> {
        let (key, mac) = keyring.seal(&row.canonical_bytes());
        Sealed { row, seal: Seal { key, mac } }
    }

    pub(crate) fn check(&self, keyring: &Keyring) -> Result<&T, BrokenSeal> {
        match keyring.seal_fits(&self.row.canonical_bytes(), &self.seal.key, &self.seal.mac) {
            None => Err(BrokenSeal::UnknownKey),
            Some(false) => Err(BrokenSeal::Altered),
            Some(true) => Ok(&self.row),
        }
    }

    pub(crate) fn open(self, keyring: &Keyring) -> Result<T, BrokenSeal> {
        self.check(keyring)?;
        Ok(self.row)
    }
}
