//! The screen behind a router: who is let in, and that it is the same below its base.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use token_axum::screen;
use token_core::{Actor, ActorId, Ceiling, Keyring, MemoryStore, OwnerId, Risk, Tokens};
use token_screen::{Screen, SignedIn};
use tower::ServiceExt;

token_core::scopes! {
    fn catalog;
    ProjectsRead = "projects:read", "See your projects", "Projects", Risk::Low;
}

async fn tokens() -> Tokens {
    let (tokens, _background) = Tokens::builder(MemoryStore::new())
        .prefix("acme_test")
        .keyring(Keyring::parse(&Keyring::generate("k1").unwrap()).unwrap())
        .catalog(catalog())
        .build()
        .await
        .unwrap();
    tokens
}

async fn ask(app: &Router, path: &str, cookie: &str) -> (StatusCode, String) {
    let request = Request::get(path).header("cookie", cookie).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_hosts_function_says_who_is_shown_the_pages() {
    let tokens = tokens().await;
    let now = tokens.now();
    let sign_in = move |headers: HeaderMap| {
        let ann = Actor::owner(ActorId::new("ann").unwrap(), OwnerId::new("ann").unwrap(), Ceiling::Everything);
        let known = headers.get("cookie").is_some_and(|cookie| cookie == "ann");
        std::future::ready(Ok::<_, Infallible>(known.then(|| SignedIn::by_cookie(ann, now))))
    };
    let app = Router::new().merge(screen(Screen::new(&tokens, "/settings/tokens"), sign_in));
    for path in ["/settings/tokens", "/settings/tokens/"] {
        let (status, page) = ask(&app, path, "ann").await;
        assert!(status == StatusCode::OK && page.contains("No tokens yet"), "{path}");
        let (status, page) = ask(&app, path, "nobody").await;
        assert!(status == StatusCode::UNAUTHORIZED && page.contains("Sign in first"), "{path}");
    }
    let (_, page) = ask(&app, "/settings/tokens/new", "ann").await;
    let sheet = page.split('"').find(|text| text.ends_with(".css")).unwrap();
    assert!(ask(&app, sheet, "nobody").await.1.contains("@layer"));
}

#[tokio::test]
async fn a_session_store_that_is_down_denies_and_says_so() {
    let tokens = tokens().await;
    let sign_in = |_: HeaderMap| std::future::ready(Err::<Option<SignedIn>, _>("the session store is down"));
    let app = Router::new().merge(screen(Screen::new(&tokens, "/settings/tokens"), sign_in));
    let (status, page) = ask(&app, "/settings/tokens", "ann").await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && page.contains("Not available right now"));
    // That page has its style all the same.
    let sheet = page.split('"').find(|text| text.ends_with(".css")).unwrap();
    assert_eq!(ask(&app, sheet, "ann").await.0, StatusCode::OK);
}
