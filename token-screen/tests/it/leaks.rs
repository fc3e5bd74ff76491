//! Reports of leaked tokens: who may report, what is answered, and what becomes of the tokens.

use std::sync::Arc;

use base64ct::{Base64, Encoding};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{EncodePublicKey, LineEnding};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use token_core::testing::{Call, CountingStore, Hook, HookedStore, LeakSearch, with_checksum, with_wrong_verifier};
use token_core::{Fault, MemoryStore, StoreError};
use token_screen::{Management, ReporterKeyError, ReporterKeys, Request};

use crate::world::{Answer, Who, World, request, with, without};

const ID: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

fn pem(key: &SigningKey) -> String {
    key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap()
}

fn keys() -> ReporterKeys {
    ReporterKeys::new([("one", pem(&key(1))), ("two", pem(&key(2)))]).unwrap()
}

fn signature(key: &SigningKey, body: &str) -> String {
    let signature: Signature = key.sign(body.as_bytes());
    Base64::encode_string(signature.to_der().as_bytes())
}

/// As GitHub sends it: from no page of anyone's.
fn unsigned(body: &str) -> Request {
    without(request("POST", "/leak-reports", body), "origin")
}

fn signed(body: &str) -> Request {
    with(with(unsigned(body), ID, "one"), SIGNATURE, &signature(&key(1), body))
}

fn report(token: &str) -> Value {
    json!({ "token": token, "type": "acme_api_token", "url": "https://github.com/o/r/blob/1/f", "source": "content" })
}

async fn world() -> World {
    configured(World::new().await)
}

fn configured(mut world: World) -> World {
    world.management = world.management.leak_reports(keys());
    world
}

async fn send(world: &World, body: &str) -> Answer {
    world.send(Who::Anonymous, signed(body)).await
}

