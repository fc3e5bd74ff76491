//! Token text that is almost right.

use crate::base62;

/// The text with another secret part, and the checksum that belongs to it: well-formed, its selector known, its verifier wrong.
///
/// # Panics
/// If `text` is not token text.
#[must_use]
pub fn with_wrong_verifier(text: &str) -> String {
    assert!(text.len() > 54 && text.is_ascii(), "not a token text");
    let (covered, _) = text.split_at(text.len() - 6);
    let (kept, last) = covered.split_at(covered.len() - 1);
    let wrong = format!("{kept}{}", if last == "0" { "1" } else { "0" });
    with_checksum(&wrong)
}

/// The text with the checksum of token text after it.
#[must_use]
pub fn with_checksum(covered: &str) -> String {
    let checksum = base62::encode_u32(crc32fast::hash(covered.as_bytes()));
    let digits: String = checksum.iter().copied().map(char::from).collect();
    format!("{covered}{digits}")
}
