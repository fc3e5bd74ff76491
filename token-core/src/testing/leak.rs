//! The search for pieces of a secret where none may be.

/// How long a piece must be to count: eight digits of base62 are 47 bits, which do not turn up by chance.
const PIECE: usize = 8;

/// Looks in `bytes` for any eight characters of the secret part of a token text: as they are, in hexadecimal of either case,
/// and in base64 (standard and URL alphabet) at any alignment. Answers what was found, by its form and place and not by its text.
///
/// ```
/// use token_core::testing::find_leak;
///
/// let text = "acme_live_0123456789ABCDEFQRSTUVWXYZabcdefghijklmnopqrstuv1jCkHY";
/// assert_eq!(find_leak(b"selector 0123456789ABCDEF is public", text), None);
/// assert!(find_leak(b"oops: RSTUVWXY", text).is_some());
/// assert!(find_leak(b"oops: 5253545556575859", text).is_some());
/// ```
///
/// # Panics
/// If `text` does not end in 38 characters of secret part and checksum: a search for nothing would find nothing.
#[must_use]
pub fn find_leak(bytes: &[u8], text: &str) -> Option<String> {
    assert!(text.len() > 54 && text.is_ascii(), "not a token text");
    let secret = &text.as_bytes()[text.len() - 38..text.len() - 6];
    let mut pieces: Vec<(&str, Vec<u8>)> = Vec::new();
    for window in secret.windows(PIECE) {
        let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
        pieces.push(("as it is", window.to_vec()));
        pieces.push(("in upper-case hexadecimal", hex.to_ascii_uppercase().into_bytes()));
        pieces.push(("in hexadecimal", hex.into_bytes()));
    }
    // Nine bytes are twelve digits of base64 when they begin on a group of three, as one of three alignments does.
    for window in secret.windows(9) {
        let base64 = base64(window);
        pieces.push(("in URL-safe base64", base64.replace('+', "-").replace('/', "_").into_bytes()));
        pieces.push(("in base64", base64.into_bytes()));
    }
    pieces.iter().find_map(|(form, piece)| {
        let at = find(bytes, piece)?;
        Some(format!("a piece of the secret, {form}, at byte {at}"))
    })
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    Base64::encode_string(bytes)
}

fn find(bytes: &[u8], piece: &[u8]) -> Option<usize> {
    // A first byte that fits is looked for fast; pieces are long enough for few false starts.
    let first = *piece.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(piece) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "acme_live_0123456789ABCDEFQRSTUVWXYZabcdefghijklmnopqrstuv1jCkHY";

    #[test]
    fn a_planted_piece_is_found_in_every_form_and_at_every_alignment() {
        let secret = &TEXT[26..58];
        for start in 0..=secret.len() - 12 {
            let piece = &secret[start..start + 8];
            let longer = &secret[start..start + 12];
            let hex: String = piece.bytes().map(|byte| format!("{byte:02X}")).collect();
            for planted in [piece.to_owned(), hex, base64(longer.as_bytes()), base64(format!("x{longer}").as_bytes())] {
                let bytes = format!("some bytes before {planted} and after");
                assert!(find_leak(bytes.as_bytes(), TEXT).is_some(), "{planted}");
            }
        }
        assert_eq!(find_leak(&TEXT.as_bytes()[..26], TEXT), None);
        assert_eq!(find_leak(b"", TEXT), None);
    }
}
