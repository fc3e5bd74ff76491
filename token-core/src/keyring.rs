//! Master keys, the subkeys derived from them, and what the subkeys make.

use std::fmt;

use base64ct::{Base64, Base64Unpadded, Encoding};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::mac::{BLOCK, InnerHash, ShortMac, padding};
use crate::random::{Random, RandomError};
use crate::secret::{Digest, Generation, Secret, VERIFIER_LEN};
use crate::text::KeyId;
use crate::token::TokenId;

type HmacSha256 = Hmac<Sha256>;

const MASTER_KEY_MIN: usize = 32;
const MASTER_KEY_MAX: usize = 1024;

/// One or more master keys, the first of which makes everything new.
///
/// Written as `id:base64,id:base64` (commas or white space between keys), each key at least 32 random bytes.
/// To change keys, put the new one behind the old one on every node, and then in front on every node: a node that lacks the key of
/// a digest can't verify it, and answers 503. An old digest still verifies, and is remade under the first key as its token is used; seals are
/// renewed as rows change, or by [`Manage::reseal`](crate::Manage::reseal), [`reseal_owner`](crate::Manage::reseal_owner) and
/// [`set_policy`](crate::Manage::set_policy). The old key can go once the service builds without it.
///
/// Only subkeys are held in memory: HKDF-SHA256 (RFC 5869) of each master key, without salt, with
/// `info = "api-tokens/v1/" + purpose`.
///
/// ```
/// use token_core::Keyring;
///
/// let text = Keyring::generate("k1")?;               // keep this text in a secret store
/// let keyring = Keyring::parse(&text)?;
/// assert_eq!(keyring.current().as_str(), "k1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Keyring {
    /// Never empty; the first is the current one.
    keys: Vec<Subkeys>,
}

struct Subkeys {
    id: KeyId,
    digest: ShortMac,
    seal: HmacSha256,
    receipt: XChaCha20Poly1305,
    nonce: HmacSha256,
    check: KeyCheck,
}

/// A value that tells whether two processes hold the same master key under one id, and nothing else about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyCheck([u8; 16]);

impl KeyCheck {
    /// The 16 bytes, for a store to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for KeyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyCheck(")?;
        crate::text::write_hex(f, &self.0)?;
        f.write_str(")")
    }
}

/// Why a keyring can't be made. Never carries key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The environment variable is not set, or is not Unicode.
    #[error(
        "environment variable {0} is not set or not text; set it to id:base64, where base64 decodes to 32 random bytes or more"
    )]
    Variable(String),
    /// There is no key in the text.
    #[error("the keyring is empty; write id:base64, where base64 decodes to 32 random bytes or more")]
    Empty,
    /// A key has no id, or an id that is not allowed.
    #[error("key {position} of the keyring: write id:base64, with an id of 1 to 32 of A-Z a-z 0-9 . _ -")]
    Id {
        /// Which key, counted from 1.
        position: usize,
    },
    /// A key is not base64.
    #[error("key {id} is not valid base64 (standard alphabet, with or without padding)")]
    Base64 {
        /// The key's id.
        id: KeyId,
    },
    /// A key is shorter than 32 bytes, longer than 1024, or one byte repeated.
    #[error("key {id} is not a strong key: it must decode to 32 to 1024 random bytes")]
    Weak {
        /// The key's id.
        id: KeyId,
    },
    /// Two keys share an id, or one key has two ids.
    #[error("key {id} repeats the id or the bytes of an earlier key; every key needs its own")]
    Duplicate {
        /// The id of the later of the two.
        id: KeyId,
    },
}

impl Keyring {
    /// Reads a keyring from an environment variable.
    ///
    /// # Errors
    /// [`KeyringError`], which names what to mend and never the key.
    pub fn from_env(variable: &str) -> Result<Keyring, KeyringError> {
        let text = std::env::var(variable).map_err(|_| KeyringError::Variable(variable.to_owned()))?;
        Keyring::parse(&Zeroizing::new(text))
    }

    /// Reads a keyring from its text.
    ///
    /// # Errors
    /// [`KeyringError`], which names what to mend and never the key.
    pub fn parse(text: &str) -> Result<Keyring, KeyringError> {
        let mut keys: Vec<Subkeys> = Vec::new();
        let parts = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty());
        for (index, part) in parts.enumerate() {
            let position = index + 1;
            let (id, key) = part.split_once(':').ok_or(KeyringError::Id { position })?;
            let id = KeyId::new(id).map_err(|_| KeyringError::Id { position })?;
            let decoded = if key.ends_with('=') { Base64::decode_vec(key) } else { Base64Unpadded::decode_vec(key) };
            let master = Zeroizing::new(decoded.map_err(|_| KeyringError::Base64 { id: id.clone() })?);
            let key = Subkeys::derive(id, &master)?;
            if keys.iter().any(|earlier| earlier.id == key.id || earlier.check == key.check) {
                return Err(KeyringError::Duplicate { id: key.id });
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(KeyringError::Empty);
        }
        Ok(Keyring { keys })
    }

