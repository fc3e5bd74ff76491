//! Token management for programs, mounted.

use std::error::Error;

use actix_web::FromRequest;
use actix_web::web::ServiceConfig;
use token_screen::{Management, SignedIn};

use crate::surface::mount;

/// Token management at its base, for `App::configure` to take in.
///
/// `sign_in` is the host's own: it says who sent a request. It asks for what it needs by one extractor (a tuple is one too), which
/// may use the app's data. `Ok(None)` is nobody. An error is logged and denies the request with 503: a session store
/// that is down makes nobody of no one. An error of the extractor is answered as it is.
/// Neither is asked where the answer does not depend on who is signed in: for programs, proxies and reporters of leaks.
///
/// ```
/// # use std::convert::Infallible;
/// use actix_web::{App, HttpRequest};
/// use token_actix::management;
/// use token_core::Tokens;
/// use token_screen::{Management, SignedIn};
///
/// async fn current_user(request: HttpRequest) -> Result<Option<SignedIn>, Infallible> {
///     # let _ = request;
///     Ok(None) // from the host's session
/// }
///
/// # fn serve(tokens: &Tokens) {
/// let manage = Management::new(tokens, "/api/tokens").origin("https://example.org");
/// let app = move || App::new().configure(management(manage.clone(), current_user));
/// # let _ = app; }
/// ```
///
/// There is no default for who is signed in:
///
/// ```compile_fail,E0061
/// # fn app(manage: token_screen::Management) {
/// let app = actix_web::App::new().configure(token_actix::management(manage));
/// # }
/// ```
///
/// It takes every method and every path at and below the base. Configure it on the `App`, since the base is the whole of its path, and
/// before the services that would take everything; outside of [`TokenLayer`](crate::TokenLayer), which would turn away people who come
/// with a session and not with a token:
/// `App::new().configure(management(..)).service(web::scope("").wrap(layer).route(..))`.
///
/// As behind [`TokenLayer`](crate::TokenLayer), no middleware further out may keep a clone of the request.
///
/// # Panics
/// If the base is not a path of fixed text, such as `/api/tokens`.
pub fn management<X, F, Answer, E>(management: Management, sign_in: F) -> impl FnOnce(&mut ServiceConfig)
where
    X: FromRequest + 'static,
    F: Fn(X) -> Answer + Clone + 'static,
    Answer: Future<Output = Result<Option<SignedIn>, E>> + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    mount(management, sign_in)
}
