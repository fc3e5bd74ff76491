//! Token management, mounted: requests and responses between actix-web and `token-screen`, which has every rule of it.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;

use actix_web::dev::{Payload, ServiceRequest, ServiceResponse, fn_service};
use actix_web::error::PayloadError;
use actix_web::guard::fn_guard;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, HttpMessage, HttpResponse};
use futures_core::Stream as _;
use token_screen::{Management, Request, SignedIn};

use crate::address::caller;
use crate::layer::{Passed, hide_credentials};
use crate::rejection::write;

/// Token management at its base, for `App::configure` to take in.
///
/// `sign_in` is the host's own: it says who sent a request. It asks for what it needs by one extractor (a tuple is one too), which
/// may use the app's data. `Ok(None)` is nobody. An error is logged and denies the request with 503: a session store
/// that is down makes nobody of no one. An error of the extractor is answered as it is.
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
/// # Panics
/// If the base is not a path of fixed text, such as `/api/tokens`.
pub fn management<X, F, Answer, E>(management: Management, sign_in: F) -> impl FnOnce(&mut ServiceConfig)
where
    X: FromRequest + 'static,
    F: Fn(X) -> Answer + Clone + 'static,
    Answer: Future<Output = Result<Option<SignedIn>, E>> + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let base = management.base().to_owned();
    let fixed = base.starts_with('/') && !base.ends_with('/') && !base.contains(['{', '}', '*']);
    assert!(fixed, "token management needs a path of fixed text to be mounted at, such as /api/tokens");
    let at = base.clone();
    // The router compares what is decoded: what is written otherwise is not the base.
    let as_sent = fn_guard(move |context| {
        let path = context.head().uri.path();
        path.strip_prefix(&*at).is_some_and(|below| below.is_empty() || below.starts_with('/'))
    });
    let mount = fn_service(move |request: ServiceRequest| {
        let (management, sign_in) = (management.clone(), sign_in.clone());
        async move { Ok(handle(management, sign_in, request).await) }
    });
    move |config| {
        config.service(web::scope(&base).guard(as_sent).default_service(mount));
    }
}

async fn handle<X, F, Answer, E>(management: Management, sign_in: F, mut request: ServiceRequest) -> ServiceResponse
where
    X: FromRequest,
    F: Fn(X) -> Answer,
    Answer: Future<Output = Result<Option<SignedIn>, E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    // Before the host's code sees them, which may print them.
    hide_credentials(request.headers_mut());
    // The body is not the host's to read: an extractor that asks for it gets an empty one.
    let x = match X::from_request(request.request(), &mut Payload::None).await {
        Ok(x) => x,
        Err(error) => return request.error_response(error),
    };
    let visitor = match sign_in(x).await {
        Ok(visitor) => visitor,
        Err(error) => {
            let error: Box<dyn Error + Send + Sync> = error.into();
            tracing::error!(%error, "who is signed in can't be known, so a request to manage tokens is denied");
            return request.into_response(written(token_screen::Response::unavailable()));
        }
    };
    let response = match read(management.base(), &mut request).await {
        Ok(read) => written(management.handle(read, visitor).await),
        // Whoever sent it is gone, or never meant HTTP.
        Err(_broken) => HttpResponse::BadRequest().finish(),
    };
    request.into_response(response)
}

async fn read(base: &str, request: &mut ServiceRequest) -> Result<Request, PayloadError> {
    if request.extensions().get::<Passed>().is_some() {
        tracing::warn!(
            "token management is behind a TokenLayer, which turns away people who come with a session and not with a token; \
             put it outside: App::new().configure(management(..)).service(web::scope(\"\").wrap(layer).route(..))"
        );
    }
    let body = read_body(request.take_payload()).await?;
    let path = request.uri().path();
    let below = match path.strip_prefix(base).unwrap_or(path) {
        "" => "/",
        below => below,
    };
    let header = |(name, value): (&HeaderName, &HeaderValue)| (name.as_str().to_owned(), value.as_bytes().to_owned());
    Ok(Request {
        method: request.method().as_str().to_owned(),
        path: below.to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        headers: request.headers().iter().map(header).collect(),
        body,
        caller: caller(&request.extensions(), request.peer_addr()),
    })
}

/// One byte more than the longest body at most, by which it is known to be too long.
async fn read_body(mut body: Payload) -> Result<Vec<u8>, PayloadError> {
    let mut bytes = Vec::new();
    while let Some(data) = poll_fn(|context| Pin::new(&mut body).poll_next(context)).await {
        let data = data?;
        let room = Request::BODY_MAX + 1 - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if bytes.len() > Request::BODY_MAX {
            break;
        }
    }
    Ok(bytes)
}

fn written(response: token_screen::Response) -> HttpResponse {
    write(response.status, response.headers, response.body)
}
