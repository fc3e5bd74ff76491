//! Percent-encoding (RFC 3986 §2.1), read strictly: what has no single reading is nothing.

/// One segment of a path.
pub(crate) fn segment(raw: &str) -> Option<String> {
    decode(raw, false)
}

/// A name or a value of a query, in which `+` is a space as well.
pub(crate) fn query_word(raw: &str) -> Option<String> {
    decode(raw, true)
}

/// A text as a value of a query: all but unreserved characters encoded.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
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
    fn what_is_encoded_is_read_again() {
        assert_eq!(encode("/a b?c=é&d"), "%2Fa%20b%3Fc%3D%C3%A9%26d");
        assert_eq!(query_word(&encode("+ %é/")), Some("+ %é/".to_owned()));
    }

    #[test]
    fn only_whole_sequences_of_utf8_are_read() {
        assert_eq!(segment("a%2Fb%c3%A9+"), Some("a/bé+".to_owned()));
        assert_eq!(query_word("a+b%2B"), Some("a b+".to_owned()));
        for bad in ["%", "%4", "%zz", "%+1", "%ff", "%C3", "%ed%a0%80"] {
            assert_eq!(segment(bad), None, "{bad}");
        }
    }
}
