//! The service on axum: one route of each kind.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use token_axum::{AnyToken, Authorized, Limited, Rejection, TokenLayer};
use token_core::{Tokens, TrustedProxies};

use crate::service::{ProjectsRead, ProjectsWrite, Undeclared};

/// On a socket, with the client's address known.
pub(crate) async fn serve(tokens: &Tokens) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app(tokens).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

pub(crate) fn app(tokens: &Tokens) -> Router {
    let writers = Router::new()
        .route("/writers/any", get(async |_: AnyToken| "in"))
        .route("/writers/plain", get(async || "in"))
        .layer(TokenLayer::required(tokens).require::<ProjectsWrite>());
    let open = Router::new()
        .route("/open", get(welcome))
        .route("/open/any", get(async |_: AnyToken| "in"))
        .route("/open/read", get(async |_: Authorized<ProjectsRead>| "in"))
        .route("/open/maybe-read", get(async |token: Option<Authorized<ProjectsRead>>| format!("{}", token.is_some())))
        .layer(TokenLayer::optional(tokens));
    let open_to_readers = Router::new()
        .route("/open-to-readers", get(async || "in"))
        .layer(TokenLayer::optional(tokens).require::<ProjectsRead>());
    let twice = Router::new()
        .route("/twice", get(async |_: AnyToken| "in"))
        .route_layer(TokenLayer::required(tokens).require::<ProjectsWrite>());
    let twice_read = Router::new()
        .route("/twice/read", get(async |_: Authorized<ProjectsRead>| "in"))
        .route_layer(TokenLayer::required(tokens));
    let behind = |path, proxy| {
        let proxies = TrustedProxies::parse([proxy]).unwrap();
        Router::new().route(path, get(async || "in")).layer(TokenLayer::required(tokens).behind(proxies))
    };
    let uncovered = Router::new()
        .layer(TokenLayer::required(tokens))
        .route("/uncovered", get(async |_: AnyToken| "in"))
        .route("/uncovered/maybe", get(async |_: Option<AnyToken>| "in"))
        .route("/uncovered/read", get(async |_: Authorized<ProjectsRead>| "in"));
    let app = Router::new()
        .route("/any", get(async |token: AnyToken| format!("{} of {}", token.name(), token.owner())))
        .route("/projects", get(async |token: Authorized<ProjectsRead>| format!("projects of {}", token.owner())))
        .route("/projects", post(async |_: Authorized<ProjectsWrite>| "created"))
        .route("/project/{id}", get(show_project))
        .route("/reach", get(async |token: Limited<ProjectsRead>| format!("{:?}", token.resources())))
        .route("/undeclared", get(async |_: Authorized<Undeclared>| "in"))
        .route("/headers", get(async |headers: HeaderMap| format!("{headers:?}")))
        .route("/healthz", get(async || "ok"))
        .route("/healthz/token", get(async |_: AnyToken| "in"))
        .route("/healthz/headers", get(async |headers: HeaderMap| format!("{headers:?}")))
        .merge(twice)
        .merge(twice_read)
        .layer(TokenLayer::required(tokens).except(["/healthz", "/healthz/headers", "/healthz/token"]))
        .merge(writers)
        .merge(open)
        .merge(open_to_readers)
        .merge(behind("/proxied", "127.0.0.0/8"))
        .merge(behind("/proxied-elsewhere", "203.0.113.0/24"))
        .merge(uncovered);
    #[cfg(feature = "screen")]
    let app = mount(tokens).merge(app);
    app
}

async fn welcome(token: Option<AnyToken>) -> String {
    token.map_or_else(|| "welcome, stranger".to_owned(), |token| format!("welcome, {}", token.owner()))
}

async fn show_project(token: Limited<ProjectsRead>, Path(id): Path<String>) -> Result<String, Rejection> {
    token.check(&id)?;
    Ok(format!("project {id}"))
}

/// People are signed in by a header of theirs here, which stands for the cookie of a host.
#[cfg(feature = "screen")]
pub(crate) fn mount(tokens: &Tokens) -> Router {
    let clock = tokens.clone();
    let sign_in = move |headers: HeaderMap| {
        let signed_in = crate::management::signed_in(headers.get("x-user").map(|value| value.as_bytes()), clock.now());
        async move { signed_in }
    };
    token_axum::management(crate::management::management(tokens), sign_in)
}
