//! The rules of managing tokens, row by row as the security rules list them, over real sockets.

use base64ct::{Base64, Encoding};
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer;
use serde_json::{Value, json};
use token_core::Policy;
use token_core::testing::{with_checksum, with_wrong_verifier};

use crate::client::{Answer, bytes_of, send_bytes};
use crate::management::{by, count, create, deploy, events, reporter};
use crate::service::{Service, admin};

const MISSING: &str = "01935b2a-7c1e-7000-8000-0123456789ab";

/// All of an answer but when it was given. The order in which the server puts its own headers among ours is its own too.
fn lasting(mut answer: Answer) -> Answer {
    answer.headers.retain(|(name, _)| name != "date");
    answer.headers.sort();
    answer
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.problem()["code"].as_str().unwrap().to_owned())
}

async fn read(service: &Service, id: &str) -> Value {
    by("ada").to(service, &format!("GET /tokens/{id}")).await.json()
}

async fn creates(service: &Service, body: &Value) -> Answer {
    by("ada").json(body).to(service, "POST /tokens").await
}

#[tokio::test]
async fn foreign_and_missing_ids_answer_the_same() {
    let service = Service::start().await;
    let foreign = create(&service, "ada's").await;
    let edit = json!({ "name": "bob's" });
    let operations: [(&str, &str, Option<&Value>); 8] = [
        ("GET", "", None),
        ("PATCH", "", Some(&edit)),
        ("POST", "/rotate", None),
        ("POST", "/end-overlap", None),
        ("POST", "/revoke", None),
        ("GET", "/usage", None),
        ("GET", "/events", None),
        ("GET", "/history", None),
    ];
    for (method, below, body) in operations {
        let mut answers = Vec::new();
        for id in [foreign.as_str(), MISSING, "x"] {
            let sent = body.iter().fold(by("bob"), |sent, body| sent.json(body));
            answers.push(lasting(sent.to(&service, &format!("{method} /tokens/{id}{below}")).await));
        }
        assert_eq!(answers[0].status, 404, "{method} {below}");
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
    let many = by("bob").json(&json!({ "ids": [foreign, MISSING] })).to(&service, "POST /tokens/revoke").await.json();
    assert_eq!(many["results"][0]["outcome"], many["results"][1]["outcome"]);
    assert_eq!(read(&service, &foreign).await["state"], "live");
    assert_eq!(events(&service, &foreign).await, ["created"]);
}

#[tokio::test]
async fn get_and_head_change_nothing() {
    let service = Service::start().await;
    let id = create(&service, "deploy").await;
    let before = (read(&service, &id).await, events(&service, &id).await);
    let paths = [
        format!("/tokens/{id}/rotate"),
        format!("/tokens/{id}/end-overlap"),
        format!("/tokens/{id}/revoke"),
        "/tokens/revoke".into(),
        "/owners/ada/suspend".into(),
        "/policy/rehearse".into(),
        "/self/rotate".into(),
        "/self/revoke".into(),
    ];
    for path in paths {
        for method in ["GET", "HEAD"] {
            let answer = by("root").to(&service, &format!("{method} {path}")).await;
            assert_eq!((answer.status, answer.header("allow")), (405, vec!["POST"]), "{method} {path}");
        }
    }
    for path in ["/tokens", "/policy", "/scopes", "/openapi.json", &format!("/tokens/{id}"), "/owners/ada"] {
        // What a GET has for a body is not read as a wish.
        let answer = by("root").json(&json!({ "name": "other" })).to(&service, &format!("GET {path}")).await;
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(by("root").to(&service, &format!("GET {path}")).await.status, 200, "{path}");
    }
    assert_eq!((read(&service, &id).await, events(&service, &id).await), before);
    assert_eq!(count(&service).await, 1);
}

#[tokio::test]
async fn revoking_twice_is_one_revoke() {
    let service = Service::start().await;
    let id = create(&service, "deploy").await;
    let revoke = format!("POST /tokens/{id}/revoke");
    let (first, second) = (by("ada").to(&service, &revoke).await, by("ada").to(&service, &revoke).await);
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.json(), second.json());
    assert_eq!(events(&service, &id).await, ["created", "revoked"]);
}

