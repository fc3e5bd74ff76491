//! The search for pieces of secrets where none may be.

use std::collections::{BTreeSet, HashSet};

/// How long a piece must be to count: eight digits of base62 are 47 bits, which do not turn up by chance.
const PIECE: usize = 8;
/// The secret part of a token text: 32 characters before a checksum of 6.
const SECRET: usize = 32;
const CHECKSUM: usize = 6;

/// Looks for any eight characters in a row of the secret part of some token texts: as they are, in hexadecimal of either case, and
/// in base64 of either alphabet wherever they may stand in a longer text.
///
/// ```
/// use token_core::testing::LeakSearch;
///
/// let text = "acme_live_0123456789ABCDEFQRSTUVWXYZabcdefghijklmnopqrstuv1jCkHY";
/// let search = LeakSearch::for_texts([text]);
/// assert_eq!(search.find_in(b"the selector 0123456789ABCDEF is public"), None);
/// assert_eq!(search.find_in(b"oops: RSTUVWXY"), Some(6));
/// assert_eq!(search.find_in(b"oops: 5253545556575859"), Some(6));
/// ```
#[derive(Debug)]
pub struct LeakSearch {
    pieces: HashSet<Vec<u8>>,
    lengths: BTreeSet<usize>,
}

impl LeakSearch {
    /// A search for pieces of these texts.
    ///
    /// # Panics
    /// If there are no texts, or one is shorter than a token text: a search for nothing would find nothing.
    #[must_use]
    pub fn for_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> LeakSearch {
        let mut pieces = HashSet::new();
        for text in texts {
            assert!(text.len() > 16 + SECRET + CHECKSUM && text.is_ascii(), "not a token text");
            let secret = &text.as_bytes()[text.len() - CHECKSUM - SECRET..text.len() - CHECKSUM];
            pieces.extend(secret.windows(PIECE).flat_map(forms));
        }
        assert!(!pieces.is_empty(), "a search for nothing");
        let lengths = pieces.iter().map(Vec::len).collect();
        LeakSearch { pieces, lengths }
    }

    /// Where in `bytes` the first piece of the shortest form begins; `None` if there is none.
    #[must_use]
    pub fn find_in(&self, bytes: &[u8]) -> Option<usize> {
        let first = |length: &usize| bytes.windows(*length).position(|part| self.pieces.contains(part));
        self.lengths.iter().find_map(first)
    }
}

/// Every way in which a piece may be written down.
fn forms(piece: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
    let base64 = (0..3).flat_map(|offset| [b"+/", b"-_"].map(|last| base64_inside(piece, offset, last)));
    let plain = [piece.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    plain.into_iter().chain(base64).collect()
}

/// The digits of base64 that the piece alone decides, when `offset` bytes of something else are in its first group of three.
fn base64_inside(piece: &[u8], offset: usize, last: &[u8; 2]) -> Vec<u8> {
    let digit = |value: usize| match value {
        0..26 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[value],
        26..52 => b"abcdefghijklmnopqrstuvwxyz"[value - 26],
        52..62 => b"0123456789"[value - 52],
        _ => last[value - 62],
    };
    let bit = |at: usize| usize::from(piece[at / 8 - offset] >> (7 - at % 8) & 1);
    let (first, end) = ((offset * 8).div_ceil(6), (offset + piece.len()) * 8 / 6);
    (first..end).map(|place| digit((0..6).fold(0, |value, at| value << 1 | bit(place * 6 + at)))).collect()
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Base64UrlUnpadded, Encoding};

    use super::*;

    const TEXT: &str = "acme_live_0123456789ABCDEFQRSTUVWXYZabcdefghijklmnopqrstuv1jCkHY";

    #[test]
    fn a_planted_piece_is_found_in_every_form_and_at_every_place() {
        let search = LeakSearch::for_texts([TEXT]);
        let secret = &TEXT[26..58];
        for start in 0..=secret.len() - PIECE {
            let piece = &secret[start..start + PIECE];
            let hex: String = piece.bytes().map(|byte| format!("{byte:02X}")).collect();
            let mut planted = vec![piece.to_owned(), hex.to_lowercase(), hex];
            for before in ["", "x", "xy", "xyz"] {
                let longer = format!("{before}{piece} and more");
                planted.push(Base64::encode_string(longer.as_bytes()));
                planted.push(Base64UrlUnpadded::encode_string(longer.as_bytes()));
            }
            for planted in planted {
                assert!(search.find_in(format!("some bytes {planted} and others").as_bytes()).is_some(), "{planted}");
            }
        }
        assert_eq!(search.find_in(&TEXT.as_bytes()[..26]), None);
        assert_eq!(search.find_in(b""), None);
    }
}