fn labels(answer: &Answer) -> Vec<&str> {
    answer.json.as_array().unwrap().iter().map(|leak| leak["label"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_signed_report_revokes_and_answers_in_order_without_the_tokens() {
    let world = world().await;
    let wrong = with_wrong_verifier(&world.bobs.text);
    let mut more = report(&world.plain.text);
    more["extra"] = json!({ "a": [1] });
    let body =
        json!([report(&world.rotated.text), report(&wrong), report("canary"), more, { "token": "" }]).to_string();
    for _ in 0..2 {
        let answer = send(&world, &body).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json);
        let expected = ["true_positive", "false_positive", "false_positive", "true_positive", "false_positive"];
        assert_eq!(labels(&answer), expected);
        let hash = Base64::encode_string(&Sha256::digest(world.rotated.text.as_bytes()));
        let first = json!({ "token_hash": hash, "token_type": "acme_api_token", "label": "true_positive" });
        assert_eq!((&answer.json[0], answer.json[4].get("token_type")), (&first, None));
        let search = LeakSearch::for_texts(world.texts.lock().unwrap().iter().map(String::as_str));
        assert_eq!(search.find_in(&answer.body), None);
        assert!(!String::from_utf8(answer.body).unwrap().contains("canary"));
    }
    for (known, state, events) in
        [(&world.rotated, "revoked", 3), (&world.plain, "revoked", 2), (&world.bobs, "live", 1)]
    {
        let token = world.ask(Who::Admin, "GET", &format!("/tokens/{}", known.id), "").await;
        let history = world.ask(Who::Admin, "GET", &format!("/tokens/{}/events", known.id), "").await;
        let all = history.json["events"].as_array().unwrap();
        assert_eq!((token.json["state"].as_str().unwrap(), all.len()), (state, events));
        let reporter = all.last().unwrap()["actor"] == "secret-scanning:github";
        assert_eq!(reporter, state == "revoked");
    }
}

#[tokio::test]
async fn only_a_plain_type_is_repeated() {
    let world = world().await;
    let long = "a".repeat(65);
    for kind in [json!("Upper"), json!(""), json!("a b"), json!(world.plain.text), json!(7), json!(null), json!(long)] {
        let body = json!([{ "token": "x", "type": kind }]).to_string();
        let answer = send(&world, &body).await;
        assert_eq!((answer.status, answer.json[0].get("token_type")), (200, None), "{kind}");
    }
}

#[tokio::test]
async fn whoever_is_no_reporter_is_told_one_thing_before_the_body_is_read() {
    let world = world().await;
    let body = json!([report(&world.plain.text)]).to_string();
    let right = signature(&key(1), &body);
    let raw: Signature = key(1).sign(body.as_bytes());
    let raw = Base64::encode_string(&raw.to_bytes());
    let by = |id: &str, signature: &str| with(with(unsigned(&body), ID, id), SIGNATURE, signature);
    let mut unreadable = with(unsigned(&body), SIGNATURE, &right);
    unreadable.headers.push((ID.to_owned(), b"\xff".to_vec()));
    let mut other_body = by("one", &right);
    other_body.body.push(b' ');
    let not_json = with(with(unsigned("canary"), ID, "one"), SIGNATURE, &right);
    let refused = [
        unsigned(&body),
        with(unsigned(&body), ID, "one"),
        with(unsigned(&body), SIGNATURE, &right),
        by("three", &right),
        by("ONE", &right),
        by("two", &right),
        by("", &right),
        by("one", ""),
        by("one", "canary"),
        by("one", &raw),
        by("one", &format!("{right}\n")),
        by("one", right.trim_end_matches('=').split_at(20).0),
        by("one", &signature(&key(2), &body)),
        by("one", &signature(&key(1), "[]")),
        with(by("one", &right), ID, "one"),
        with(by("one", &right), ID, "two"),
        with(by("one", &right), SIGNATURE, &right),
        unreadable,
        other_body,
        not_json,
    ];
    let state = world.state().await;
    let mut answers = Vec::new();
    for request in refused {
        answers.push(world.send(Who::Anonymous, request).await);
    }
    // Nor does it help to be anyone else.
    for who in Who::ALL {
        answers.push(world.send(who, unsigned(&body)).await);
    }
    assert_eq!((answers[0].status, answers[0].code()), (403, "unknown_reporter"));
    for (place, answer) in answers.iter().enumerate() {
        assert_eq!(*answer, answers[0], "{place}");
    }
    assert_eq!(world.state().await, state);
}

#[tokio::test]
async fn the_signature_is_all_that_counts() {
    for who in Who::ALL {
        let world = world().await;
        let body = json!([report(&world.bobs.text)]).to_string();
        let request = with(signed(&body), "origin", "https://evil.example");
        let request = with(request, "sec-fetch-site", "cross-site");
        let answer = world.send(who, without(request, "content-type")).await;
        assert_eq!((answer.status, labels(&answer)), (200, vec!["true_positive"]), "{who:?}");
    }
}

#[tokio::test]
async fn keys_can_be_replaced_while_they_are_in_use() {
    let mut world = World::new().await;
    let keys = keys();
    world.management = world.management.leak_reports(keys.clone());
    assert_eq!(send(&world, "[]").await.status, 200);
    keys.set([("three", pem(&key(3)))]).unwrap();
    assert_eq!(send(&world, "[]").await.status, 403);
    let by_three = with(with(unsigned("[]"), ID, "three"), SIGNATURE, &signature(&key(3), "[]"));
    assert_eq!(world.send(Who::Anonymous, by_three.clone()).await.status, 200);
    assert!(keys.set(Vec::<(String, String)>::new()).is_err());
    assert_eq!(world.send(Who::Anonymous, by_three).await.status, 200, "a refused set changes nothing");
    assert_eq!(format!("{keys:?}"), r#"["three"]"#);
}

#[test]
fn keys_that_are_none_are_named() {
    let good = pem(&key(1));
    assert!(matches!(ReporterKeys::new(Vec::<(&str, &str)>::new()), Err(ReporterKeyError::Empty)));
    let unnamed = ReporterKeys::new([("one", good.as_str()), ("a b", good.as_str())]);
    assert!(matches!(unnamed, Err(ReporterKeyError::Identifier { position: 2 })));
    let twice = ReporterKeys::new([("one", good.as_str()), ("one", good.as_str())]);
    assert!(matches!(twice, Err(ReporterKeyError::Duplicate { identifier }) if identifier == "one"));
    for bad in ["", "canary", &good.replace("PUBLIC", "PRIVATE"), &good[..80]] {
        let error = ReporterKeys::new([("one", bad)]).unwrap_err();
        assert!(matches!(&error, ReporterKeyError::Key { identifier, .. } if identifier == "one"), "{error:?}");
        assert!(error.to_string().contains("one"));
    }
    assert!(ReporterKeys::new([("one", format!("\n{}", good.replace('\n', "\r\n")))]).is_ok());
}

#[tokio::test]
async fn bodies_that_are_no_reports_are_refused() {
    let world = world().await;
    for body in [
        "",
        "{}",
        "null",
        "canary",
        "[1]",
        "[{}]",
        "[[]]",
        r#"[{"token":1}]"#,
        r#"[{"token":null}]"#,
        r#"[{"token":"a","token":"b"}]"#,
        "[] []",
    ] {
        let answer = send(&world, body).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_body"), "{body}");
    }
    let mut query = signed("[]");
    query.query = "a=1".to_owned();
    assert_eq!(world.send(Who::Anonymous, query).await.code(), "invalid_query");
    assert_eq!(send(&world, "[]").await.json, json!([]));

    let padded = |length: usize| format!("[{}]", " ".repeat(length - 2));
    assert_eq!(send(&world, &padded(Request::BODY_MAX)).await.status, 200);
    let answer = send(&world, &padded(Request::BODY_MAX + 1)).await;
    assert_eq!((answer.status, answer.code()), (413, "body_too_large"));
}

#[tokio::test]
async fn a_batch_has_5_000_reports_at_most_and_few_statements() {
    let store = Arc::new(CountingStore::new(Arc::new(MemoryStore::new())));
    let world = configured(World::on(Arc::clone(&store) as _).await);
    let mut reports: Vec<Value> = (0..4999).map(|n| report(&with_checksum(&format!("acme_test_{n:048}")))).collect();
    reports.push(report(&world.plain.text));
    let body = Value::from(reports.clone()).to_string();
    let before = store.calls();
    let answer = send(&world, &body).await;
    // To look all of them up, and to read and to revoke the one.
    assert_eq!(store.calls() - before, 3);
    assert_eq!(answer.status, 200);
    let labels = labels(&answer);
    assert_eq!((labels.len(), labels[4999]), (5000, "true_positive"));
    assert!(labels[..4999].iter().all(|label| *label == "false_positive"));

    reports.push(report("x"));
    let answer = send(&world, &Value::from(reports).to_string()).await;
    assert_eq!((answer.status, answer.code()), (400, "too_many_reports"));
}

#[tokio::test]
async fn without_keys_there_is_nothing() {
    let world = World::new().await;
    for who in Who::ALL {
        for method in ["POST", "GET", "DELETE"] {
            let ask = |path: &str| {
                let mut asked = signed("[]");
                (asked.method, asked.path) = (method.to_owned(), path.to_owned());
                world.send(who, asked)
            };
            let answer = ask("/leak-reports").await;
            assert_eq!((answer.status, &answer), (404, &ask("/leak-reportz").await));
        }
    }
    let configured = configured(world);
    for method in ["GET", "HEAD", "PUT"] {
        let answer = configured.ask(Who::Anonymous, method, "/leak-reports", "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
}

#[tokio::test]
async fn the_document_has_it_where_it_is_configured() {
    let world = world().await;
    let document = world.ask(Who::Anonymous, "GET", "/openapi.json", "").await.json;
    let operation = &document["paths"]["/leak-reports"]["post"];
    assert_eq!(operation["operationId"], "reportLeaks");
    let statuses: Vec<&String> = operation["responses"].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["200", "400", "403", "413", "503"]);
    let names: Vec<&str> =
        operation["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, [ID, SIGNATURE]);
    for name in ["LeakReports", "Leaks", "Leak"] {
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
    let plain = Management::new(&world.tokens, "/api/tokens");
    let answer = plain.handle(request("GET", "/openapi.json", ""), None).await;
    assert!(!String::from_utf8(answer.body).unwrap().to_lowercase().contains("leak"));
}

struct Down;

#[async_trait::async_trait]
impl Hook for Down {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        if call == Call::Load { Err(Fault::ConnectionLost.into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_a_503_to_come_back_from() {
    let store = HookedStore::hooked(Arc::new(MemoryStore::new()), Down);
    let world = configured(World::on(Arc::new(store)).await);
    let answer = send(&world, &json!([report(&world.plain.text)]).to_string()).await;
    assert_eq!((answer.status, answer.code()), (503, "temporarily_unavailable"));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(send(&world, &json!([report("canary")]).to_string()).await.status, 200);
}
