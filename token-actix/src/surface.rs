//! What `token-screen` answers, mounted: requests and responses between actix-web and it. It has every rule; here is none.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::{Payload, ServiceRequest, ServiceResponse, fn_service};
use actix_web::error::PayloadError;
use actix_web::guard::fn_guard;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, HttpMessage, HttpResponse};
use futures_core::Stream as _;
use token_screen::{Request, SignedIn, Surface};

use crate::address::caller;
use crate::layer::{Passed, hide_credentials};
use crate::rejection::write;

/// A scope that takes every method and every path at and below the base.
pub(crate) fn mount<M, X, F, Answer, E>(surface: M, sign_in: F) -> impl FnOnce(&mut ServiceConfig)
where
    M: Surface,
    X: FromRequest + 'static,
    F: Fn(X) -> Answer + Clone + 'static,
    Answer: Future<Output = Result<Option<SignedIn>, E>> + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let base = surface.mounted_at().to_owned();
    let at = base.clone();
    // The router compares what is decoded: what is written otherwise is not the base.
    let as_sent = fn_guard(move |context| {
        let path = context.head().uri.path();
        path.strip_prefix(&*at).is_some_and(|below| below.is_empty() || below.starts_with('/'))
    });
    let surface = Arc::new(surface);
    let all = fn_service(move |request: ServiceRequest| {
        let (surface, sign_in) = (Arc::clone(&surface), sign_in.clone());
        async move { Ok(handle(&*surface, sign_in, request).await) }
    });
    move |config| {
        config.service(web::scope(&base).guard(as_sent).default_service(all));
    }
}

async fn handle<M, X, F, Answer, E>(surface: &M, sign_in: F, mut request: ServiceRequest) -> ServiceResponse
where
    M: Surface,
    X: FromRequest,
    F: Fn(X) -> Answer,
    Answer: Future<Output = Result<Option<SignedIn>, E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    // Before the host's code sees them, which may print them.
    hide_credentials(request.headers_mut());
    let mut visitor = None;
    if surface.wants_visitor(request.method().as_str(), surface.below(request.uri().path())) {
        // The body is not the host's to read: an extractor that asks for it gets an empty one.
        let x = match X::from_request(request.request(), &mut Payload::None).await {
            Ok(x) => x,
            Err(error) => return request.error_response(error),
        };
        visitor = match sign_in(x).await {
            Ok(visitor) => visitor,
            Err(error) => return request.into_response(written(surface.nobody_known(&*error.into()))),
        };
    }
    let response = match read(surface, &mut request).await {
        Ok(read) => written(surface.answer(read, visitor).await),
        // Whoever sent it is gone, or never meant HTTP.
        Err(_broken) => HttpResponse::BadRequest().finish(),
    };
    request.into_response(response)
}

async fn read(surface: &impl Surface, request: &mut ServiceRequest) -> Result<Request, PayloadError> {
    if request.extensions().get::<Passed>().is_some() {
        tracing::warn!(
            "token management is behind a TokenLayer, which turns away people who come with a session and not with a token; \
             put it outside: App::new().configure(management(..)).service(web::scope(\"\").wrap(layer).route(..))"
        );
    }
    let body = read_body(request.take_payload()).await?;
    let header = |(name, value): (&HeaderName, &HeaderValue)| (name.as_str().to_owned(), value.as_bytes().to_owned());
    Ok(Request {
        method: request.method().as_str().to_owned(),
        path: surface.below(request.uri().path()).to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        headers: request.headers().iter().map(header).collect(),
        body,
        caller: caller(request, None),
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
