//! The screen, mounted.

use std::error::Error;

use actix_web::FromRequest;
use actix_web::web::ServiceConfig;
use token_screen::{Screen, SignedIn};

use crate::surface::mount;

/// The pages on which people manage their tokens, at their base, for `App::configure` to take in.
///
/// `sign_in` is the same as for [`management`](crate::management()), and may be the same function.
///
/// ```
/// # use std::convert::Infallible;
/// use actix_web::{App, HttpRequest};
/// use token_core::Tokens;
/// use token_screen::{Screen, SignedIn};
///
/// async fn current_user(request: HttpRequest) -> Result<Option<SignedIn>, Infallible> {
///     # let _ = request;
///     Ok(None) // from the host's session
/// }
///
/// # fn serve(tokens: &Tokens) {
/// let screen = Screen::new(tokens, "/settings/tokens");
/// let app = move || App::new().configure(token_actix::screen(screen.clone(), current_user));
/// # let _ = app; }
/// ```
///
/// There is no default for who is signed in:
///
/// ```compile_fail,E0061
/// # fn app(screen: token_screen::Screen) {
/// let app = actix_web::App::new().configure(token_actix::screen(screen));
/// # }
/// ```
///
/// Configure it as [`management`](crate::management()): on the `App`, and outside of [`TokenLayer`](crate::TokenLayer) and of
/// whatever keeps a clone of the request.
///
/// # Panics
/// If the base is not a path of fixed text, such as `/settings/tokens`.
pub fn screen<X, F, Answer, E>(screen: Screen, sign_in: F) -> impl FnOnce(&mut ServiceConfig)
where
    X: FromRequest + 'static,
    F: Fn(X) -> Answer + Clone + 'static,
    Answer: Future<Output = Result<Option<SignedIn>, E>> + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    mount(screen, sign_in)
}
