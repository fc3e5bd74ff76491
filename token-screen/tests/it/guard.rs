//! The rules that stand before every operation: credentials, forged requests, stale sign-ins, headers.

use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use token_core::{Ceiling, Clock, MemoryStore, Networks, Sources};
use token_screen::{Management, SignedIn};

use crate::world::{ORIGIN, Who, World, admin, owner, request, with, without};

#[tokio::test]
async fn a_change_by_a_cookie_needs_the_headers_of_the_own_site() {
    type Case = (&'static [&'static str], Option<&'static str>, bool, bool);
    // Origin lines, Sec-Fetch-Site, whether it passes where the origin is configured, and where it is not.
    let cases: [Case; 15] = [
        (&[ORIGIN], None, true, false),
        (&[ORIGIN], Some("same-origin"), true, true),
        (&[], Some("same-origin"), true, true),
        (&[], None, false, false),
        (&[], Some("same-site"), false, false),
        (&[], Some("cross-site"), false, false),
        (&[], Some("none"), false, false),
        (&["null"], None, false, false),
        (&["null"], Some("same-origin"), false, false),
        (&["https://evil.example"], None, false, false),
        (&["https://example.org.evil.example"], None, false, false),
        (&["http://example.org"], None, false, false),
        (&["https://EXAMPLE.org"], None, false, false),
        (&[ORIGIN, ORIGIN], Some("same-origin"), false, false),
        (&[""], None, false, false),
    ];
    for (origins, site, configured, unconfigured) in cases {
        for (is_configured, passes) in [(true, configured), (false, unconfigured)] {
            let mut world = World::new().await;
            if !is_configured {
                world.management = Management::new(&world.tokens, "/api/tokens");
            }
            let mut request = without(request("POST", &format!("/tokens/{}/revoke", world.plain.id), ""), "origin");
            for origin in origins {
                request = with(request, "origin", origin);
            }
            if let Some(site) = site {
                request = with(request, "sec-fetch-site", site);
            }
            let before = world.state().await;
            let answer = world.send(Who::Owner, request.clone()).await;
            let expected = if passes { (200, "") } else { (403, "cross_site") };
            assert_eq!((answer.status, answer.code()), expected, "{origins:?} {site:?} {is_configured}");
            assert_eq!(world.state().await == before, !passes);
            // What can't be sent without being meant needs none of it.
            let by_header = SignedIn::by_header(owner("ann"), world.clock.now());
            assert_eq!(world.handle(request, Some(by_header)).await.status, 200);
        }
    }
}

/// A browser that knows a token as a password shows it to whatever page makes it ask.
#[tokio::test]
async fn a_change_by_a_password_is_taken_from_no_other_site() {
    type Case = (Option<&'static str>, Option<&'static str>, bool);
    // Origin and Sec-Fetch-Site, and whether it passes.
    let cases: [Case; 8] = [
        (None, None, true),
        (Some(ORIGIN), None, true),
        (Some(ORIGIN), Some("same-origin"), true),
        (None, Some("same-origin"), true),
        (None, Some("cross-site"), false),
        (Some("https://evil.example"), None, false),
        (Some("https://evil.example"), Some("cross-site"), false),
        (Some("null"), Some("cross-site"), false),
    ];
    for (origin, site, passes) in cases {
        for path in ["/self/rotate", "/self/revoke"] {
            let sources = Sources::default().with_basic_password();
            let world = World::reading(Arc::new(MemoryStore::new()), sources).await;
            let password = Base64::encode_string(format!("x:{}", world.itself.text).as_bytes());
            let sent = |method: &str, path: &str| {
                let sent = without(request(method, path, ""), "origin");
                let sent = with(sent, "authorization", &format!("Basic {password}"));
                let sent = origin.into_iter().fold(sent, |sent, origin| with(sent, "origin", origin));
                site.into_iter().fold(sent, |sent, site| with(sent, "sec-fetch-site", site))
            };
            // What another site has a browser read, it is not shown.
            assert_eq!(world.handle(sent("GET", "/self"), None).await.status, 200);
            let before = world.state().await;
            let answer = world.handle(sent("POST", path), None).await;
            let expected = if passes { (200, "") } else { (403, "cross_site") };
            assert_eq!((answer.status, answer.code()), expected, "{path} {origin:?} {site:?}");
            assert_eq!(world.state().await == before, !passes);
        }
    }
}

