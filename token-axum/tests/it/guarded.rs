//! A host's test of its routes.

use axum::Router;
use axum::routing::get;
use token_axum::{AnyToken, TokenLayer, assert_guarded};

use crate::service::Service;

fn guarded(service: &Service) -> Router {
    Router::new()
        .route("/projects", get(async || "in"))
        .route("/projects/{id}", get(async |_: AnyToken| "in"))
        .route_layer(TokenLayer::required(&service.tokens))
        .merge(Router::new().route("/me", get(async |_: AnyToken| "in")).layer(TokenLayer::optional(&service.tokens)))
}

const ROUTES: [&str; 4] = ["GET /projects", "POST /projects", "GET /projects/1?deep=1", "GET /me"];

#[tokio::test]
async fn routes_behind_a_layer_are_guarded() {
    let service = Service::start().await;
    assert_guarded(guarded(&service), ROUTES).await;
}

async fn says(app: Router, route: &'static str) -> String {
    let failed = tokio::spawn(async move { assert_guarded(app, ["GET /projects", route]).await }).await.unwrap_err();
    *failed.into_panic().downcast::<String>().unwrap()
}

#[tokio::test]
async fn a_route_that_answers_anyone_is_named() {
    let service = Service::start().await;
    let open = |router: Router| {
        router.route("/open", get(async || "in")).route("/own", get(async || axum::http::StatusCode::UNAUTHORIZED))
    };
    for (route, status) in [("GET /open", 200), ("GET /none", 404), ("GET /own", 401), ("POST /open", 405)] {
        let says = says(open(guarded(&service)), route).await;
        assert!(says.contains(&format!("{route} answered {status}")) && !says.contains("/projects"), "{says}");
    }
    let uncovered = Router::new().route("/late", get(async |_: AnyToken| "in"));
    assert!(says(guarded(&service).merge(uncovered), "GET /late").await.contains("GET /late answered 500"));
}

#[tokio::test]
async fn a_route_that_is_none_is_said_to_be_none() {
    let service = Service::start().await;
    for route in ["GET /projects/<id>", "GET /projects#1", "GET /projects/{id}"] {
        let says = says(guarded(&service), route).await;
        assert!(says.contains("is no route to ask for") && says.contains(route), "{says}");
    }
}
