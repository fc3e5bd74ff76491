//! A request and a response without a framework.

use token_core::Caller;

use crate::problem::Problem;

/// A request, as an adapter hands it over.
#[derive(Clone)]
pub struct Request {
    /// The method, as sent.
    pub method: String,
    /// The raw path below the mount, beginning with `/`, still percent-encoded.
    pub path: String,
    /// The raw query, without its `?`; empty if there is none.
    pub query: String,
    /// Every header line, names in lower case, in the order they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, read up to one byte more than [`Request::BODY_MAX`], so that a longer one is known as such.
    pub body: Vec<u8>,
    /// Who sends it, as far as the host knows.
    pub caller: Caller,
}

impl Request {
    /// The longest body that is read, in bytes: 1 MiB, of which only reports of leaked tokens may make use. Every other operation
    /// takes 64 KiB at most.
    pub const BODY_MAX: usize = 1024 * 1024;

    /// The values of every line of a header.
    pub(crate) fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(header, _)| header == name).map(|(_, value)| value.as_slice())
    }
}

// By hand, since headers and body may hold a credential.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

/// A response, for an adapter to write out as it is. Not to be logged: one response to creating or rotating a token holds its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case, with their values, in order.
    pub headers: Vec<(&'static str, String)>,
    /// The body. In answer to `HEAD` it is the one that `GET` has: a server sends its length alone (RFC 9110 §8.6).
    pub body: Vec<u8>,
}

// By hand, for the same reason.
impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response").field("status", &self.status).field("headers", &self.headers).finish_non_exhaustive()
    }
}

/// What every response says to browsers: nothing here is to be kept, framed, sniffed, run or read by another site.
const ALWAYS: [(&str, &str); 7] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];

/// What pages say beyond that: what they load and send is of this site, written by no script, and nothing is written into them. The
/// referrer is for this site, since without any a form would say that it comes from nowhere.
const PAGES: [(&str, &str); 2] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("referrer-policy", "same-origin"),
];

/// What is the same for everyone, and is found under the hash of what it holds, may be kept for good.
const KEPT: (&str, &str) = ("cache-control", "public, max-age=31536000, immutable");

impl Response {
    /// The response when the host can't tell who is signed in: nobody is let in, and nobody is taken for a stranger.
    #[must_use]
    pub fn unavailable() -> Response {
        Response::from(Problem::unavailable()).hardened()
    }

    pub(crate) fn json(status: u16, body: Vec<u8>) -> Response {
        Response { status, headers: vec![("content-type", "application/json".to_owned())], body }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.headers.push((name, value.into()));
        self
    }

    /// The response with the headers that every response has.
    pub(crate) fn hardened(mut self) -> Response {
        self.headers.retain(|(name, _)| ALWAYS.iter().all(|(always, _)| name != always));
        self.headers.extend(ALWAYS.map(|(name, value)| (name, value.to_owned())));
        self
    }

    /// A page, with the headers that every page has.
    pub(crate) fn page(status: u16, html: String) -> Response {
        let headers = vec![("content-type", "text/html; charset=utf-8".to_owned())];
        Response { status, headers, body: html.into_bytes() }.hardened().instead(&PAGES)
    }

    /// What a page loads.
    pub(crate) fn asset(kind: &str, body: Vec<u8>) -> Response {
        let headers = vec![("content-type", kind.to_owned())];
        Response { status: 200, headers, body }.hardened().instead(&[KEPT])
    }

    /// Another page to go to, by GET.
    pub(crate) fn see(location: String) -> Response {
        Response::page(303, String::new()).with("location", location)
    }

    fn instead(mut self, headers: &[(&'static str, &str)]) -> Response {
        for (name, value) in headers {
            self.headers.retain(|(header, _)| header != name);
            self.headers.push((name, (*value).to_owned()));
        }
        self
    }
}
