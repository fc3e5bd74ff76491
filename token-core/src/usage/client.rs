//! What a client calls itself.

use std::fmt;

/// At most so many bytes of it are kept.
pub(crate) const CLIENT_MAX: usize = 80;

/// What a client called itself in its `User-Agent`: at most 80 printable ASCII characters. The client's own words, so whoever
/// shows it escapes it and believes nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(Box<str>);

impl Client {
    /// What can be kept of a header: cut to 80 bytes, with a `?` for whatever is not printable ASCII. `None` if nothing is left.
    #[must_use]
    pub fn of(header: &[u8]) -> Option<Client> {
        let kept = header.get(..CLIENT_MAX).unwrap_or(header);
        let shown = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '?' };
        let text: String = kept.iter().map(shown).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| Client(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_is_cut_and_made_printable() {
        let kept = |header: &[u8]| Client::of(header).map(|client| client.as_str().to_owned());
        assert_eq!(kept(b"curl/8.5.0").as_deref(), Some("curl/8.5.0"));
        assert_eq!(kept(b" a\x1b[31m\r\n\xe2\x80\xae ").as_deref(), Some("a?[31m?????"));
        assert_eq!(kept(b"   "), None);
        assert_eq!(kept(b""), None);
        assert_eq!(kept(&[b'x'; 4096]).map(|text| text.len()), Some(CLIENT_MAX));
    }
}
