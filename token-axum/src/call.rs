//! What is called: the method, the route's template and the client's name for itself, for the usage of the token.

use http::header::USER_AGENT;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method};
use token_core::Call;

/// What was called, kept until it has ended. Handles only: nothing is copied that may be long.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    method: Method,
    route: Option<route::Template>,
    client: Option<HeaderValue>,
}

impl Called {
    pub(crate) fn of(method: &Method, headers: &HeaderMap, extensions: &Extensions) -> Called {
        let client = headers.get(USER_AGENT).cloned();
        Called { method: method.clone(), route: route::template(extensions).cloned(), client }
    }

    pub(crate) fn of_parts(parts: &Parts) -> Called {
        Called::of(&parts.method, &parts.headers, &parts.extensions)
    }

    pub(crate) fn call(&self) -> Call<'_> {
        Call {
            method: self.method.as_str(),
            route: self.route.as_ref().map(route::Template::as_str),
            client: self.client.as_ref().map(HeaderValue::as_bytes),
        }
    }
}

/// What is called by a request that goes no further.
pub(crate) fn call<'a>(method: &'a Method, headers: &'a HeaderMap, extensions: &'a Extensions) -> Call<'a> {
    Call {
        method: method.as_str(),
        route: route(extensions),
        client: headers.get(USER_AGENT).map(HeaderValue::as_bytes),
    }
}

/// The route's template; never the path of the request, which is the client's text.
pub(crate) fn route(extensions: &Extensions) -> Option<&str> {
    route::template(extensions).map(route::Template::as_str)
}

#[cfg(feature = "axum")]
mod route {
    pub(super) use axum::extract::MatchedPath as Template;
    use http::Extensions;

    pub(super) fn template(extensions: &Extensions) -> Option<&Template> {
        extensions.get()
    }
}

#[cfg(not(feature = "axum"))]
mod route {
    use http::Extensions;

    /// Without axum there are none.
    #[derive(Debug, Clone)]
    pub(super) enum Template {}

    impl Template {
        pub(super) fn as_str(&self) -> &str {
            match *self {}
        }
    }

    pub(super) fn template(_extensions: &Extensions) -> Option<&Template> {
        None
    }
}
