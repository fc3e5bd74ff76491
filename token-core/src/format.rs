//! Token text: how it is printed, recognized and found by secret scanners.

use std::fmt;

use crate::base62;
use crate::random::{Random, RandomError};
use crate::secret::{SELECTOR_LEN, Selector, TokenText, VERIFIER_LEN, Verifier};

const CHECKSUM_LEN: usize = 6;
const BODY_LEN: usize = SELECTOR_LEN + VERIFIER_LEN + CHECKSUM_LEN;
const PREFIX_MAX: usize = 24;

/// The form of a host's token text: `{prefix}_{selector:16}{verifier:32}{checksum:6}`.
///
/// The prefix names product and environment, so that a leaked token says where it belongs and a scanner finds
/// it. Everything after it is base62 (`0-9A-Za-z`); the checksum is the CRC-32 (ISO-HDLC, as in zip and PNG)
/// of every character before it, so that a mistyped or cut-off token is refused without asking the store.
///
/// ```
/// use token_core::TokenFormat;
///
/// let format = TokenFormat::new("acme_live")?;
/// assert_eq!(format.regex(), r"\bacme_live_[0-9A-Za-z]{54}\b");
/// # Ok::<(), token_core::PrefixError>(())
/// ```
#[derive(Debug, Clone)]
pub struct TokenFormat {
    /// With its closing underscore.
    lead: Box<str>,
    /// What has seen the lead, and goes on from there with each text. Made once: to make one is to ask what the processor can do.
    checksum: crc32fast::Hasher,
}

/// Formats are the same if their prefixes are.
impl PartialEq for TokenFormat {
    fn eq(&self, other: &TokenFormat) -> bool {
        self.lead == other.lead
    }
}

impl Eq for TokenFormat {}

/// A prefix that token text can't have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "token prefix: use at most 24 characters, lower-case words of a-z and 0-9 that are joined by single underscores and start with a letter, such as acme_live"
)]
pub struct PrefixError;

/// Why a text is not token text of this format. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It does not start with the format's prefix.
    #[error("the text does not start with this service's token prefix")]
    Prefix,
    /// It is too short or too long.
    #[error("the text does not have the length of a token; it may have been cut off")]
    Length,
    /// It holds a character outside `0-9A-Za-z` after the prefix.
    #[error("the text holds a character that no token has")]
    Alphabet,
    /// The checksum does not match the rest.
    #[error("the token's checksum does not match; it was probably mistyped or cut off")]
    Checksum,
}

/// Token text that has the right form, after its prefix, still inside the caller's buffer.
#[derive(Clone, Copy)]
pub(crate) struct Parsed<'a>(&'a [u8; BODY_LEN]);

impl<'a> Parsed<'a> {
    #[inline]
    pub(crate) fn selector(self) -> Selector {
        let (selector, _) = self.split();
        Selector::from_digits(*selector)
    }

    #[inline]
    pub(crate) fn verifier(self) -> &'a [u8; VERIFIER_LEN] {
        let (_, verifier) = self.split();
        verifier
    }

    #[inline]
    fn split(self) -> (&'a [u8; SELECTOR_LEN], &'a [u8; VERIFIER_LEN]) {
        // A selector, a verifier and a checksum are what a body is long.
        const { assert!(BODY_LEN == SELECTOR_LEN + VERIFIER_LEN + CHECKSUM_LEN) };
        let parts = self.0.split_first_chunk().and_then(|(selector, rest)| Some((selector, rest.first_chunk()?)));
        parts.unwrap_or((&[b'0'; SELECTOR_LEN], &[b'0'; VERIFIER_LEN]))
    }
}

impl fmt::Debug for Parsed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parsed").field("selector", &self.selector()).finish_non_exhaustive()
    }
}

impl TokenFormat {
    /// The format with this prefix: `[a-z][a-z0-9]*(_[a-z0-9]+)*`, at most 24 characters.
    ///
    /// # Errors
    /// [`PrefixError`] for any other prefix.
    pub fn new(prefix: &str) -> Result<TokenFormat, PrefixError> {
        let letter_first = prefix.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let words = prefix
            .split('_')
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        if prefix.len() > PREFIX_MAX || !letter_first || !words {
            return Err(PrefixError);
        }
        let lead = format!("{prefix}_");
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(lead.as_bytes());
        Ok(TokenFormat { checksum, lead: lead.into() })
    }

