//! A request and a response without a framework.

use token_core::Caller;

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
    /// The longest body that is read, in bytes.
    pub const BODY_MAX: usize = 64 * 1024;
}

/// A response, for an adapter to write out as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case, with their values, in order.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}