    /// The text of a keyring with one new key of 32 random bytes, to be kept in a secret store.
    ///
    /// # Errors
    /// [`GenerateError`] if the id is not allowed or the operating system gave no random bytes.
    pub fn generate(id: &str) -> Result<Zeroizing<String>, GenerateError> {
        let id = KeyId::new(id)?;
        let mut key = Zeroizing::new([0; 32]);
        Random::Os.fill(key.as_mut_slice())?;
        let encoded = Zeroizing::new(Base64::encode_string(key.as_slice()));
        let mut text = Zeroizing::new(String::with_capacity(id.as_str().len() + 1 + encoded.len()));
        text.push_str(id.as_str());
        text.push(':');
        text.push_str(&encoded);
        Ok(text)
    }

    /// The id of the key that makes everything new.
    #[must_use]
    pub fn current(&self) -> &KeyId {
        &self.keys[0].id
    }

    /// The check value of every key, the current one first.
    pub fn checks(&self) -> impl Iterator<Item = (&KeyId, KeyCheck)> {
        self.keys.iter().map(|key| (&key.id, key.check))
    }

    /// Whether the keyring holds a key of this id.
    #[must_use]
    pub fn holds(&self, id: &KeyId) -> bool {
        self.find(id).is_some()
    }

    /// Where the key of this id is on the ring.
    pub(crate) fn index(&self, id: &KeyId) -> Option<KeyIndex> {
        let position = self.keys.iter().position(|key| key.id == *id)?;
        u16::try_from(position).ok().map(KeyIndex)
    }

    pub(crate) fn id(&self, key: KeyIndex) -> &KeyId {
        &self.keys[usize::from(key.0)].id
    }

    /// Whether the verifier is the one that was shown before, of this token, in time that depends on neither.
    #[inline(always)]
    pub(crate) fn shows(&self, shown: &Shown, verifier: &[u8; VERIFIER_LEN], token: TokenId) -> bool {
        self.keys[usize::from(shown.key.0)].inner_hash(verifier, token, &shown.ending).ct_eq(&shown.inner)
    }

    /// Whether the secret still has the digest that something was shown of, and the generation that it was made with: what was shown is
    /// compared without looking at the row again.
    pub(crate) fn still_fits(&self, shown: &Shown, secret: &Secret) -> bool {
        let key = &self.keys[usize::from(shown.key.0)];
        let same = key.id == secret.key && shown.ending == Ending::of(secret.generation);
        same && key.digest_of(shown.inner).ct_eq(&secret.digest)
    }

    fn find(&self, id: &KeyId) -> Option<&Subkeys> {
        self.keys.iter().find(|key| key.id == *id)
    }

    /// The digest of a new secret, under the current key.
    pub(crate) fn digest(&self, verifier: &[u8; VERIFIER_LEN], token: TokenId, generation: Generation) -> Digest {
        let current = &self.keys[0];
        current.digest_of(current.inner_hash(verifier, token, &Ending::of(generation)))
    }

    /// Whether the verifier is the one that the secret's digest was made of. Does the work of one digest whatever
    /// it is given: without a secret, or with one under an unknown key, on a decoy.
    pub(crate) fn verify(&self, verifier: &[u8; VERIFIER_LEN], secret: Option<&Secret>) -> Verdict {
        let key = secret.and_then(|secret| self.index(&secret.key));
        let (token, generation) =
            secret.map_or((TokenId::NIL, Generation::FIRST), |secret| (secret.token, secret.generation));
        let stored = secret.map_or(Digest::from_bytes([0; 32]), |secret| secret.digest);
        let subkeys = &self.keys[usize::from(key.unwrap_or(KeyIndex::CURRENT).0)];
        let ending = Ending::of(generation);
        let inner = subkeys.inner_hash(verifier, token, &ending);
        let equal = subkeys.digest_of(inner).ct_eq(&stored);
        match (secret, key) {
            (None, _) => Verdict::Unknown,
            (Some(_), None) => Verdict::UnknownKey,
            (Some(_), Some(key)) if equal => Verdict::Right(Shown { key, ending, inner }),
            (Some(_), Some(_)) => Verdict::Wrong,
        }
    }