    /// The prefix, without the underscore that follows it.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.lead[..self.lead.len() - 1]
    }

    /// A regular expression (RE2 syntax, no look-around) that finds token text of this format in other text.
    #[must_use]
    pub fn regex(&self) -> String {
        format!(r"\b{}[0-9A-Za-z]{{{BODY_LEN}}}\b", self.lead)
    }

    /// A rule for gitleaks: one `[[rules]]` table to add to `.gitleaks.toml`.
    #[must_use]
    pub fn gitleaks_rule(&self) -> String {
        format!(
            "[[rules]]\nid = \"{id}-api-token\"\ndescription = \"API token of {prefix}\"\nregex = '''{regex}'''\nkeywords = [\"{lead}\"]\n",
            id = self.prefix().replace('_', "-"),
            prefix = self.prefix(),
            regex = self.regex(),
            lead = self.lead,
        )
    }

    /// A custom detector for trufflehog: the `detectors` list of its configuration file.
    #[must_use]
    pub fn trufflehog_detector(&self) -> String {
        format!(
            "detectors:\n  - name: API token of {prefix}\n    keywords:\n      - {lead}\n    regex:\n      token: '{regex}'\n",
            prefix = self.prefix(),
            regex = self.regex(),
            lead = self.lead,
        )
    }

    /// How a secret is shown to people who may know it exists: prefix and the first four digits of its selector.
    #[must_use]
    pub fn masked(&self, selector: &Selector) -> String {
        format!("{}{}…", self.lead, &selector.as_str()[..4])
    }

    /// A new secret: its text, its selector, and its verifier to make the digest of.
    pub(crate) fn mint(&self, random: &Random) -> Result<(TokenText, Selector, Verifier), RandomError> {
        let selector = Selector::random(random)?;
        let verifier = Verifier::random(random)?;
        Ok((self.print(&selector, &verifier), selector, verifier))
    }

    fn print(&self, selector: &Selector, verifier: &Verifier) -> TokenText {
        let mut hasher = self.checksum.clone();
        // Made with its full capacity: a buffer that grows leaves a copy of the secret behind.
        let mut text = String::with_capacity(self.lead.len() + BODY_LEN);
        text.push_str(&self.lead);
        text.extend(selector.as_bytes().iter().chain(verifier.as_bytes()).copied().map(char::from));
        hasher.update(&text.as_bytes()[self.lead.len()..]);
        text.extend(base62::encode_u32(hasher.finalize()).map(char::from));
        TokenText::new(text)
    }

    /// Recognizes token text in one pass, without allocating.
    #[inline]
    pub(crate) fn parse<'a>(&self, text: &'a [u8]) -> Result<Parsed<'a>, ParseError> {
        let body = text.strip_prefix(self.lead.as_bytes()).ok_or(ParseError::Prefix)?;
        let body: &[u8; BODY_LEN] = body.try_into().map_err(|_| ParseError::Length)?;
        let (covered, checksum) = body.split_last_chunk().ok_or(ParseError::Length)?;
        let checksum =
            base62::decode_six(checksum).filter(|_| base62::is_base62(covered)).ok_or(ParseError::Alphabet)?;
        let mut hasher = self.checksum.clone();
        hasher.update(covered);
        if u64::from(hasher.finalize()) == checksum { Ok(Parsed(body)) } else { Err(ParseError::Checksum) }
    }

    /// Whether `text` has the form of this host's tokens and a checksum that matches. Says nothing of whether
    /// such a token exists.
    ///
    /// # Errors
    /// [`ParseError`] with the first thing that is wrong.
    pub fn check(&self, text: &[u8]) -> Result<Selector, ParseError> {
        self.parse(text).map(Parsed::selector)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn random(seed: [u8; 32]) -> Random {
        use chacha20::rand_core::SeedableRng;
        Random::injected(chacha20::ChaCha20Rng::from_seed(seed))
    }

    #[test]
    fn known_checksums() {
        assert_eq!(&base62::encode_u32(crc32fast::hash(&[b'0'; 30])), b"2C8GjS");
        assert_eq!(&base62::encode_u32(crc32fast::hash(&[b'A'; 30])), b"0uCPlr");
    }

    #[test]
    fn prefixes_follow_the_grammar() {
        for good in ["a", "acme", "acme_live", "a1_2b_c", "abcdefghijklmnopqrstuvwx"] {
            assert_eq!(TokenFormat::new(good).unwrap().prefix(), good);
        }
        for bad in ["", "_", "a_", "_a", "a__b", "1a", "Acme", "acmé", "a-b", "a b", "abcdefghijklmnopqrstuvwxy"] {
            assert_eq!(TokenFormat::new(bad), Err(PrefixError), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parse_after_print_is_identity(seed: [u8; 32], prefix in "[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,7}){0,1}") {
            let format = TokenFormat::new(&prefix).unwrap();
            let (text, selector, verifier) = format.mint(&random(seed)).unwrap();
            let parsed = format.parse(text.expose_secret().as_bytes()).unwrap();
            prop_assert_eq!(parsed.selector(), selector);
            prop_assert_eq!(parsed.verifier(), verifier.as_bytes());
            let again = format.print(&parsed.selector(), &verifier);
            prop_assert_eq!(again.expose_secret(), text.expose_secret());
            let regex = regex::Regex::new(&format.regex()).unwrap();
            let found = format!("key = \"{}\";", text.expose_secret());
            prop_assert_eq!(regex.find(&found).unwrap().as_str(), text.expose_secret());
        }

        #[test]
        fn a_changed_bit_anywhere_is_refused(seed: [u8; 32]) {
            let format = TokenFormat::new("acme_live").unwrap();
            let (text, ..) = format.mint(&random(seed)).unwrap();
            let good = text.expose_secret().as_bytes();
            for bit in 0..good.len() * 8 {
                let mut bad = good.to_vec();
                bad[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(format.parse(&bad).is_err(), "bit {}", bit);
            }
        }

        #[test]
        fn a_cut_or_longer_text_is_refused(seed: [u8; 32], extra in proptest::collection::vec(any::<u8>(), 1..8)) {
            let format = TokenFormat::new("acme_live").unwrap();
            let (text, ..) = format.mint(&random(seed)).unwrap();
            let good = text.expose_secret().as_bytes();
            for length in 0..good.len() {
                prop_assert!(format.parse(&good[..length]).is_err());
            }
            prop_assert!(format.parse(&[good, &extra].concat()).is_err());
            prop_assert!(format.parse(&[&extra, good].concat()).is_err());
        }

        #[test]
        fn nothing_else_parses(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let format = TokenFormat::new("acme_live").unwrap();
            prop_assert!(format.parse(&noise).is_err());
        }
    }

    #[test]
    fn scanner_rules_name_the_format() {
        let format = TokenFormat::new("acme_live").unwrap();
        assert!(format.gitleaks_rule().contains(r"regex = '''\bacme_live_[0-9A-Za-z]{54}\b'''"));
        assert!(format.trufflehog_detector().contains(r"token: '\bacme_live_[0-9A-Za-z]{54}\b'"));
    }
}
