//! The lines of a request's headers that a layer looks at, found by going through all of them once.

use http::header::{AUTHORIZATION, COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use token_core::{Credential, CredentialError, Sources};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Lines<'a> {
    authorization: Line<'a>,
    api_key: Line<'a>,
    client: Option<&'a HeaderValue>,
}

/// The lines of one name. More than two are two too many all the same.
#[derive(Debug, Default)]
struct Line<'a> {
    first: Option<&'a HeaderValue>,
    another: Option<&'a HeaderValue>,
}

/// Keeps credentials out of whatever prints the headers of a request, such as a tracing layer further in, and says what was found.
#[inline]
pub(crate) fn hide_credentials(headers: &mut HeaderMap) -> Lines<'_> {
    let mut lines = Lines::default();
    // Looking through the few headers of a request takes less than a hash of each name.
    for (name, value) in headers.iter_mut() {
        if *name == AUTHORIZATION {
            value.set_sensitive(true);
            lines.authorization.add(value);
        } else if *name == USER_AGENT {
            lines.client = lines.client.or(Some(value));
        } else if *name == COOKIE {
            value.set_sensitive(true);
        } else if *name == X_API_KEY {
            value.set_sensitive(true);
            lines.api_key.add(value);
        }
    }
    lines
}

impl<'a> Lines<'a> {
    #[inline]
    pub(crate) fn credential(&self, sources: Sources) -> Result<Credential<'a>, CredentialError> {
        sources.read(self.authorization.values(), self.api_key.values())
    }

    /// What the client calls itself.
    pub(crate) fn client(&self) -> Option<&'a [u8]> {
        self.client.map(HeaderValue::as_bytes)
    }
}

impl<'a> Line<'a> {
    #[inline]
    fn add(&mut self, value: &'a HeaderValue) {
        match self.first {
            None => self.first = Some(value),
            Some(_) => self.another = Some(value),
        }
    }

    #[inline]
    fn values(&self) -> impl Iterator<Item = &'a [u8]> {
        self.first.into_iter().chain(self.another).map(HeaderValue::as_bytes)
    }
}
