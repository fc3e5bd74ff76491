//! A test for hosts: which routes answer whoever asks.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{App, Error};
use token_core::Unguarded;

use crate::rejection::{refusal_of, refusal_of_error};

/// Asks each of these routes without a credential, and panics unless every one refuses with the 401 of a [`TokenLayer`](crate::TokenLayer)
/// or of an extractor. For a host's own tests: a route that was added outside of the layer fails here, and not in production.
///
/// A route is a method and a path, `"GET /projects/1"`. Nothing is said of routes that are not listed.
///
/// ```
/// use actix_web::{App, web};
/// use token_actix::{TokenLayer, assert_guarded};
/// # use token_core::{Keyring, MemoryStore, Tokens};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> { actix_web::rt::System::new().block_on(async {
/// # let keyring = Keyring::parse(&Keyring::generate("k1")?)?;
/// # let (tokens, _background) = Tokens::builder(MemoryStore::new()).prefix("acme").keyring(keyring).build().await?;
/// let app = App::new().wrap(TokenLayer::required(&tokens)).route("/projects", web::get().to(async || "in"));
/// assert_guarded(app, ["GET /projects", "POST /projects"]).await;
/// # Ok(()) }) }
/// ```
///
/// # Panics
/// With a list of all routes that answered, and how; or if a route is not written as a method and a path.
pub async fn assert_guarded<T, B>(app: App<T>, routes: impl IntoIterator<Item = impl AsRef<str>>)
where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<B>, Error = Error, InitError = ()>
        + 'static,
    T::Future: 'static,
    B: MessageBody,
{
    let app = init_service(app).await;
    let mut unguarded = Unguarded::default();
    for route in routes {
        let (method, path) = Unguarded::read(route.as_ref());
        let method = match Method::from_bytes(method.as_bytes()) {
            Ok(method) => method,
            Err(error) => {
                unguarded.note_error(route.as_ref(), &error);
                continue;
            }
        };
        // Panics over a path that it can't read.
        let request = TestRequest::with_uri(path).method(method).to_request();
        match try_call_service(&app, request).await {
            Ok(done) => unguarded.note(route.as_ref(), done.status().as_u16(), refusal_of(done.response()).is_some()),
            Err(error) => {
                let status = error.as_response_error().status_code().as_u16();
                unguarded.note(route.as_ref(), status, refusal_of_error(&error).is_some());
            }
        }
    }
    unguarded.assert_none();
}