#[tokio::test]
async fn bodies_are_read_strictly_and_refused_alike() {
    let service = Service::start().await;
    let bodies: Vec<Vec<u8>> = vec![
        b"".into(),
        b"canary".into(),
        b"null".into(),
        b"[]".into(),
        br#"{"name":"canary","canary":1}"#.into(),
        br#"{"name":"canary","name":"canary"}"#.into(),
        br#"{"name":"canary","n\u0061me":"canary"}"#.into(),
        br#"{"name":7}"#.into(),
        br#"{"name":null}"#.into(),
        br#"{"name":["canary"]}"#.into(),
        br#"{"name":"canary","grants":"all"}"#.into(),
        br#"{"name":"canary","grants":[{"scope":"projects:read"}]}"#.into(),
        br#"{"name":"canary","grants":[{"scope":"projects:read","resources":"all","canary":1}]}"#.into(),
        br#"{"name":"canary","grants":[{"scope":"projects:read","scope":"projects:read","resources":"all"}]}"#.into(),
        b"{\"name\":\"canary\xff\"}".into(),
        br#"{"name":"canary"} {}"#.into(),
        br#"{"name":"canary"}canary"#.into(),
        b"\xef\xbb\xbf{\"name\":\"canary\"}".into(),
        br#"{"name":"canary","expires":NaN}"#.into(),
        [b"[".repeat(10_000), b"]".repeat(10_000)].concat(),
    ];
    let mut answers = Vec::new();
    for body in bodies {
        answers.push(lasting(by("ada").text(body).to(&service, "POST /tokens").await));
    }
    assert_eq!(code(&answers[0]), (400, "invalid_body".into()));
    assert!(!answers[0].body.contains("canary"));
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    for query in ["canary=1", "q=a&q=b", "limit=0", "limit=canary", "state=canary", "q=%FF", "q=%4"] {
        let answer = by("ada").to(&service, &format!("GET /tokens?{query}")).await;
        assert_eq!(code(&answer), (400, "invalid_query".into()), "{query}");
        assert!(!answer.body.contains("canary"));
    }
    let form = by("ada").typed("text/plain", deploy().to_string());
    assert_eq!(code(&form.to(&service, "POST /tokens").await), (415, "not_json".into()));
    assert_eq!(count(&service).await, 0);
}

#[tokio::test]
async fn no_grants_are_no_rights_and_unknown_scopes_are_refused() {
    let service = Service::start().await;
    for body in
        [json!({ "name": "none" }), json!({ "name": "none", "grants": null }), json!({ "name": "none", "grants": [] })]
    {
        let created = creates(&service, &body).await;
        assert_eq!((created.status, &created.json()["token"]["grants"]), (201, &json!([])), "{body}");
        let text = created.json()["text"].as_str().unwrap().to_owned();
        assert_eq!(service.holder(&text, "GET /projects").await.status, 403);
    }
    let unknown = json!({ "name": "x", "grants": [{ "scope": "canary:read", "resources": "all" }] });
    let answer = creates(&service, &unknown).await;
    assert_eq!(code(&answer), (400, "unknown_scope".into()));
    assert!(!answer.body.contains("canary"));
    // Nor are there wildcards, where the catalog has none.
    for scope in ["projects:*", "*:*"] {
        let wild = json!({ "name": "x", "grants": [{ "scope": scope, "resources": "all" }] });
        assert_eq!(creates(&service, &wild).await.status, 400);
    }
    let id = create(&service, "deploy").await;
    let edit = json!({ "grants": null });
    let edited = by("ada").json(&edit).to(&service, &format!("PATCH /tokens/{id}")).await;
    assert_eq!((edited.status, &edited.json()["grants"]), (200, &json!([])));
}