    /// The seal of canonical bytes, under the current key.
    pub(crate) fn seal(&self, canonical: &[u8]) -> (KeyId, [u8; 32]) {
        (self.keys[0].id.clone(), self.keys[0].seal.clone().chain_update(canonical).finalize().into_bytes().into())
    }

    /// Whether a seal fits the canonical bytes; `None` if its key is not on the ring.
    pub(crate) fn seal_fits(&self, canonical: &[u8], key: &KeyId, seal: &[u8; 32]) -> Option<bool> {
        let made = self.find(key)?.seal.clone().chain_update(canonical).finalize().into_bytes();
        Some(made.as_slice().ct_eq(seal).into())
    }

    /// The MAC of what a form's nonce says, under the current key.
    pub(crate) fn nonce_mac(&self, canonical: &[u8]) -> [u8; 32] {
        self.keys[0].nonce.clone().chain_update(canonical).finalize().into_bytes().into()
    }

    /// Whether the MAC of a nonce fits, under any key of the ring.
    pub(crate) fn nonce_fits(&self, canonical: &[u8], mac: &[u8; 32]) -> bool {
        self.keys.iter().any(|key| {
            let made = key.nonce.clone().chain_update(canonical).finalize().into_bytes();
            made.as_slice().ct_eq(mac).into()
        })
    }

    /// Encrypts a receipt: nonce, ciphertext and tag. The nonce is 192 random bits, so it never repeats.
    pub(crate) fn encrypt_receipt(&self, plain: &[u8], random: &Random) -> Result<Vec<u8>, RandomError> {
        let nonce: [u8; 24] = random.array()?;
        let payload = Payload { msg: plain, aad: RECEIPT_CONTEXT };
        // Encryption fails only for messages of more than 256 GiB.
        let sealed = self.keys[0].receipt.encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts a receipt that any key of the ring made.
    pub(crate) fn decrypt_receipt(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<24>()?;
        let nonce = XNonce::from(*nonce);
        self.keys
            .iter()
            .find_map(|key| key.receipt.decrypt(&nonce, Payload { msg: ciphertext, aad: RECEIPT_CONTEXT }).ok())
    }
}

const RECEIPT_CONTEXT: &[u8] = b"api-tokens/receipt/v1";

/// What is kept of a verifier whose MAC was right: the inner hash of that MAC, and the key it is under. Whatever has the same inner hash
/// has the same MAC, so that the next time it is compared with this, at half of the cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) key: KeyIndex,
    ending: Ending,
    inner: InnerHash,
}

/// How the message of a digest ends, in the block that it fits: with the generation, and the padding behind it. Kept, to be copied whole: a
/// processor that loads in one piece what was just written in several waits for all of them, which is an eighth of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ending([u8; BLOCK - GENERATION]);

/// Where the message of a digest has its token and its generation, behind its verifier, and where it ends.
const TOKEN: usize = VERIFIER_LEN;
const GENERATION: usize = TOKEN + 16;
const END: usize = GENERATION + 4;

impl Ending {
    fn of(generation: Generation) -> Ending {
        let mut block = padding::<END>();
        block[GENERATION..END].copy_from_slice(&generation.number().to_be_bytes());
        let mut ending = [0; BLOCK - GENERATION];
        ending.copy_from_slice(&block[GENERATION..]);
        Ending(ending)
    }
}

/// Where a key is on its ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyIndex(u16);

impl KeyIndex {
    /// Of the key that makes everything new.
    pub(crate) const CURRENT: KeyIndex = KeyIndex(0);
}

/// What the work on a verifier showed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    Right(Shown),
    Wrong,
    Unknown,
    UnknownKey,
}

