//! Token management for programs, mounted.

use std::error::Error;

use axum::Router;
use axum::extract::FromRequestParts;
use token_screen::{Management, SignedIn};

use crate::surface::mount;

/// Token management at its base, for a host's router to take in with `merge`.
///
/// `sign_in` is the host's own: it says who sent a request. It asks for what it needs by one extractor (a tuple is one too), which
/// may use the router's state. `Ok(None)` is nobody. An error is logged and denies the request with 503: a session store
/// that is down makes nobody of no one. A rejection of the extractor is answered as it is.
/// Neither is asked where the answer does not depend on who is signed in: for programs, proxies and reporters of leaks.
///
/// ```
/// # use std::convert::Infallible;
/// use axum::{Router, http::HeaderMap};
/// use token_axum::management;
/// use token_core::Tokens;
/// use token_screen::{Management, SignedIn};
///
/// async fn current_user(headers: HeaderMap) -> Result<Option<SignedIn>, Infallible> {
///     # let _ = headers;
///     Ok(None) // from the host's session
/// }
///
/// fn app(tokens: &Tokens) -> Router {
///     let manage = Management::new(tokens, "/api/tokens").origin("https://example.org");
///     Router::new().merge(management(manage, current_user))
/// }
/// ```
///
/// There is no default for who is signed in:
///
/// ```compile_fail,E0061
/// # fn app(manage: token_screen::Management) -> axum::Router {
/// token_axum::management(manage)
/// # }
/// ```
///
/// It takes every method and every path at and below the base. Merge it outside of [`TokenLayer`](crate::TokenLayer), which
/// would turn away people who come with a session and not with a token:
/// `Router::new().merge(management(..)).merge(protected)`, where `protected` is the router that has the layer.
///
/// # Panics
/// If the base is not a path of fixed text, such as `/api/tokens`.
pub fn management<S, X, F, Answer, E>(management: Management, sign_in: F) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    X: FromRequestParts<S> + Send + 'static,
    F: Fn(X) -> Answer + Clone + Send + Sync + 'static,
    Answer: Future<Output = Result<Option<SignedIn>, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    mount(management, sign_in)
}