#[tokio::test]
async fn expiries_are_in_the_future_and_within_the_policy() {
    let service = Service::start().await;
    // The clock stands at 2027-01-31T10:00:00Z.
    let refused = [
        (json!({ "at": "2027-01-31T09:59:59Z" }), 409),
        (json!({ "at": "2027-01-31T10:00:00Z" }), 409),
        (json!({ "at": "1969-12-31T23:59:59Z" }), 409),
        (json!({ "at": "9999-12-31T23:59:59Z" }), 409),
        (json!({ "at": "2027-02-30T00:00:00Z" }), 400),
        (json!({ "at": "tomorrow" }), 400),
        (json!({ "at": 1_801_389_600 }), 400),
        (json!({ "after_seconds": 0 }), 400),
        (json!({ "after_seconds": -1 }), 400),
        (json!({ "after_seconds": 0.5 }), 400),
        (json!({ "after_seconds": 1e300 }), 400),
        (json!({ "after_seconds": u64::MAX }), 400),
        (json!({ "after_seconds": "60" }), 400),
        (json!({ "after_seconds": 60, "at": "2027-02-28T00:00:00Z" }), 400),
        (json!({}), 400),
        (Value::Null, 400),
        (json!("never"), 409),
    ];
    for (expires, status) in refused {
        let body = json!({ "name": "x", "expires": expires });
        assert_eq!(creates(&service, &body).await.status, status, "{body}");
    }
    assert_eq!(count(&service).await, 0);

    let body = json!({ "name": "brief", "expires": { "after_seconds": 3600 } });
    let id = creates(&service, &body).await.json()["token"]["id"].as_str().unwrap().to_owned();
    assert_eq!(read(&service, &id).await["expires_at"], "2027-01-31T11:00:00Z");
    // Left out, it stays as it is.
    by("ada").json(&json!({ "name": "renamed" })).to(&service, &format!("PATCH /tokens/{id}")).await;
    by("ada").to(&service, &format!("POST /tokens/{id}/rotate")).await;
    let token = read(&service, &id).await;
    assert_eq!((&token["name"], &token["expires_at"]), (&json!("renamed"), &json!("2027-01-31T11:00:00Z")));
    assert_eq!(events(&service, &id).await, ["created", "edited", "rotated"]);
}

#[tokio::test]
async fn names_are_kept_exactly_and_have_no_hidden_characters() {
    let service = Service::start().await;
    let long = "é".repeat(100);
    for name in ["a", "</script><script>alert(1)</script>", "=cmd|'/c calc'!A1", "日本語 𝄞", &long] {
        let id = create(&service, name).await;
        assert_eq!(read(&service, &id).await["name"], name);
    }
    let too_long = "é".repeat(101);
    for name in ["", "a\u{0}b", "a\nb", "a\u{1b}[31m", "a\u{7f}", "a\u{85}", "a\u{202e}b", "a\u{2066}b", &too_long] {
        let answer = creates(&service, &json!({ "name": name })).await;
        assert_eq!(code(&answer), (400, "invalid_body".into()), "{name:?}");
    }
    assert_eq!(count(&service).await, 5);
}

async fn at_most(service: &Service, live_tokens_per_owner: u32) {
    let policy = Policy { live_tokens_per_owner, ..Policy::default() };
    service.tokens.manage(&admin()).set_policy(&policy).await.unwrap();
}

#[tokio::test]
async fn caps_count_live_tokens_and_hold_in_a_race() {
    let service = Service::start().await;
    at_most(&service, 2).await;
    let first = create(&service, "first").await;
    create(&service, "second").await;
    assert_eq!(code(&creates(&service, &deploy()).await), (409, "cap_reached".into()));
    by("ada").to(&service, &format!("POST /tokens/{first}/revoke")).await;

    let third = deploy();
    let (a, b, c) = tokio::join!(creates(&service, &third), creates(&service, &third), creates(&service, &third));
    let mut statuses = [a.status, b.status, c.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409]);
    assert_eq!(count(&service).await, 3);
    // Each owner has a cap of its own.
    assert_eq!(by("bob").json(&deploy()).to(&service, "POST /tokens").await.status, 201);
}