/// Why a new key can't be generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The id is not allowed.
    #[error(transparent)]
    Id(#[from] crate::text::TextError),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl Subkeys {
    fn derive(id: KeyId, master: &[u8]) -> Result<Subkeys, KeyringError> {
        let repeated = master.iter().all(|byte| Some(byte) == master.first());
        if !(MASTER_KEY_MIN..=MASTER_KEY_MAX).contains(&master.len()) || repeated {
            return Err(KeyringError::Weak { id });
        }
        let hkdf = Hkdf::<Sha256>::new(None, master);
        let weak = || KeyringError::Weak { id: id.clone() };
        let subkey = |purpose: &str| -> Result<Zeroizing<[u8; 32]>, KeyringError> {
            let mut okm = Zeroizing::new([0; 32]);
            // Fails only for more than 8,160 bytes of output.
            hkdf.expand_multi_info(&[b"api-tokens/v1/", purpose.as_bytes()], okm.as_mut_slice()).map_err(|_| weak())?;
            Ok(okm)
        };
        // HMAC takes a key of any length, so this never fails.
        let keyed = |key: &[u8; 32]| HmacSha256::new_from_slice(key).map_err(|_| weak());
        let mut check = [0; 16];
        check.copy_from_slice(&subkey("check")?[..16]);
        Ok(Subkeys {
            digest: ShortMac::new(&*subkey("digest")?),
            seal: keyed(&*subkey("seal")?)?,
            receipt: XChaCha20Poly1305::new((&*subkey("receipt")?).into()),
            nonce: keyed(&*subkey("nonce")?)?,
            check: KeyCheck(check),
            id,
        })
    }

    #[inline]
    fn inner_hash(&self, verifier: &[u8; VERIFIER_LEN], token: TokenId, ending: &Ending) -> InnerHash {
        let mut message = [0; BLOCK];
        message[..TOKEN].copy_from_slice(verifier);
        message[TOKEN..GENERATION].copy_from_slice(token.as_bytes());
        message[GENERATION..].copy_from_slice(&ending.0);
        self.digest.inner(&mut message)
    }

    fn digest_of(&self, inner: InnerHash) -> Digest {
        Digest::from_bytes(self.digest.outer(inner))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    #[test]
    fn a_keyring_says_what_is_wrong_with_it_and_never_the_key() {
        let error = |text: &str| {
            let error = Keyring::parse(text).unwrap_err();
            assert!(!error.to_string().contains("MDEy") && !format!("{error:?}").contains("MDEy"));
            error
        };
        let id = |id: &str| KeyId::new(id).unwrap();
        assert_eq!(error(""), KeyringError::Empty);
        assert_eq!(error(" ,\n"), KeyringError::Empty);
        assert_eq!(error(KEY), KeyringError::Id { position: 1 });
        assert_eq!(error(&format!("a b:{KEY}")), KeyringError::Id { position: 1 });
        assert_eq!(error(&format!(":{KEY}")), KeyringError::Id { position: 1 });
        assert_eq!(error("k1:!!"), KeyringError::Base64 { id: id("k1") });
        assert_eq!(error("k1:MDEyMzQ1Njc4OWFiY2RlZg=="), KeyringError::Weak { id: id("k1") });
        assert_eq!(error(&format!("k1:{}=", "A".repeat(43))), KeyringError::Weak { id: id("k1") });
        assert_eq!(error(&format!("k1:{KEY},k1:{KEY}")), KeyringError::Duplicate { id: id("k1") });
        assert_eq!(error(&format!("k1:{KEY},k2:{KEY}")), KeyringError::Duplicate { id: id("k2") });
        assert_eq!(
            Keyring::from_env("TOKEN_CORE_NO_SUCH_VARIABLE").unwrap_err(),
            KeyringError::Variable("TOKEN_CORE_NO_SUCH_VARIABLE".into())
        );
    }

    #[test]
    fn what_was_shown_fits_no_row_with_another_digest_generation_or_key() {
        use crate::secret::{Scheme, Selector};

        let keyring = Keyring::parse(&format!("k1:{KEY}")).unwrap();
        let (verifier, token, generation) = ([b'7'; VERIFIER_LEN], TokenId::from_bytes([1; 16]), Generation::FIRST);
        let secret = Secret {
            selector: Selector::from_digits([b'0'; 16]),
            token,
            generation,
            scheme: Scheme::HmacSha256,
            digest: keyring.digest(&verifier, token, generation),
            key: KeyId::new("k1").unwrap(),
        };
        let Verdict::Right(shown) = keyring.verify(&verifier, Some(&secret)) else { panic!("it is the right one") };
        assert!(keyring.still_fits(&shown, &secret));
        for other in [
            Secret { generation: generation.next().unwrap(), ..secret.clone() },
            Secret { digest: Digest::from_bytes([0; 32]), ..secret.clone() },
            Secret { key: KeyId::new("k2").unwrap(), ..secret.clone() },
        ] {
            assert!(!keyring.still_fits(&shown, &other), "{other:?}");
        }
    }

    #[test]
    fn debug_names_the_ids_only() {
        let keyring = Keyring::parse(&format!("k1:{KEY}")).unwrap();
        assert_eq!(format!("{keyring:?}"), r#"["k1"]"#);
    }
}
