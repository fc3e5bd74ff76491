//! Reading the credential of a request: one parser for every framework.
//!
//! Stock parsers disagree with RFC 6750, RFC 9110 and each other: some know one spelling of the scheme only, some take the
//! first of two headers. Here whatever is ambiguous is malformed, never guessed.

use std::fmt;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

/// Where a credential is accepted besides `Authorization: Bearer`, which always is. Never a query string or a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Sources {
    /// The header `X-API-Key`.
    pub api_key_header: bool,
    /// The password of `Authorization: Basic`, for clients such as git, docker, pip and npm. The user name is ignored.
    pub basic_password: bool,
}

impl Sources {
    /// Accepts `X-API-Key` as well.
    #[must_use]
    pub fn with_api_key_header(mut self) -> Sources {
        self.api_key_header = true;
        self
    }

    /// Accepts the password of `Basic` as well. A browser that was once given one shows it by itself, to the requests of other sites'
    /// pages too: routes that change something and may be met by browsers are the host's to guard against that.
    #[must_use]
    pub fn with_basic_password(mut self) -> Sources {
        self.basic_password = true;
        self
    }
}

/// A credential as presented: the bytes that should be token text. Redacts in `Debug`; a decoded one is wiped when dropped.
pub enum Credential<'a> {
    /// Bytes of a header.
    Borrowed(&'a [u8]),
    /// Bytes decoded from a header.
    Decoded(Zeroizing<Vec<u8>>),
}

impl Credential<'_> {
    /// The bytes, to be verified and nothing else.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8] {
        match self {
            Credential::Borrowed(bytes) => bytes,
            Credential::Decoded(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(<redacted>)")
    }
}

/// Why there is no credential to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The request carries none of an accepted kind.
    #[error("the request carries no credential of an accepted kind")]
    Missing,
    /// It carries more than one, an empty one, or one that is not in the form of its scheme.
    #[error("the request carries a credential that can't be read: send exactly one")]
    Malformed,
}

impl Sources {
    /// Reads the credential from the values of every `Authorization` and every `X-API-Key` line of a request.
    ///
    /// # Errors
    /// [`CredentialError::Missing`] without an accepted credential, [`CredentialError::Malformed`] where RFC 6750 or
    /// RFC 9110 leave no single reading: two lines, two methods, two tokens, a TAB, a list, nothing after the scheme.
    pub fn read<'a>(
        self,
        authorization: impl IntoIterator<Item = &'a [u8]>,
        api_key: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Credential<'a>, CredentialError> {
        let authorization = at_most_one(authorization)?;
        // Not even looked for where it counts for nothing.
        let key = if self.api_key_header { at_most_one(api_key)? } else { None };
        match (authorization, key) {
            (Some(authorization), None) => self.read_authorization(authorization),
            (None, Some(key)) => single(key).map(Credential::Borrowed),
            (None, None) => Err(CredentialError::Missing),
            (Some(authorization), Some(key)) => match self.read_authorization(authorization) {
                Err(CredentialError::Missing) => single(key).map(Credential::Borrowed),
                _ => Err(CredentialError::Malformed),
            },
        }
    }

    /// Missing for a scheme that is not accepted.
    #[inline]
    fn read_authorization(self, value: &[u8]) -> Result<Credential<'_>, CredentialError> {
        // As almost everyone spells it. What follows says nothing else of it, only more slowly.
        if let Some(rest) = value.strip_prefix(b"Bearer ") {
            return single(rest).map(Credential::Borrowed);
        }
        let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
        let (scheme, rest) = value.split_at(end);
        if scheme.is_empty() {
            return Err(CredentialError::Malformed);
        }
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return single(rest).map(Credential::Borrowed);
        }
        if self.basic_password && scheme.eq_ignore_ascii_case(b"basic") {
            return basic_password(single(rest)?).map(Credential::Decoded);
        }
        Err(CredentialError::Missing)
    }
}

#[inline]
fn at_most_one<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<&'a [u8]>, CredentialError> {
    let mut values = values.into_iter();
    let first = values.next();
    if values.next().is_some() { Err(CredentialError::Malformed) } else { Ok(first) }
}

