//! The screen, mounted.

use std::error::Error;

use axum::Router;
use axum::extract::FromRequestParts;
use token_screen::{Screen, SignedIn};

use crate::surface::mount;

/// The pages on which people manage their tokens, at their base, for a host's router to take in with `merge`.
///
/// `sign_in` is the same as for [`management`](crate::management()), and may be the same function.
///
/// ```
/// # use std::convert::Infallible;
/// use axum::{Router, http::HeaderMap};
/// use token_core::Tokens;
/// use token_screen::{Screen, SignedIn};
///
/// async fn current_user(headers: HeaderMap) -> Result<Option<SignedIn>, Infallible> {
///     # let _ = headers;
///     Ok(None) // from the host's session
/// }
///
/// fn app(tokens: &Tokens) -> Router {
///     Router::new().merge(token_axum::screen(Screen::new(tokens, "/settings/tokens"), current_user))
/// }
/// ```
///
/// There is no default for who is signed in:
///
/// ```compile_fail,E0061
/// # fn app(screen: token_screen::Screen) -> axum::Router {
/// token_axum::screen(screen)
/// # }
/// ```
///
/// Merge it outside of [`TokenLayer`](crate::TokenLayer), which would turn away people who come with a session and not with a token.
///
/// # Panics
/// If the base is not a path of fixed text, such as `/settings/tokens`.
pub fn screen<S, X, F, Answer, E>(screen: Screen, sign_in: F) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    X: FromRequestParts<S> + Send + 'static,
    F: Fn(X) -> Answer + Clone + Send + Sync + 'static,
    Answer: Future<Output = Result<Option<SignedIn>, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    mount(screen, sign_in)
}
