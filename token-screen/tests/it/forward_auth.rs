//! What a proxy is told of a request that it was sent.

use std::net::IpAddr;

use token_core::{Actor, ActorId, Ceiling};
use token_core::{Caller, Grants, Networks, NewToken, OwnerId, TokenName, TrustedProxies};
use token_screen::{Management, Request, SignedIn};

use crate::world::{Answer, World, owner, request, with, without};

async fn world() -> World {
    let mut world = World::new().await;
    let proxies = TrustedProxies::parse(["127.0.0.0/8"]).unwrap();
    world.management = world.management.forward_auth().trusted_proxies(proxies);
    world
}

/// As a proxy on this machine asks, for a client.
fn asked(scope: &str, text: &str) -> Request {
    let mut asked = without(request("GET", &format!("/forward-auth/{scope}"), ""), "origin");
    asked.caller = Caller::at(IpAddr::from([127, 0, 0, 1]));
    with(with(asked, "x-forwarded-for", "198.51.100.7"), "authorization", &format!("Bearer {text}"))
}

fn asked_from(socket: &str, forwarded: Option<&str>, text: &str) -> Request {
    let mut asked = without(asked("projects:read", text), "x-forwarded-for");
    asked.caller = Caller::at(socket.parse().unwrap());
    forwarded.into_iter().fold(asked, |asked, value| with(asked, "x-forwarded-for", value))
}

fn identity(answer: &Answer) -> [Option<&str>; 3] {
    ["x-token-owner", "x-token-id", "x-token-scopes"].map(|name| answer.header(name))
}

#[tokio::test]
async fn a_token_with_the_scope_is_let_through_and_named() {
    let world = world().await;
    let answer = world.handle(asked("projects:read", &world.plain.text), None).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(identity(&answer), [Some("ann"), Some(world.plain.id.as_str()), Some("projects:read projects:write")]);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn whoever_is_not_let_through_is_answered_as_by_the_service_and_not_named() {
    let world = world().await;
    let no_credential = without(asked("projects:read", ""), "authorization");
    for (request, status, code) in [
        (no_credential, 401, "no_credentials"),
        (asked("projects:read", "x"), 401, "invalid_token"),
        (asked("projects:read", "x y"), 400, "invalid_request"),
        (asked("projects:read", &world.bobs.text), 403, "insufficient_scope"),
        (asked("tokens:self", &world.plain.text), 403, "insufficient_scope"),
        (asked("projects:delete", &world.plain.text), 404, "not_found"),
        (asked("projects:*", &world.plain.text), 404, "not_found"),
        (asked("%zz", &world.plain.text), 404, "not_found"),
    ] {
        let path = request.path.clone();
        let answer = world.handle(request, None).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path}");
        assert_eq!(identity(&answer), [None; 3]);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let lacks = world.handle(asked("tokens:self", &world.plain.text), None).await;
    assert!(lacks.header("www-authenticate").unwrap().contains(r#"scope="tokens:self""#));
}

#[tokio::test]
async fn the_scope_is_the_operator_s_whatever_the_client_sends() {
    let world = world().await;
    for (name, value) in [
        ("x-original-uri", "/forward-auth/projects:read"),
        ("x-forwarded-uri", "/forward-auth/projects:read"),
        ("x-original-url", "/forward-auth/projects:read"),
        ("x-rewrite-url", "/forward-auth/projects:read"),
        ("x-token-scopes", "tokens:self"),
        ("x-scope", "projects:read"),
    ] {
        let answer = world.handle(with(asked("tokens:self", &world.plain.text), name, value), None).await;
        assert_eq!(answer.status, 403, "{name}");
    }
    for below in ["/x", "/../projects:read", "//projects:read", "/..%2Fprojects:read", "?scope=projects:read"] {
        let answer = world.handle(asked(&format!("tokens:self{below}"), &world.plain.text), None).await;
        assert_eq!(answer.status, 403, "{below}");
    }
}

#[tokio::test]
async fn a_proxy_may_ask_with_the_client_s_method_and_body() {
    let world = world().await;
    for method in ["GET", "HEAD", "POST", "DELETE", "BREW", "OPTIONS"] {
        let mut asked = asked("projects:read/deep/path?a=b", &world.plain.text);
        asked.method = method.to_owned();
        asked.body = vec![b'x'; 100_000];
        assert_eq!(world.handle(asked, None).await.status, 200, "{method}");
    }
}

#[tokio::test]
async fn a_session_is_nothing_to_a_proxy() {
    let world = world().await;
    let session = || Some(SignedIn::by_cookie(owner("bob"), world.tokens.now()));
    let no_token = without(asked("projects:read", ""), "authorization");
    assert_eq!(world.handle(no_token, session()).await.status, 401);
    let answer = world.handle(asked("projects:read", &world.plain.text), session()).await;
    assert_eq!(answer.header("x-token-owner"), Some("ann"));
}

#[tokio::test]
async fn the_client_s_address_is_the_one_that_a_trusted_proxy_names() {
    let mut world = world().await;
    let networks = Some(Networks::parse(["198.51.100.0/24"]).unwrap());
    let grants = Grants::new([token_core::Grant::all("projects:read").unwrap()]).unwrap();
    let office = NewToken { networks, ..NewToken::new(TokenName::new("office").unwrap(), grants) };
    let office = world.tokens.manage(&owner("ann")).create(&office).await.unwrap();
    let text = office.text.as_ref().unwrap().expose_secret();
    for (socket, forwarded, status) in [
        ("127.0.0.1", Some("198.51.100.7"), 200),
        ("127.0.0.1", Some("192.0.2.1, 198.51.100.7"), 200),
        ("127.0.0.1", Some("198.51.100.7, 192.0.2.1"), 401),
        ("127.0.0.1", Some("garbage"), 401),
        ("127.0.0.1", None, 401),
        ("::ffff:127.0.0.1", Some("198.51.100.7"), 200),
        // Where a proxy is that nobody trusts says nothing of where its client is.
        ("192.0.2.1", Some("198.51.100.7"), 401),
        ("198.51.100.7", Some("192.0.2.1"), 401),
        ("198.51.100.7", None, 401),
    ] {
        let asked = asked_from(socket, forwarded, text);
        assert_eq!(world.handle(asked, None).await.status, status, "{socket} {forwarded:?}");
    }
    // The same where none is trusted at all; a token for anywhere passes.
    world.management = Management::new(&world.tokens, "/api/tokens").forward_auth();
    for (socket, forwarded) in [("198.51.100.7", None), ("127.0.0.1", Some("198.51.100.7"))] {
        assert_eq!(world.handle(asked_from(socket, forwarded, text), None).await.status, 401, "{socket}");
        let anywhere = asked_from(socket, forwarded, &world.plain.text);
        assert_eq!(world.handle(anywhere, None).await.status, 200, "{socket}");
    }
}

#[tokio::test]
async fn owners_of_any_text_are_named_in_letters_that_a_header_can_hold() {
    let world = world().await;
    let id = OwnerId::new("zoë, \u{1f600}/\"x\"").unwrap();
    let zoe = Actor::owner(ActorId::new("zoe").unwrap(), id, Ceiling::Everything);
    let grants = Grants::new([token_core::Grant::all("projects:read").unwrap()]).unwrap();
    let made = world.tokens.manage(&zoe).create(&NewToken::new(TokenName::new("t").unwrap(), grants)).await.unwrap();
    let answer = world.handle(asked("projects:read", made.text.unwrap().expose_secret()), None).await;
    assert_eq!(answer.header("x-token-owner"), Some("zo%C3%AB%2C%20%F0%9F%98%80%2F%22x%22"));
}
