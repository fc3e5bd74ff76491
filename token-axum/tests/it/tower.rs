//! The layer on services that know nothing of axum.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use ::tower::{Layer, Service as _, ServiceExt, service_fn};
use axum::extract::FromRequestParts;
use axum::http::{Request, Response};
use axum::response::IntoResponse;
use token_axum::{AnyToken, Authorized, ClientAddress, TokenLayer};
use token_core::Reason;

use crate::service::{ProjectsRead, ProjectsWrite, Service, all, text};

/// Neither `Send` nor of any use: the layer leaves bodies alone.
struct Upload(std::rc::Rc<str>);

fn request(text: &str) -> Request<Upload> {
    let request = Request::builder().uri("/upload").header("Authorization", format!("Bearer {text}"));
    request.body(Upload("content".into())).unwrap()
}

#[tokio::test]
async fn any_tower_service_can_be_protected() {
    let service = Service::start().await;
    let reader = service.mint(all("projects:read")).await;
    let other = service.mint(all("billing:read")).await;
    let inner = service_fn(async |request: Request<Upload>| {
        let token = AnyToken::of(request.extensions()).expect("a token behind a required layer");
        Ok::<_, Infallible>(Response::new(format!("{} of {}", request.body().0, token.owner())))
    });
    let app = TokenLayer::required(&service.tokens).require::<ProjectsRead>().layer(inner);

    let answer = app.clone().oneshot(request(text(&reader))).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().as_str()), (200, "content of ada"));
    assert_eq!(service.uses(&reader.token).await, 1);
    assert_eq!(app.clone().oneshot(request(text(&other))).await.unwrap().status(), 403);
    let refused = app.oneshot(request("x")).await.unwrap();
    assert_eq!(refused.status(), 401);
    assert!(refused.body().contains("invalid_token"));
    assert_eq!(refused.headers()["www-authenticate"], r#"Bearer realm="api", error="invalid_token""#);
}

#[tokio::test]
async fn an_anonymous_request_has_no_token() {
    let service = Service::start().await;
    let inner = service_fn(async |request: Request<()>| {
        Ok::<_, Infallible>(Response::new(AnyToken::of(request.extensions()).is_some().to_string()))
    });
    let app = TokenLayer::optional(&service.tokens).layer(inner);
    assert_eq!(app.oneshot(Request::new(())).await.unwrap().body(), "false");
}

/// A host that trusts its proxy says so itself, and its word wins.
#[tokio::test]
async fn the_host_can_name_the_client_address() {
    let service = Service::start().await;
    let office = service.mint_for_networks(&["198.51.100.0/24"]).await;
    let inner = service_fn(async |_: Request<Upload>| Ok::<_, Infallible>(Response::new(String::new())));
    let app = TokenLayer::required(&service.tokens).layer(inner);
    for (named, socket, status) in [
        (Some("198.51.100.7"), None, 200),
        (Some("198.51.100.7"), Some("203.0.113.1"), 200),
        (Some("::ffff:198.51.100.7"), None, 200),
        (Some("203.0.113.1"), Some("198.51.100.7"), 401),
        (None, Some("198.51.100.7"), 200),
        (None, Some("203.0.113.1"), 401),
        (None, None, 401),
    ] {
        let mut request = request(text(&office));
        if let Some(named) = named {
            request.extensions_mut().insert(ClientAddress(named.parse().unwrap()));
        }
        if let Some(socket) = socket {
            let socket = std::net::SocketAddr::new(socket.parse::<IpAddr>().unwrap(), 50_000);
            request.extensions_mut().insert(axum::extract::ConnectInfo(socket));
        }
        let answer = app.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{named:?} {socket:?}");
    }
}

#[tokio::test]
async fn a_token_for_some_networks_is_refused_where_the_address_is_not_known() {
    let service = Service::start().await;
    let here = service.mint_for_networks(&["127.0.0.0/8"]).await;
    let anywhere = service.mint(all("projects:read")).await;
    let inner = service_fn(async |_: Request<Upload>| Ok::<_, Infallible>(Response::new(String::new())));
    let app = TokenLayer::required(&service.tokens).layer(inner);
    assert_eq!(app.clone().oneshot(request(text(&here))).await.unwrap().status(), 401);
    assert_eq!(app.oneshot(request(text(&anywhere))).await.unwrap().status(), 200);
    let refusals = service.usage(&here.token).await.refusals;
    assert_eq!(refusals.iter().map(|refusal| refusal.reason).collect::<Vec<_>>(), [Reason::AddressUnknown]);
}

/// A token means something to the service that verified it, and nothing to another.
#[tokio::test]
async fn layers_of_two_services_verify_each_for_itself() {
    let one = Service::start().await;
    let two = Service::start().await;
    let minted = one.mint(all("projects:read")).await;
    let inner = service_fn(async |_: Request<Upload>| Ok::<_, Infallible>(Response::new(String::new())));
    let app = TokenLayer::required(&one.tokens).layer(TokenLayer::required(&two.tokens).layer(inner));
    assert_eq!(app.oneshot(request(text(&minted))).await.unwrap().status(), 401);
    assert_eq!(one.uses(&minted.token).await, 1, "what the other refuses was let through by this one");
}

/// A cache behind the layer, say.
#[tokio::test]
async fn a_refusal_that_is_kept_and_sent_again_takes_back_one_use() {
    let service = Service::start().await;
    let reader = service.mint(all("projects:read")).await;
    let kept = Arc::new(std::sync::OnceLock::new());
    let inner = service_fn(move |request: Request<Upload>| {
        let kept = Arc::clone(&kept);
        async move {
            let (mut parts, _) = request.into_parts();
            let rejection = Authorized::<ProjectsWrite>::from_request_parts(&mut parts, &()).await.unwrap_err();
            let parts = kept.get_or_init(|| rejection.into_response().into_parts().0);
            Ok::<_, Infallible>(Response::from_parts(parts.clone(), String::new()))
        }
    });
    let app = TokenLayer::required(&service.tokens).layer(inner);
    for _ in 0..3 {
        assert_eq!(app.clone().oneshot(request(text(&reader))).await.unwrap().status(), 403);
    }
    assert_eq!(service.uses(&reader.token).await, 2);
}

/// Must be polled ready before every call, as tower says; a clone of it is not ready.
struct Strict {
    ready: bool,
    calls: Arc<AtomicU32>,
}

impl Clone for Strict {
    fn clone(&self) -> Strict {
        Strict { ready: false, calls: self.calls.clone() }
    }
}

impl ::tower::Service<Request<Upload>> for Strict {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<Upload>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being ready");
        self.calls.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Response::new(String::new())))
    }
}

#[tokio::test]
async fn the_service_that_was_polled_ready_is_the_one_that_is_called() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let calls = Arc::new(AtomicU32::new(0));
    let layer = TokenLayer::required(&service.tokens).except(["/open"]);
    let mut app = layer.layer(Strict { ready: false, calls: calls.clone() });
    for _ in 0..2 {
        app.ready().await.unwrap().call(request(text(&minted))).await.unwrap();
        let mut open = request("x");
        *open.uri_mut() = "/open".parse().unwrap();
        app.ready().await.unwrap().call(open).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}