#[tokio::test]
async fn races_have_one_outcome() {
    let service = Service::start().await;
    at_most(&service, 100).await;
    for round in 0..10 {
        let id = create(&service, "raced").await;
        let rotate = format!("POST /tokens/{id}/rotate");
        let (a, b) = tokio::join!(by("ada").to(&service, &rotate), by("ada").to(&service, &rotate));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{a:?} {b:?}");

        let (edit, change) = (json!({ "name": "late" }), format!("PATCH /tokens/{id}"));
        let revoke = format!("POST /tokens/{id}/revoke");
        let (edited, rotated, revoked) = tokio::join!(
            by("ada").json(&edit).to(&service, &change),
            by("ada").json(&json!({ "replace": "ending_superseded" })).to(&service, &rotate),
            by("ada").to(&service, &revoke),
        );
        assert_eq!(revoked.status, 200, "nothing keeps a token from being revoked");
        for lost in [&edited, &rotated] {
            assert!(matches!(lost.status, 200 | 409), "{lost:?}");
        }
        let token = read(&service, &id).await;
        assert_eq!(token["state"], "revoked");
        assert_eq!(events(&service, &id).await.last().map(String::as_str), Some("revoked"), "{round}");

        let wanted = deploy();
        let (created, suspended) =
            tokio::join!(creates(&service, &wanted), by("root").to(&service, "POST /owners/ada/suspend"));
        assert_eq!(suspended.status, 200);
        if created.status == 201 {
            let text = created.json()["text"].as_str().unwrap().to_owned();
            assert_eq!(service.holder(&text, "GET /projects").await.status, 401);
        } else {
            assert_eq!(code(&created), (409, "owner_suspended".into()));
        }
        assert_eq!(by("root").to(&service, "POST /owners/ada/resume").await.status, 200);
    }
}

#[tokio::test]
async fn an_edit_is_in_force_when_it_is_answered() {
    let service = Service::start().await;
    let created = creates(&service, &deploy()).await.json();
    let (id, text) = (created["token"]["id"].as_str().unwrap(), created["text"].as_str().unwrap());
    for (grants, status) in [(json!([]), 403), (deploy()["grants"].clone(), 200)] {
        assert_eq!(service.holder(text, "GET /any").await.status, 200);
        let edit = json!({ "grants": grants });
        assert_eq!(by("ada").json(&edit).to(&service, &format!("PATCH /tokens/{id}")).await.status, 200);
        assert_eq!(service.holder(text, "GET /projects").await.status, status);
    }
}

/// As a secret scanner sends it: signed, and of nobody who is signed in.
async fn reports(service: &Service, signed: &str, sent: &str) -> Answer {
    let signature: Signature = reporter().sign(signed.as_bytes());
    let lines = [
        "Content-Type: application/json".to_owned(),
        "Github-Public-Key-Identifier: reporter".to_owned(),
        format!("Github-Public-Key-Signature: {}", Base64::encode_string(signature.to_der().as_bytes())),
        format!("Content-Length: {}", sent.len()),
    ];
    let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    let bytes = [bytes_of("POST /api/tokens/leak-reports", &lines), sent.into()].concat();
    send_bytes(service.address, &bytes).await.expect("an answer")
}

#[tokio::test]
async fn a_leaked_token_is_revoked_by_a_signed_report_that_holds_all_of_it() {
    let service = Service::start().await;
    let created = creates(&service, &deploy()).await.json();
    let (id, text) = (created["token"]["id"].as_str().unwrap(), created["text"].as_str().unwrap());
    let batch = |last: &str| {
        let mut texts: Vec<String> = (0..1000).map(|n| with_checksum(&format!("acme_test_{n:048}"))).collect();
        texts.push(last.to_owned());
        json!(
            texts
                .iter()
                .map(|text| json!({ "token": text, "type": "acme", "url": "https://x.example" }))
                .collect::<Vec<_>>()
        )
        .to_string()
    };
    let (wrong, right) = (batch(&with_wrong_verifier(text)), batch(text));
    let refused = reports(&service, &wrong, &right).await;
    assert_eq!(code(&refused), (403, "unknown_reporter".into()));
    assert_eq!(reports(&service, &wrong, &wrong).await.json()[1000]["label"], "false_positive");
    assert_eq!(service.holder(text, "GET /projects").await.status, 200);
    for _ in 0..2 {
        let answer = reports(&service, &right, &right).await;
        assert_eq!((answer.status, &answer.json()[1000]["label"]), (200, &json!("true_positive")));
        assert_eq!(answer.json()[999]["label"], "false_positive");
        assert!(!answer.body.contains("acme_test"));
        assert_eq!(service.holder(text, "GET /projects").await.status, 401);
    }
    assert_eq!(events(&service, id).await, ["created", "revoked"]);
}