#[tokio::test]
async fn reading_needs_no_origin() {
    let world = World::new().await;
    for method in ["GET", "HEAD"] {
        assert_eq!(world.send(Who::Owner, without(request(method, "/tokens", ""), "origin")).await.status, 200);
    }
}

#[tokio::test]
async fn what_gives_power_waits_for_a_recent_sign_in_and_what_takes_it_does_not() {
    let world = World::new().await;
    let (id, limit) = (&world.rotated.id, Duration::from_secs(15 * 60));
    let now = world.clock.now();
    let times = [
        (now, true),
        (now.saturating_sub(limit), true),
        (now.saturating_sub(limit + Duration::from_micros(1)), false),
        (now.checked_add(Duration::from_secs(60)).unwrap(), true),
        (now.checked_add(Duration::from_secs(61)).unwrap(), false),
    ];
    for (at, fresh) in times {
        for ambient in [true, false] {
            let signed_in =
                |actor| if ambient { SignedIn::by_cookie(actor, at) } else { SignedIn::by_header(actor, at) };
            let answer =
                world.handle(request("PATCH", &format!("/tokens/{id}"), "{}"), Some(signed_in(owner("ann")))).await;
            assert_eq!(answer.status == 200, fresh, "{at}");
            if !fresh {
                assert_eq!((answer.code(), &answer.json["reauthenticate"]), ("stale_sign_in", &"/sign-in".into()));
            }
        }
    }
    let old = SignedIn::by_cookie(admin(), now.saturating_sub(Duration::from_secs(3600)));
    let policy = r#"{"live_tokens_per_owner":10,"max_lifetime":null,"never_expires":true,"default_lifetime":1,"max_overlap":0,"default_overlap":0}"#;
    for (method, path, body, status) in [
        ("POST", "/owners/ann/suspend".to_owned(), "", 200),
        ("POST", "/owners/ann/resume".to_owned(), "", 403),
        ("PUT", "/policy".to_owned(), policy, 403),
        ("POST", "/policy/rehearse".to_owned(), policy, 200),
        ("POST", "/tokens".to_owned(), r#"{"name":"x","owner":"ann"}"#, 403),
        ("POST", format!("/tokens/{id}/rotate"), "", 403),
        ("POST", format!("/tokens/{id}/end-overlap"), "", 200),
        ("POST", format!("/tokens/{id}/revoke"), "", 200),
    ] {
        let answer = world.handle(request(method, &path, body), Some(old.clone())).await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn a_credential_beside_a_sign_in_is_no_request_that_has_one_reading() {
    let world = World::new().await;
    let now = world.clock.now();
    let bearer = |text: &str| with(request("GET", "/tokens", ""), "authorization", &format!("Bearer {text}"));
    for request in [bearer(&world.plain.text), bearer("anything"), with(bearer("x"), "authorization", "Bearer x")] {
        let answer = world.send(Who::Owner, request).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"));
    }
    // The host may know a program by this very header; a token of ours beside that is ambiguous all the same.
    let by_header = || Some(SignedIn::by_header(owner("ann"), now));
    assert_eq!(world.handle(bearer("the-hosts-own"), by_header()).await.status, 200);
    assert_eq!(world.handle(bearer(&world.plain.text), by_header()).await.status, 400);
    assert_eq!(world.handle(with(bearer("x"), "authorization", "Bearer x"), by_header()).await.status, 400);
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_refused_as_everywhere() {
    let world = World::new().await;
    let bearer = |path: &str, value: &str| with(request("GET", path, ""), "authorization", value);
    for (value, status, code) in [
        ("Bearer", 400, "invalid_request"),
        ("Bearer a b", 400, "invalid_request"),
        ("Bearer nonsense", 401, "invalid_token"),
        ("Basic dTpw", 401, "no_credentials"),
    ] {
        let answer = world.handle(bearer("/self", value), None).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{value}");
        assert!(answer.header("www-authenticate").is_some());
    }
    world.tokens.manage(&owner("ann")).revoke(world.itself.id.parse().unwrap()).await.unwrap();
    let answer = world.ask(Who::SelfToken, "GET", "/self", "").await;
    assert_eq!((answer.status, answer.code()), (401, "invalid_token"));
    let receipt = answer.json["receipt"].as_str().unwrap();
    let told = world.ask(Who::Owner, "GET", &format!("/receipts/{receipt}"), "").await;
    assert_eq!((&told.json["reason"], &told.json["token"]), (&"revoked".into(), &world.itself.id.clone().into()));
    assert_eq!(world.ask(Who::OtherOwner, "GET", &format!("/receipts/{receipt}"), "").await.status, 404);
}

#[tokio::test]
async fn a_token_manages_itself_and_neither_widens_nor_prolongs() {
    let world = World::new().await;
    let me = world.ask(Who::SelfToken, "GET", "/self", "").await;
    assert_eq!(me.json["id"].as_str(), Some(world.itself.id.as_str()));
    for body in [r#"{"expires":"never"}"#, r#"{"grants":[]}"#, r#"{"name":"x"}"#, r#"{"id":"x"}"#] {
        assert_eq!(world.ask(Who::SelfToken, "POST", "/self/rotate", body).await.code(), "invalid_body", "{body}");
    }
    let rotated = world.ask(Who::SelfToken, "POST", "/self/rotate", r#"{"overlap_seconds":60}"#).await;
    assert_eq!(rotated.status, 200);
    for field in ["id", "owner", "grants", "expires_at", "name"] {
        assert_eq!(rotated.json["token"][field], me.json[field], "{field}");
    }
    let events = world.ask(Who::Owner, "GET", &format!("/tokens/{}/events?after=1", world.itself.id), "").await;
    assert_eq!(events.json["events"][0]["actor"], format!("token:{}", world.itself.id));
    let rotate = by_value("POST", "/self/rotate", rotated.json["text"].as_str().unwrap());
    assert_eq!(world.handle(rotate, None).await.code(), "two_live");

    // Where the host has no scope for it, no token does.
    let mut without = World::new().await;
    without.management = Management::new(&without.tokens, "/api/tokens");
    assert_eq!(without.ask(Who::SelfToken, "GET", "/self", "").await.code(), "tokens_do_not_manage_tokens");
}

fn by_value(method: &str, path: &str, text: &str) -> token_screen::Request {
    with(request(method, path, ""), "authorization", &format!("Bearer {text}"))
}

/// Whoever found a value that was replaced for that reason would else have one that lasts.
#[tokio::test]
async fn a_value_that_was_replaced_gets_its_holder_no_new_one() {
    let bodies =
        ["", r#"{"replace":"current"}"#, r#"{"replace":"ending_superseded"}"#, r#"{"replace":"ending_current"}"#];
    for body in bodies {
        let world = World::new().await;
        let rotated = world.ask(Who::SelfToken, "POST", "/self/rotate", "").await;
        let new = rotated.json["text"].as_str().unwrap();
        let before = world.state().await;
        let answer = world.ask(Who::SelfToken, "POST", "/self/rotate", body).await;
        assert_eq!((answer.status, answer.code()), (403, "superseded_value"), "{body}");
        assert_eq!(world.state().await, before, "{body}");
        // It looks on, and is no way around the revision that the request names.
        assert_eq!(world.ask(Who::SelfToken, "GET", "/self", "").await.status, 200);
        for (tag, status) in [("\"2\"", 403), ("\"1\"", 412)] {
            let rotate = with(request("POST", "/self/rotate", body), "if-match", tag);
            assert_eq!(world.send(Who::SelfToken, rotate).await.status, status, "{body} {tag}");
        }
        assert_eq!(world.state().await, before, "{body}");

        // The current value rotates on, and either ends the token.
        let ends_old = with(by_value("POST", "/self/rotate", new), "content-type", "application/json");
        let ends_old = token_screen::Request { body: br#"{"replace":"ending_superseded"}"#.to_vec(), ..ends_old };
        assert_eq!(world.handle(ends_old, None).await.status, 200);
        assert_eq!(world.handle(by_value("POST", "/self/revoke", new), None).await.status, 200);
    }
}

#[tokio::test]
async fn a_token_whose_owner_may_no_longer_do_so_does_not_manage_itself() {
    let world = World::new().await;
    world.tokens.manage(&admin()).suspend(&token_core::OwnerId::new("ann").unwrap()).await.unwrap();
    assert_eq!(world.ask(Who::SelfToken, "GET", "/self", "").await.code(), "invalid_token");
    // A token that is bound to networks is refused without an address, here too.
    let world = World::new().await;
    let edit =
        token_core::Edit { networks: Some(Some(Networks::parse(["198.51.100.0/24"]).unwrap())), ..Default::default() };
    let id = world.itself.id.parse().unwrap();
    world.tokens.manage(&owner("ann")).edit(id, &edit).await.unwrap();
    assert_eq!(world.ask(Who::SelfToken, "GET", "/self", "").await.code(), "invalid_token");
}

#[tokio::test]
async fn someone_grants_no_more_than_they_may() {
    let world = World::new().await;
    let few = token_core::Grants::new([token_core::Grant::all("projects:read").unwrap()]).unwrap();
    let id = token_core::ActorId::new("ann").unwrap();
    let actor = token_core::Actor::owner(id, token_core::OwnerId::new("ann").unwrap(), Ceiling::Only(few));
    let ask = async |method: &str, path: &str, body: &str| {
        let visitor = SignedIn::by_cookie(actor.clone(), world.clock.now());
        world.handle(request(method, path, body), Some(visitor)).await
    };
    let wider = r#"{"name":"x","grants":[{"scope":"projects:write","resources":"all"}]}"#;
    assert_eq!(ask("POST", "/tokens", wider).await.code(), "exceeds_rights");
    assert_eq!(ask("PATCH", &format!("/tokens/{}", world.rotated.id), wider).await.code(), "exceeds_rights");
    // A new value of a token that may do more would hand over what they lack.
    assert_eq!(ask("POST", &format!("/tokens/{}/rotate", world.plain.id), "").await.code(), "exceeds_rights");
}

#[tokio::test]
async fn every_response_has_the_headers_and_head_is_told_what_get_is() {
    let world = World::new().await;
    let asked = [
        (Who::Owner, "GET", "/tokens", ""),
        (Who::Owner, "POST", "/tokens", r#"{"name":"x"}"#),
        (Who::Owner, "POST", "/tokens", "nonsense"),
        (Who::Anonymous, "GET", "/tokens", ""),
        (Who::PlainToken, "GET", "/tokens", ""),
        (Who::Anonymous, "GET", "/openapi.json", ""),
        (Who::Anonymous, "GET", "/nowhere", ""),
        (Who::Anonymous, "DELETE", "/tokens", ""),
    ];
    for (who, method, path, body) in asked {
        let answer = world.ask(who, method, path, body).await;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(answer.headers.iter().filter(|(header, _)| *header == name).count(), 1, "{name} of {path}");
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let kind = if answer.status < 400 { "application/json" } else { "application/problem+json" };
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
    }
    let (get, head) =
        (world.ask(Who::Owner, "GET", "/tokens", "").await, world.ask(Who::Owner, "HEAD", "/tokens", "").await);
    assert_eq!((head.status, &head), (200, &get));
    let refused = world.ask(Who::Owner, "DELETE", "/tokens", "").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, POST, HEAD")));
}

#[tokio::test]
async fn a_token_learns_nothing_of_what_there_is() {
    let world = World::new().await;
    let paths =
        [&world.itself.id, &world.plain.id, &world.bobs.id, "01935b2a-7c1e-7000-8000-0123456789ab", "malformed"]
            .map(|id| format!("/tokens/{id}"));
    for who in [Who::PlainToken, Who::SelfToken] {
        let first = world.ask(who, "GET", "/tokens", "").await;
        assert_eq!((first.status, first.code()), (403, "tokens_do_not_manage_tokens"));
        for path in paths.iter().map(String::as_str).chain(["/owners/ann", "/owners/none", "/policy", "/scopes"]) {
            assert_eq!(world.ask(who, "GET", path, "").await, first, "{path}");
        }
    }
}
