//! Requests that end without a response: their tokens were used.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ::tower::{Service as _, ServiceExt};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use token_axum::{AnyToken, TokenLayer};

use crate::service::{Service, all, text};

fn request(path: &str, text: &str) -> Request<Body> {
    Request::builder().uri(path).header("Authorization", format!("Bearer {text}")).body(Body::empty()).unwrap()
}

/// A client that hangs up: the server drops the future of its request.
#[tokio::test]
async fn a_request_whose_client_went_away_was_a_use_once_it_was_let_through() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let mut app = Router::new()
        .route("/forever", get(async |_: AnyToken| std::future::pending::<()>().await))
        .layer(TokenLayer::required(&service.tokens));
    let mut context = Context::from_waker(Waker::noop());

    drop(app.call(request("/forever", text(&minted))));
    assert_eq!(service.uses(&minted.token).await, 0, "never polled, never verified");
    {
        let mut response = pin!(app.call(request("/forever", text(&minted))));
        // The store in memory answers at once, so this reaches the handler.
        assert!(matches!(response.as_mut().poll(&mut context), Poll::Pending));
        assert!(matches!(response.as_mut().poll(&mut context), Poll::Pending));
        assert_eq!(service.uses(&minted.token).await, 1, "it is still running");
        assert!(service.calls().await.is_empty(), "nobody knows yet how it ends");
    }
    assert_eq!((service.uses(&minted.token).await, service.calls().await.len()), (1, 1));
}

#[tokio::test]
async fn a_handler_that_panics_used_its_token() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let app = Router::new()
        .route("/panics", get(async |_: AnyToken| -> () { panic!("a handler's own") }))
        .layer(TokenLayer::required(&service.tokens));
    let call = tokio::spawn(app.oneshot(request("/panics", text(&minted))));
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(service.uses(&minted.token).await, 1);
}
