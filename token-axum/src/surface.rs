//! What `token-screen` answers, mounted: requests and responses between axum and it. It has every rule; here is none.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::routing::any;
use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use token_screen::{Request, SignedIn, Surface};

use crate::address::caller;
use crate::layer::Passed;
use crate::lines::hide_credentials;

/// A router that takes every method and every path at and below the base.
pub(crate) fn mount<M, S, X, F, Answer, E>(surface: M, sign_in: F) -> Router<S>
where
    M: Surface,
    S: Clone + Send + Sync + 'static,
    X: FromRequestParts<S> + Send + 'static,
    F: Fn(X) -> Answer + Clone + Send + Sync + 'static,
    Answer: Future<Output = Result<Option<SignedIn>, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let base = surface.mounted_at().to_owned();
    let surface = Arc::new(surface);
    let all = any(async move |State(state): State<S>, request: http::Request<Body>| {
        let (mut parts, body) = request.into_parts();
        // Before the host's code sees them, which may print them.
        hide_credentials(&mut parts.headers);
        let mut visitor = None;
        if surface.wants_visitor(parts.method.as_str(), surface.below(parts.uri.path())) {
            let x = match X::from_request_parts(&mut parts, &state).await {
                Ok(x) => x,
                Err(rejection) => return rejection.into_response(),
            };
            visitor = match sign_in(x).await {
                Ok(visitor) => visitor,
                Err(error) => return write(surface.nobody_known(&*error.into())),
            };
        }
        match read(&*surface, parts, body).await {
            Ok(request) => write(surface.answer(request, visitor).await),
            // Whoever sent it is gone, or never meant HTTP.
            Err(_broken) => StatusCode::BAD_REQUEST.into_response(),
        }
    });
    Router::new()
        .route(&base, all.clone())
        .route(&format!("{base}/"), all.clone())
        .route(&format!("{base}/{{*below}}"), all)
}

async fn read(surface: &impl Surface, parts: Parts, body: Body) -> Result<Request, axum_core::Error> {
    if parts.extensions.get::<Passed>().is_some() {
        tracing::warn!(
            "token management is behind a TokenLayer, which turns away people who come with a session and not with a token; \
             put it outside: Router::new().merge(management(..)).merge(protected)"
        );
    }
    let header = |(name, value): (&HeaderName, &HeaderValue)| (name.as_str().to_owned(), value.as_bytes().to_owned());
    Ok(Request {
        method: parts.method.as_str().to_owned(),
        path: surface.below(parts.uri.path()).to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.iter().map(header).collect(),
        body: read_body(body).await?,
        caller: caller(&parts.extensions, None),
    })
}

/// One byte more than the longest body at most, by which it is known to be too long.
async fn read_body(mut body: Body) -> Result<Vec<u8>, axum_core::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = Request::BODY_MAX + 1 - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if bytes.len() > Request::BODY_MAX {
            break;
        }
    }
    Ok(bytes)
}

fn write(response: token_screen::Response) -> Response {
    let mut written = Response::new(Body::from(response.body));
    // `token-screen` writes nothing but statuses and headers that HTTP knows.
    *written.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            written.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::ClientAddress;

    struct Below;

    impl Surface for Below {
        fn base(&self) -> &str {
            "/api/tokens"
        }

        fn wants_visitor(&self, _method: &str, _path: &str) -> bool {
            true
        }

        fn unavailable(&self) -> token_screen::Response {
            token_screen::Response::unavailable()
        }

        async fn answer(&self, _request: Request, _visitor: Option<SignedIn>) -> token_screen::Response {
            self.unavailable()
        }
    }

    async fn read_one(request: http::request::Builder, body: Vec<u8>) -> Request {
        let (parts, body) = request.body(Body::from(body)).unwrap().into_parts();
        read(&Below, parts, body).await.unwrap()
    }

    #[tokio::test]
    async fn a_request_is_handed_over_as_it_came() {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let sent = http::Request::builder()
            .method("BREW")
            .uri("/api/tokens/tokens?a=%20b&a=&%ff")
            .header("Origin", "https://a.example")
            .header("X-Other", b"\xff".as_slice())
            .header("Origin", "https://b.example")
            .extension(ClientAddress(address));
        let read = read_one(sent, b"body".to_vec()).await;
        assert_eq!((read.method.as_str(), read.query.as_str()), ("BREW", "a=%20b&a=&%ff"));
        assert_eq!(read.path, "/tokens");
        assert_eq!((read.body.as_slice(), read.caller.address), (b"body".as_slice(), Some(address)));
        let line = |name: &str, value: &[u8]| (name.to_owned(), value.to_owned());
        let lines =
            [line("origin", b"https://a.example"), line("origin", b"https://b.example"), line("x-other", b"\xff")];
        assert_eq!(read.headers, lines);
    }

    #[tokio::test]
    async fn of_a_body_that_is_too_long_one_byte_more_is_read() {
        for (sent, read) in
            [(0, 0), (Request::BODY_MAX, Request::BODY_MAX), (Request::BODY_MAX + 1, Request::BODY_MAX + 1)]
        {
            let request = read_one(http::Request::post("/api/tokens"), vec![b'x'; sent]).await;
            assert_eq!(request.body.len(), read);
        }
        let request = read_one(http::Request::post("/api/tokens"), vec![b'x'; 10 * Request::BODY_MAX]).await;
        assert_eq!(request.body.len(), Request::BODY_MAX + 1);
    }
}
