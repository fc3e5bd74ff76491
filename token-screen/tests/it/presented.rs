//! Tokens that are presented to services which are not written in Rust: what these learn, and what they may end.

use std::time::Duration;

use serde_json::{Value, json};
use token_core::testing::with_wrong_verifier;
use token_core::{Grant, Grants, Networks, NewToken, Overlap, OwnerId, Replace, Rotation, TokenName};
use token_screen::Request;

use crate::world::{Answer, TokensSelf, Who, World, admin, owner, request, with, without};

/// Ann's token with the scope for it is `itself`; so that `plain` is one of hers without, and `bobs` one of somebody else's.
async fn world() -> World {
    let mut world = World::new().await;
    world.management = world.management.introspection::<TokensSelf>().revocation::<TokensSelf>();
    world
}

fn form(path: &str, body: &str) -> Request {
    let request = without(without(request("POST", path, body), "origin"), "content-type");
    with(request, "content-type", "application/x-www-form-urlencoded")
}

fn by(request: Request, text: &str) -> Request {
    with(request, "authorization", &format!("Bearer {text}"))
}

async fn introspect(world: &World, caller: &str, text: &str) -> Answer {
    world.handle(by(form("/introspect", &format!("token={text}")), caller), None).await
}

async fn revoke(world: &World, caller: &str, text: &str) -> Answer {
    world.handle(by(form("/revoke", &format!("token={text}")), caller), None).await
}

fn inactive(answer: &Answer) -> bool {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body == br#"{"active":false}"#
}

async fn state(world: &World, id: &str) -> Value {
    world.ask(Who::Admin, "GET", &format!("/tokens/{id}"), "").await.json["state"].clone()
}

#[tokio::test]
async fn a_token_of_its_own_owner_is_told_about() {
    let world = world().await;
    let answer = introspect(&world, &world.itself.text, &world.plain.text).await;
    let expected = json!({
        "active": true, "scope": "projects:read projects:write", "token_type": "Bearer", "exp": 1_809_172_800_i64, "sub": "ann",
        "jti": world.plain.id,
    });
    assert_eq!((answer.status, &answer.json), (200, &expected));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    // Itself too, and the value that a rotation left working.
    assert_eq!(introspect(&world, &world.itself.text, &world.itself.text).await.json["active"], true);
    assert_eq!(
        introspect(&world, &world.itself.text, &world.rotated.text).await.json["jti"],
        world.rotated.id.as_str()
    );
}

#[tokio::test]
async fn of_what_does_not_work_or_is_not_ones_own_nothing_is_said() {
    let world = world().await;
    let (ann, caller) = (owner("ann"), world.itself.text.clone());
    let plain = world.plain.text.clone();
    for text in ["x", "acme_test_", &plain[..plain.len() - 1], &with_wrong_verifier(&plain), &world.bobs.text] {
        assert!(inactive(&introspect(&world, &caller, text).await), "{text}");
    }
    let grants = || Grants::new([Grant::all("projects:read").unwrap()]).unwrap();
    let new = |name| NewToken::new(TokenName::new(name).unwrap(), grants());
    let networks = Some(Networks::parse(["0.0.0.0/0", "::/0"]).unwrap());
    let office = world.tokens.manage(&ann).create(&NewToken { networks, ..new("office") }).await.unwrap();
    assert!(inactive(&introspect(&world, &caller, office.text.unwrap().expose_secret()).await));

    let old = world.tokens.manage(&ann).create(&new("old")).await.unwrap();
    let at_once = Rotation { replace: Replace::Current(Overlap::Now), expiry: None };
    world.tokens.manage(&ann).rotate(old.token.id, &at_once).await.unwrap();
    assert!(inactive(&introspect(&world, &caller, old.text.unwrap().expose_secret()).await));

    world.tokens.manage(&ann).revoke(world.plain.id.parse().unwrap()).await.unwrap();
    assert!(inactive(&introspect(&world, &caller, &plain).await));
    world.clock.advance(Duration::from_secs(91 * 86_400));
    assert_eq!(introspect(&world, &caller, &world.rotated.text).await.status, 401, "who asks has expired too");
}

#[tokio::test]
async fn a_service_of_the_host_s_own_is_told_about_everyone_s() {
    let mut world = world().await;
    world.management = world.management.services([OwnerId::new("ann").unwrap()]);
    let answer = introspect(&world, &world.itself.text, &world.bobs.text).await;
    assert_eq!(
        (&answer.json["active"], &answer.json["sub"], &answer.json["scope"]),
        (&true.into(), &"bob".into(), &"".into())
    );
    assert!(answer.json["exp"].is_i64());
    assert_eq!(revoke(&world, &world.itself.text, &world.bobs.text).await.status, 200);
    assert_eq!(state(&world, &world.bobs.id).await, "revoked");
}