/// Exactly one word, with spaces around it.
#[inline]
fn single(value: &[u8]) -> Result<&[u8], CredentialError> {
    let start = value.iter().position(|byte| *byte != b' ').ok_or(CredentialError::Malformed)?;
    let end = value.iter().rposition(|byte| *byte != b' ').map_or(start, |last| last + 1);
    let word = &value[start..end];
    // All of it, whatever is found: that is a few steps of many bytes, and stopping early is one for each.
    if word.iter().fold(false, |found, byte| found | matches!(byte, b' ' | b'\t' | b',')) {
        return Err(CredentialError::Malformed);
    }
    Ok(word)
}

/// RFC 7617: base64 of `user:password`.
fn basic_password(encoded: &[u8]) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    let encoded = std::str::from_utf8(encoded).map_err(|_| CredentialError::Malformed)?;
    let pair = Zeroizing::new(Base64::decode_vec(encoded).map_err(|_| CredentialError::Malformed)?);
    let colon = pair.iter().position(|byte| *byte == b':').ok_or(CredentialError::Malformed)?;
    let password = &pair[colon + 1..];
    if password.is_empty() {
        return Err(CredentialError::Malformed);
    }
    Ok(Zeroizing::new(password.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sources: Sources, authorization: &[&str], api_key: &[&str]) -> Result<String, CredentialError> {
        let credential =
            sources.read(authorization.iter().map(|v| v.as_bytes()), api_key.iter().map(|v| v.as_bytes()))?;
        Ok(String::from_utf8(credential.expose_secret().to_vec()).unwrap())
    }

    #[test]
    fn bearer_is_read_in_every_spelling_that_the_rfcs_allow() {
        for value in ["Bearer t", "bearer t", "BEARER t", "bEaReR    t", "Bearer t   ", "Bearer   t  "] {
            assert_eq!(read(Sources::default(), &[value], &[]).as_deref(), Ok("t"), "{value:?}");
        }
    }

    #[test]
    fn another_scheme_is_no_credential() {
        for value in ["Basic dTpw", "Digest x", "Bearerx y", "token t", "Negotiate"] {
            assert_eq!(read(Sources::default(), &[value], &[]), Err(CredentialError::Missing), "{value:?}");
        }
        assert_eq!(read(Sources::default(), &[], &["ignored unless accepted"]), Err(CredentialError::Missing));
    }

    #[test]
    fn what_has_no_single_reading_is_malformed() {
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer    ",
            "Bearer\tt",
            "Bearer t\tu",
            "Bearer \tt",
            "Bearer t u",
            "Bearer t,u",
            "Bearer t, Bearer u",
            " Bearer t",
        ] {
            assert_eq!(read(Sources::default(), &[value], &[]), Err(CredentialError::Malformed), "{value:?}");
        }
        for lines in
            [["Bearer t", "Bearer t"], ["Bearer t", "Bearer u"], ["Basic dTpw", "Bearer t"], ["Digest x", "Digest y"]]
        {
            assert_eq!(read(Sources::default(), &lines, &[]), Err(CredentialError::Malformed), "{lines:?}");
        }
        let all = Sources::default().with_api_key_header().with_basic_password();
        assert_eq!(read(all, &["Bearer t"], &["t"]), Err(CredentialError::Malformed));
        assert_eq!(read(all, &[], &["t", "t"]), Err(CredentialError::Malformed));
        for value in ["Basic", "Basic !!", "Basic dQ==", "Basic dTo=", "Basic dTpw dTpw"] {
            assert_eq!(read(all, &[value], &[]), Err(CredentialError::Malformed), "{value:?}");
        }
        for value in ["", " ", "a b", "a,b", "a\tb"] {
            assert_eq!(read(all, &[], &[value]), Err(CredentialError::Malformed), "{value:?}");
        }
    }

    #[test]
    fn opt_in_sources_are_read_when_opted_in() {
        let all = Sources::default().with_api_key_header().with_basic_password();
        assert_eq!(read(all, &[], &[" t "]).as_deref(), Ok("t"));
        assert_eq!(read(all, &["basic dTpwOnc="], &[]).as_deref(), Ok("p:w"));
        assert_eq!(read(all, &["Digest x"], &["t"]).as_deref(), Ok("t"));
    }
}
