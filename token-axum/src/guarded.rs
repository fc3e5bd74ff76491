//! A test for hosts: which routes answer whoever asks.

use axum_core::body::Body;
use http::{Request, Response};
use token_core::Unguarded;
use tower_service::Service;

use crate::rejection::refusal_of;

/// Asks each of these routes without a credential, and panics unless every one refuses with the 401 of a [`TokenLayer`](crate::TokenLayer)
/// or of an extractor. For a host's own tests: a route that was added outside of the layer fails here, and not in production.
///
/// A route is a method and a path, `"GET /projects/1"`. Nothing is said of routes that are not listed.
///
/// ```
/// use axum::{Router, routing::get};
/// use token_axum::{TokenLayer, assert_guarded};
/// # use token_core::{Keyring, MemoryStore, Tokens};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let keyring = Keyring::parse(&Keyring::generate("k1")?)?;
/// # let (tokens, _background) = Tokens::builder(MemoryStore::new()).prefix("acme").keyring(keyring).build().await?;
/// let app = Router::new().route("/projects", get(async || "in")).layer(TokenLayer::required(&tokens));
/// assert_guarded(app, ["GET /projects", "POST /projects"]).await;
/// # Ok(()) }
/// ```
///
/// # Panics
/// With a list of all routes that answered, and how; or if a route is not written as a method and a path.
pub async fn assert_guarded<S, R>(mut app: S, routes: impl IntoIterator<Item = impl AsRef<str>>)
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: std::fmt::Debug,
{
    let mut unguarded = Unguarded::default();
    for route in routes {
        let (method, path) = Unguarded::read(route.as_ref());
        let request = match Request::builder().method(method).uri(path).body(Body::empty()) {
            Ok(request) => request,
            Err(error) => {
                unguarded.note_error(route.as_ref(), &error);
                continue;
            }
        };
        let ready = std::future::poll_fn(|context| app.poll_ready(context)).await;
        let answered = match ready {
            Ok(()) => app.call(request).await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(response) => {
                unguarded.note(route.as_ref(), response.status().as_u16(), refusal_of(response.extensions()).is_some())
            }
            Err(error) => unguarded.note_error(route.as_ref(), &error),
        }
    }
    unguarded.assert_none();
}
