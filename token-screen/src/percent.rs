//! Percent-encoding (RFC 3986 §2.1), read strictly: what has no single reading is nothing.

/// One segment of a path.
pub(crate) fn segment(raw: &str) -> Option<String> {
    decode(raw, false)
}

/// A name or a value of a query, in which `+` is a space as well.
pub(crate) fn query_word(raw: &str) -> Option<String> {
    decode(raw, true)
}

fn decode(raw: &str, plus: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'+' if plus => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_sequences_of_utf8_are_read() {
        assert_eq!(segment("a%2Fb%c3%A9+"), Some("a/bé+".to_owned()));
        assert_eq!(query_word("a+b%2B"), Some("a b+".to_owned()));
        for bad in ["%", "%4", "%zz", "%+1", "%ff", "%C3", "%ed%a0%80"] {
            assert_eq!(segment(bad), None, "{bad}");
        }
    }
}
