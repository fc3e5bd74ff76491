//! What a route asks of a token, and how routes are protected or not.

use token_core::{Grants, Reason};

use crate::client::Answer;
use crate::service::{Service, Word, admin, all, only, owner, text};
use crate::store::set_down;

fn assert_lacks(answer: &Answer, scope: &str) {
    assert_eq!(answer.status, 403, "{answer:?}");
    let challenge = format!(r#"Bearer realm="api", error="insufficient_scope", scope="{scope}""#);
    assert_eq!(answer.challenge(), Some(challenge.as_str()));
    let problem = answer.problem();
    assert_eq!((&problem["code"], &problem["scope"]), (&"insufficient_scope".into(), &scope.into()));
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say() {
    let service = Service::start().await;
    let reader = service.mint(all("projects:read")).await;
    let writer = service.mint(all("projects:write")).await;
    let nobody = service.mint(Grants::default()).await;

    let read = service.holder(text(&reader), "GET /projects").await;
    assert_eq!((read.status, read.body.as_str()), (200, "projects of ada"));
    // To write is to read as well, as the catalog says.
    assert_eq!(service.holder(text(&writer), "GET /projects").await.status, 200);
    assert_eq!(service.holder(text(&writer), "POST /projects").await.body, "created");
    assert_eq!(service.holder(text(&nobody), "GET /any").await.status, 200);

    let refused = service.holder(text(&reader), "POST /projects").await;
    assert_lacks(&refused, "projects:write");
    assert!(!refused.body.contains("projects:read"), "what is granted is not shown");
    assert_eq!(service.reason(&owner(), &refused).await, Reason::InsufficientScope);
    assert_lacks(&service.holder(text(&nobody), "GET /projects").await, "projects:read");
    assert_lacks(&service.holder(text(&nobody), "GET /reach").await, "projects:read");
}

#[tokio::test]
async fn a_token_does_no_more_than_its_owner_may() {
    let service = Service::start().await;
    let writer = service.mint(all("projects:write")).await;
    service.host_says(Word::Only(all("projects:read")));
    assert_eq!(service.holder(text(&writer), "GET /projects").await.status, 200);
    assert_lacks(&service.holder(text(&writer), "POST /projects").await, "projects:write");
}

#[tokio::test]
async fn a_scope_that_the_catalog_does_not_declare_allows_nothing() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:write")).await;
    assert_lacks(&service.holder(text(&minted), "GET /undeclared").await, "un:declared");
}

#[tokio::test]
async fn a_limited_token_reaches_its_resources_and_no_others() {
    let service = Service::start().await;
    let limited = service.mint(only("projects:read", &["p1", "p2"])).await;
    let full = service.mint(all("projects:read")).await;

    assert_eq!(service.holder(text(&limited), "GET /project/p1").await.body, "project p1");
    assert_eq!(service.holder(text(&full), "GET /project/p3").await.body, "project p3");
    for other in ["p3", "P1", "p1%20", "p"] {
        assert_lacks(&service.holder(text(&limited), &format!("GET /project/{other}")).await, "projects:read");
    }
    // Every resource is more than some.
    assert_lacks(&service.holder(text(&limited), "GET /projects").await, "projects:read");

    let reach = service.holder(text(&limited), "GET /reach").await.body;
    assert!(reach.contains("p1") && reach.contains("p2"), "{reach}");
    assert_eq!(service.holder(text(&full), "GET /reach").await.body, "All");
}

#[tokio::test]
async fn a_layer_asks_every_request_for_its_scope() {
    let service = Service::start().await;
    let reader = service.mint(all("projects:read")).await;
    let writer = service.mint(all("projects:write")).await;
    for route in ["GET /writers/any", "GET /writers/plain", "GET /twice"] {
        assert_eq!(service.holder(text(&writer), route).await.status, 200, "{route}");
        assert_lacks(&service.holder(text(&reader), route).await, "projects:write");
        assert_eq!(service.anonymous(route).await.status, 401, "{route}");
    }
}

#[tokio::test]
async fn an_optional_layer_lets_the_anonymous_through_and_nobody_else_without_a_valid_token() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let nobody = service.mint(Grants::default()).await;
    assert_eq!(service.anonymous("GET /open").await.body, "welcome, stranger");
    assert_eq!(service.holder(text(&minted), "GET /open").await.body, "welcome, ada");

    service.tokens.manage(&owner()).revoke(minted.token.id).await.unwrap();
    assert_eq!(service.holder(text(&minted), "GET /open").await.status, 401);
    assert_eq!(service.holder("x", "GET /open").await.status, 401);
    assert_eq!(service.send("GET /open", &[b"Authorization: Bearer"]).await.status, 400);
    set_down(&service.store, true);
    assert_eq!(service.holder(text(&nobody), "GET /open").await.status, 503);
    set_down(&service.store, false);

    assert_eq!(service.anonymous("GET /open/maybe-read").await.body, "false");
    assert_lacks(&service.holder(text(&nobody), "GET /open/maybe-read").await, "projects:read");
}

#[tokio::test]
async fn a_handler_that_needs_a_token_refuses_the_anonymous_behind_an_optional_layer() {
    let service = Service::start().await;
    let at_the_layer = service.anonymous("GET /any").await.without_receipt();
    for route in ["GET /open/any", "GET /open/read"] {
        let answer = service.anonymous(route).await;
        assert_eq!(answer.without_receipt(), at_the_layer, "{route}");
        assert_eq!(service.reason(&admin(), &answer).await, Reason::NoCredential);
    }
}

#[tokio::test]
async fn a_layer_with_a_scope_knows_no_anonymous_requests() {
    let service = Service::start().await;
    let reader = service.mint(all("projects:read")).await;
    assert_eq!(service.anonymous("GET /open-to-readers").await.status, 401);
    assert_eq!(service.holder(text(&reader), "GET /open-to-readers").await.status, 200);
}

#[tokio::test]
async fn exceptions_are_exact_paths() {
    let service = Service::start().await;
    for route in ["GET /healthz", "GET /healthz?deep=1", "POST /healthz"] {
        assert_ne!(service.anonymous(route).await.status, 401, "{route}");
        assert_ne!(service.holder("x", route).await.status, 401, "{route}");
    }
    for route in
        ["/healthz/", "/Healthz", "//healthz", "/healthz/../any", "/./healthz", "/%68ealthz", "/healthz%2F", "/"]
    {
        assert_eq!(service.anonymous(&format!("GET {route}")).await.status, 401, "{route}");
    }
}

#[tokio::test]
async fn a_handler_that_asks_for_a_token_where_no_layer_is_fails_closed() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    for route in ["GET /uncovered", "GET /uncovered/maybe", "GET /uncovered/read", "GET /healthz/token"] {
        for answer in [service.anonymous(route).await, service.holder(text(&minted), route).await] {
            assert_eq!((answer.status, answer.challenge()), (500, None), "{route}");
            let problem = answer.problem();
            assert_eq!(problem["code"], "internal_error");
            assert!(!answer.body.contains("TokenLayer") && !answer.body.contains("uncovered"), "{}", answer.body);
        }
    }
}
