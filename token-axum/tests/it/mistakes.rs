//! What a host gets wrong is said in its log, with what to do about it.

use ::tower::ServiceExt;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use token_axum::{AnyToken, TokenLayer};

use crate::log::Listening;
use crate::service::{Service, text};

/// What is logged at level WARN and above while `app` answers a request.
async fn logged(app: Router, path: &str, text: &str) -> String {
    let log = Listening::to(tracing::Level::WARN);
    let request = Request::builder().uri(path).header("Authorization", format!("Bearer {text}"));
    app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    log.text()
}

#[tokio::test]
async fn a_layer_that_comes_before_the_routes() {
    let service = Service::start().await;
    let app = Router::new()
        .layer(TokenLayer::required(&service.tokens))
        .route("/project/{id}", get(async |_: AnyToken| "in"));
    let log = logged(app, "/project/canary", "canary").await;
    let says =
        ["ERROR", "Router::new().route(..).route_layer(TokenLayer::required(&tokens))", "/project/{id}", "AnyToken"];
    for part in says {
        assert!(log.contains(part), "{log}");
    }
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test]
async fn a_server_that_keeps_no_client_address() {
    let service = Service::start().await;
    let here = service.mint_for_networks(&["127.0.0.0/8"]).await;
    let app = Router::new().route("/", get(async || "in")).layer(TokenLayer::required(&service.tokens));
    let log = logged(app.clone(), "/", text(&here)).await;
    for part in ["WARN", "into_make_service_with_connect_info::<SocketAddr>()", "TokenLayer::behind", "ClientAddress"] {
        assert!(log.contains(part), "{log}");
    }
    assert!(!log.contains(text(&here)), "{log}");
    // Every such request would say the same.
    assert_eq!(logged(app, "/", text(&here)).await, "");
}

#[cfg(feature = "screen")]
#[tokio::test]
async fn a_proxy_that_nobody_trusts() {
    let service = Service::start().await;
    let here = service.mint_for_networks(&["127.0.0.0/8"]).await;
    let app = crate::host::mount(&service.tokens);
    let log = logged(app.clone(), "/api/tokens/forward-auth/projects:read", text(&here)).await;
    for part in ["WARN", "Management::trusted_proxies"] {
        assert!(log.contains(part), "{log}");
    }
    assert_eq!(logged(app, "/api/tokens/forward-auth/projects:read", text(&here)).await, "");
}

/// Some of these axum would take, and make something else of.
#[cfg(feature = "screen")]
#[tokio::test]
async fn a_base_that_is_no_fixed_path() {
    let service = Service::start().await;
    for base in ["", "/", "api", "/api/", "/{id}/tokens", "/api/*", "/api/{*rest}"] {
        let management = token_screen::Management::new(&service.tokens, base);
        let mounted = tokio::spawn(async move {
            let nobody = async |_: axum::http::HeaderMap| Ok::<_, std::convert::Infallible>(None);
            drop::<Router>(token_axum::management(management, nobody));
        });
        let says = mounted.await.unwrap_err().into_panic().downcast::<&str>().unwrap();
        assert!(says.contains("a path of fixed text"), "{base:?} {says}");
    }
}

#[cfg(feature = "screen")]
#[tokio::test]
async fn token_management_behind_a_layer() {
    let service = Service::start().await;
    let minted = service.mint(token_core::Grants::default()).await;
    let app = crate::host::mount(&service.tokens).layer(TokenLayer::required(&service.tokens));
    let log = logged(app, "/api/tokens/tokens", text(&minted)).await;
    for part in ["WARN", "Router::new().merge(management(..)).merge(protected)"] {
        assert!(log.contains(part), "{log}");
    }
    assert!(!log.contains(text(&minted)), "{log}");
}
