//! Receipts: the exact reason of a refusal, readable by those who may know and by nobody else.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::clock::Time;
use crate::keyring::Keyring;
use crate::random::{Random, RandomError};
use crate::refusal::Reason;
use crate::token::TokenId;

const PLAIN_LEN: usize = 1 + 8 + 16 + 1;
const VERSION: u8 = 1;

/// What a refused client is handed: 88 characters that mean nothing to it. XChaCha20-Poly1305 of time, token and
/// exact reason, the same length for every refusal. Nothing is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt(String);

impl Receipt {
    /// The text, safe to show, log and paste.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn issue(
        keyring: &Keyring,
        random: &Random,
        at: Time,
        token: Option<TokenId>,
        reason: Reason,
    ) -> Result<Receipt, RandomError> {
        let mut plain = Vec::with_capacity(PLAIN_LEN);
        plain.push(VERSION);
        plain.extend_from_slice(&at.as_micros().to_be_bytes());
        plain.extend_from_slice(token.unwrap_or(TokenId::NIL).as_bytes());
        plain.push(reason.code());
        Ok(Receipt(Base64UrlUnpadded::encode_string(&keyring.encrypt_receipt(&plain, random)?)))
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({})", self.0)
    }
}

/// What a receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptContent {
    /// When the request was refused.
    pub at: Time,
    /// The token that was presented, if it is one of ours.
    pub token: Option<TokenId>,
    /// Exactly why.
    pub reason: Reason,
}

pub(crate) fn read(keyring: &Keyring, text: &str) -> Option<ReceiptContent> {
    let sealed = Base64UrlUnpadded::decode_vec(text.trim()).ok()?;
    let plain: [u8; PLAIN_LEN] = keyring.decrypt_receipt(&sealed)?.try_into().ok()?;
    let (version, rest) = plain.split_first()?;
    let (at, rest) = rest.split_first_chunk::<8>()?;
    let (token, reason) = rest.split_first_chunk::<16>()?;
    let token = TokenId::from_bytes(*token);
    if *version != VERSION {
        return None;
    }
    Some(ReceiptContent {
        at: Time::from_micros(i64::from_be_bytes(*at))?,
        token: (token != TokenId::NIL).then_some(token),
        reason: Reason::from_code(*reason.first()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_have_one_length_and_only_the_keyring_reads_them() {
        let keyring = Keyring::parse(&Keyring::generate("k1").unwrap()).unwrap();
        let stranger = Keyring::parse(&Keyring::generate("k1").unwrap()).unwrap();
        let at = Time::from_micros(1_800_000_000_000_000).unwrap();
        for reason in Reason::all() {
            for token in [None, Some(TokenId::from_bytes([7; 16]))] {
                let receipt = Receipt::issue(&keyring, &Random::Os, at, token, reason).unwrap();
                assert_eq!(receipt.as_str().len(), 88);
                assert_eq!(read(&keyring, receipt.as_str()), Some(ReceiptContent { at, token, reason }));
                assert_eq!(read(&stranger, receipt.as_str()), None);
            }
        }
        for noise in ["", "x", "%%%", &"A".repeat(88), &"A".repeat(10_000)] {
            assert_eq!(read(&keyring, noise), None);
        }
    }

    #[test]
    fn a_receipt_outlives_a_change_of_keys() {
        let old = Keyring::generate("k1").unwrap();
        let receipt =
            Receipt::issue(&Keyring::parse(&old).unwrap(), &Random::Os, Time::EPOCH, None, Reason::Expired).unwrap();
        let both = Keyring::parse(&format!("{},{}", &*Keyring::generate("k2").unwrap(), &*old)).unwrap();
        assert_eq!(read(&both, receipt.as_str()).unwrap().reason, Reason::Expired);
    }
}
