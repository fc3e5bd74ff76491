//! What is called: the method, the route's template and the client's name for itself, for the usage of the token.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderValue, USER_AGENT};
use token_core::Call;

/// What was called, kept until it has ended. The route's template is asked of the response then: to put it together takes as long as half
/// of a verification.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    method: Method,
    client: Option<HeaderValue>,
}

impl Called {
    pub(crate) fn of(request: &HttpRequest) -> Called {
        Called { method: request.method().clone(), client: client(request.headers()).cloned() }
    }

    pub(crate) fn call<'a>(&'a self, route: Option<&'a str>) -> Call<'a> {
        Call { method: self.method.as_str(), route, client: self.client.as_ref().map(HeaderValue::as_bytes) }
    }
}

/// What the client calls itself.
pub(crate) fn client(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(USER_AGENT)
}