#[tokio::test]
async fn who_asks_is_a_token_with_the_scope_for_it_and_nobody_else() {
    let world = world().await;
    let before = world.state().await;
    for path in ["/introspect", "/revoke"] {
        let body = format!("token={}", world.plain.text);
        let asks = |request| world.handle(request, None);
        assert_eq!(asks(form(path, &body)).await.status, 401);
        assert_eq!(asks(by(form(path, &body), "x")).await.status, 401);
        let two = by(by(form(path, &body), &world.itself.text), &world.itself.text);
        assert_eq!(asks(two).await.status, 400);
        let lacks = asks(by(form(path, &body), &world.plain.text)).await;
        assert_eq!((lacks.status, lacks.code()), (403, "insufficient_scope"));
        assert!(lacks.header("www-authenticate").unwrap().contains(r#"scope="tokens:self""#));
        // Nobody's session counts, whoever they are.
        let session = token_screen::SignedIn::by_cookie(admin(), world.tokens.now());
        let answer = world.handle(with(form(path, &body), "origin", "https://example.org"), Some(session)).await;
        assert_eq!((answer.status, answer.code()), (401, "no_credentials"));
        // The text is no credential where one is asked for.
        assert_eq!(asks(form(&format!("{path}?token={}", world.plain.text), "")).await.status, 401);
    }
    assert_eq!(world.state().await, before);
}

#[tokio::test]
async fn a_program_s_stray_cookie_does_not_matter() {
    let world = world().await;
    let session = token_screen::SignedIn::by_cookie(owner("bob"), world.tokens.now());
    let asked = by(form("/introspect", &format!("token={}", world.plain.text)), &world.itself.text);
    assert_eq!(world.handle(asked, Some(session)).await.json["sub"], "ann");
}

#[tokio::test]
async fn one_text_is_asked_about_in_a_form() {
    let world = world().await;
    let before = world.state().await;
    let text = &world.plain.text;
    for path in ["/introspect", "/revoke"] {
        for body in ["", "token=", "token", "other=1", &format!("token={text}&token={text}"), "token=%FF", "token=%zz"]
        {
            let answer = world.handle(by(form(path, body), &world.itself.text), None).await;
            assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{path} {body}");
        }
        let body = format!("token={text}");
        for kind in ["application/json", "text/plain", "application/x-www-form-urlencoded; charset=latin1"] {
            let other = with(without(form(path, &body), "content-type"), "content-type", kind);
            assert_eq!(world.handle(by(other, &world.itself.text), None).await.status, 400, "{kind}");
        }
        let query = by(form(&format!("{path}?token={text}"), &body), &world.itself.text);
        assert_eq!(world.handle(query, None).await.code(), "invalid_query");
        let long = format!("token={}", "x".repeat(64 * 1024));
        assert_eq!(world.handle(by(form(path, &long), &world.itself.text), None).await.status, 413);
        assert_eq!(world.ask(Who::SelfToken, "GET", path, "").await.status, 405);
    }
    assert_eq!(world.state().await, before);
    // As OAuth's clients send it.
    let body = format!("token={text}&token_type_hint=access_token&client_id=x&client_id=y&%zz=%ff&z");
    let asked = with(
        without(form("/introspect", &body), "content-type"),
        "content-type",
        "application/x-www-form-urlencoded;charset=UTF-8",
    );
    assert_eq!(world.handle(by(asked, &world.itself.text), None).await.json["active"], true);
}

#[tokio::test]
async fn a_token_of_its_own_owner_is_revoked_whatever_it_could_do() {
    let world = world().await;
    let (ann, caller) = (owner("ann"), world.itself.text.clone());
    let networks = Some(Networks::parse(["192.0.2.0/24"]).unwrap());
    let office = NewToken { networks, ..NewToken::new(TokenName::new("office").unwrap(), Grants::default()) };
    let office = world.tokens.manage(&ann).create(&office).await.unwrap();
    for (text, id) in [
        (world.plain.text.as_str(), world.plain.id.clone()),
        (world.rotated.text.as_str(), world.rotated.id.clone()),
        (office.text.as_ref().unwrap().expose_secret(), office.token.id.to_string()),
        (&caller, world.itself.id.clone()),
    ] {
        let answer = revoke(&world, &caller, text).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
        assert_eq!(state(&world, &id).await, "revoked");
    }
    // The last one was the caller.
    assert_eq!(revoke(&world, &caller, &world.plain.text).await.status, 401);
    let page = world.ask(Who::Owner, "GET", &format!("/tokens/{}/events", world.plain.id), "").await;
    assert_eq!(page.json["events"][1]["actor"], format!("token:{}", world.itself.id));
}

#[tokio::test]
async fn what_is_not_ones_own_is_left_alone_and_answered_alike() {
    let world = world().await;
    let caller = world.itself.text.clone();
    world.tokens.manage(&owner("ann")).end_overlap(world.rotated.id.parse().unwrap()).await.unwrap();
    let ended = world.texts.lock().unwrap()[3].clone();
    let before = world.state().await;
    let real = revoke(&world, &caller, "x").await;
    for text in [&world.bobs.text, &with_wrong_verifier(&world.plain.text), &ended, "acme_test_"] {
        assert_eq!(revoke(&world, &caller, text).await, real, "{text}");
    }
    assert_eq!(world.state().await, before);
    // Twice is once.
    for _ in 0..2 {
        assert_eq!(revoke(&world, &caller, &world.plain.text).await, real);
    }
}

#[tokio::test]
async fn without_a_scope_for_it_there_is_nothing() {
    let world = World::new().await;
    for path in ["/introspect", "/revoke", "/forward-auth/projects:read"] {
        assert_eq!(world.handle(by(form(path, "token=x"), &world.itself.text), None).await.code(), "not_found");
    }
    let document = world.ask(Who::Anonymous, "GET", "/openapi.json", "").await.json;
    assert!(document["paths"]["/introspect"].is_null() && document["paths"]["/revoke"].is_null());
}

#[tokio::test]
async fn the_document_describes_what_is_offered() {
    let mut world = world().await;
    world.management = world.management.forward_auth();
    let document = world.ask(Who::Anonymous, "GET", "/openapi.json", "").await.json;
    let asked = &document["paths"]["/introspect"]["post"];
    assert_eq!(asked["security"], json!([{ "bearer": [] }]));
    let form = &asked["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]["$ref"];
    assert_eq!(form, "#/components/schemas/PresentedToken");
    assert!(document["paths"]["/revoke"]["post"]["responses"]["200"]["content"].is_null());
    assert!(document["paths"].as_object().unwrap().keys().all(|path| !path.contains("forward-auth")));
}
