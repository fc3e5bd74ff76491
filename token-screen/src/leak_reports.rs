//! Who may report leaked tokens, after the protocol of GitHub's secret-scanning partners: whoever signs with a known key.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64ct::{Base64, Encoding};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;

use crate::http::Request;
use crate::problem::Problem;

/// The public keys of those who may report leaked tokens, by identifier. All clones are one set.
///
/// GitHub's are at `https://api.github.com/meta/public_keys/secret_scanning`. Nothing is fetched here: the host does, and
/// hands what is new to [`set`](ReporterKeys::set), of its clone of what it gave to
/// [`Management::leak_reports`](crate::Management::leak_reports).
///
/// ```
/// # fn main() -> Result<(), token_screen::ReporterKeyError> {
/// use token_screen::ReporterKeys;
///
/// let pem = "-----BEGIN PUBLIC KEY-----
/// MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
/// 6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
/// -----END PUBLIC KEY-----";
/// let keys = ReporterKeys::new([("a-key-identifier", pem)])?;
/// keys.set([("a-newer-key-identifier", pem)])?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ReporterKeys(Arc<RwLock<Keys>>);

type Keys = HashMap<String, VerifyingKey>;

/// Why a set of reporters' keys can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReporterKeyError {
    /// There is no key at all: nobody could report anything.
    #[error("there are no reporter keys; give at least one, or leave leak reports off")]
    Empty,
    /// A key has an empty identifier, or one that no header could hold.
    #[error("reporter key {position} has no identifier of 1 to 255 visible ASCII characters")]
    Identifier {
        /// Which key, counted from 1.
        position: usize,
    },
    /// Two keys share an identifier.
    #[error("two reporter keys have the identifier {identifier}")]
    Duplicate {
        /// The identifier.
        identifier: String,
    },
    /// A key is not what it should be.
    #[error("reporter key {identifier} is not an ECDSA P-256 public key in PEM (BEGIN PUBLIC KEY)")]
    Key {
        /// Its identifier.
        identifier: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ReporterKeys {
    /// Keys by their identifiers, each in PEM (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// [`ReporterKeyError`], which says which key to mend.
    pub fn new<I, P>(keys: impl IntoIterator<Item = (I, P)>) -> Result<ReporterKeys, ReporterKeyError>
    where
        I: Into<String>,
        P: AsRef<str>,
    {
        Ok(ReporterKeys(Arc::new(RwLock::new(read_keys(keys)?))))
    }

    /// Puts these keys in the place of all that were there, at once and for every clone.
    ///
    /// # Errors
    /// [`ReporterKeyError`]; the keys that were there stay.
    pub fn set<I, P>(&self, keys: impl IntoIterator<Item = (I, P)>) -> Result<(), ReporterKeyError>
    where
        I: Into<String>,
        P: AsRef<str>,
    {
        let keys = read_keys(keys)?;
        // A set is put in place whole, so none is left half made by whoever panicked.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Whether the body is signed by a reporter. Every reason for which it is not is answered alike.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Problem> {
        if self.is_signed(request).is_some() {
            return Ok(());
        }
        let detail = "This report is not signed by a reporter that this service knows.";
        Err(Problem::new(403, "unknown_reporter", detail))
    }

    fn is_signed(&self, request: &Request) -> Option<()> {
        let identifier = one_line(request, KEY_IDENTIFIER)?;
        let signature = Base64::decode_vec(one_line(request, SIGNATURE)?).ok()?;
        let signature = Signature::from_der(&signature).ok()?;
        let key = *self.0.read().unwrap_or_else(PoisonError::into_inner).get(identifier)?;
        key.verify(&request.body, &signature).ok()
    }
}

// By hand: identifiers are all that anyone reads.
impl fmt::Debug for ReporterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_list().entries(keys.keys()).finish()
    }
}

pub(crate) const KEY_IDENTIFIER: &str = "github-public-key-identifier";
pub(crate) const SIGNATURE: &str = "github-public-key-signature";

/// The one line of a header.
fn one_line<'a>(request: &'a Request, name: &'a str) -> Option<&'a str> {
    let mut lines = request.header(name);
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    std::str::from_utf8(line).ok()
}

fn read_keys<I, P>(keys: impl IntoIterator<Item = (I, P)>) -> Result<Keys, ReporterKeyError>
where
    I: Into<String>,
    P: AsRef<str>,
{
    let mut read = Keys::new();
    for (index, (identifier, pem)) in keys.into_iter().enumerate() {
        let identifier: String = identifier.into();
        let visible = (1..=255).contains(&identifier.len()) && identifier.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible {
            return Err(ReporterKeyError::Identifier { position: index + 1 });
        }
        let key = VerifyingKey::from_public_key_pem(pem.as_ref().trim())
            .map_err(|error| ReporterKeyError::Key { identifier: identifier.clone(), source: error.into() })?;
        if read.insert(identifier.clone(), key).is_some() {
            return Err(ReporterKeyError::Duplicate { identifier });
        }
    }
    if read.is_empty() { Err(ReporterKeyError::Empty) } else { Ok(read) }
}
