//! What is called: the method, the route's template and the client's name for itself, for the usage of the token.

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{HeaderValue, USER_AGENT};
use token_core::Call;

/// What was called, kept until the response is ready.
pub(crate) struct Called {
    method: Method,
    /// The route's template; never the path of the request, which is the client's text.
    route: Option<String>,
    client: Option<HeaderValue>,
}

impl Called {
    pub(crate) fn of(request: &ServiceRequest) -> Called {
        Called {
            method: request.method().clone(),
            route: request.match_pattern(),
            client: request.headers().get(USER_AGENT).cloned(),
        }
    }

    pub(crate) fn call(&self) -> Call<'_> {
        Call {
            method: self.method.as_str(),
            route: self.route.as_deref(),
            client: self.client.as_ref().map(HeaderValue::as_bytes),
        }
    }
}
