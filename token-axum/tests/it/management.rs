//! Token management over real sockets: what the mount hands over, and what a program or a page meets.

use std::time::Duration;

use p256::ecdsa::SigningKey;
use p256::pkcs8::{EncodePublicKey, LineEnding};
use serde_json::{Value, json};
use token_core::{ListFilter, Position, Time, Tokens};
use token_screen::{Management, ReporterKeys, SignedIn};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{Answer, bytes_of, send_bytes};
use crate::service::{ProjectsRead, Service, admin, all, other_owner, owner, text};

const ORIGIN: &str = "https://app.example";

/// The key of those who report leaks here.
pub(crate) fn reporter() -> SigningKey {
    SigningKey::from_slice(&[1; 32]).unwrap()
}

/// Who is signed in, by the header that stands for the cookie of a host.
pub(crate) fn signed_in(user: Option<&[u8]>, now: Time) -> Result<Option<SignedIn>, &'static str> {
    let actor = match user {
        None => return Ok(None),
        Some(b"ada") => owner(),
        Some(b"bob") => other_owner(),
        Some(b"root") => admin(),
        Some(b"viewer") => owner().read_only(),
        Some(_) => return Err("canary-of-the-sessions"),
    };
    Ok(Some(SignedIn::by_cookie(actor, now)))
}

pub(crate) fn management(tokens: &Tokens) -> Management {
    let pem = reporter().verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
    let reporters = ReporterKeys::new([("reporter", pem)]).unwrap();
    Management::new(tokens, "/api/tokens")
        .origin(ORIGIN)
        .leak_reports(reporters)
        .introspection::<ProjectsRead>()
        .revocation::<ProjectsRead>()
        .forward_auth()
}

pub(crate) struct Sent<'a> {
    user: &'a str,
    lines: Vec<String>,
    body: Vec<u8>,
}

/// A request of a page of the host's own, by someone who is signed in.
pub(crate) fn by(user: &str) -> Sent<'_> {
    Sent { user, lines: vec![format!("Origin: {ORIGIN}")], body: Vec::new() }
}

impl Sent<'_> {
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.text(body.to_string())
    }

    pub(crate) fn text(self, body: impl Into<Vec<u8>>) -> Self {
        self.typed("application/json", body)
    }

    pub(crate) fn typed(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.line(&format!("Content-Type: {media_type}"))
    }

    fn key(self, key: &str) -> Self {
        self.line(&format!("Idempotency-Key: {key}"))
    }

    fn bytes(&self, method_and_path: &str) -> Vec<u8> {
        let user = format!("X-User: {}", self.user);
        let length = format!("Content-Length: {}", self.body.len());
        let mut lines: Vec<&[u8]> = self.lines.iter().map(String::as_bytes).collect();
        lines.extend([user.as_bytes(), length.as_bytes()]);
        let (method, path) = method_and_path.split_once(' ').unwrap();
        let mut bytes = bytes_of(&format!("{method} /api/tokens{path}"), &lines);
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub(crate) async fn to(self, service: &Service, method_and_path: &str) -> Answer {
        send_bytes(service.address, &self.bytes(method_and_path)).await.expect("an answer")
    }
}

pub(crate) fn deploy() -> Value {
    json!({ "name": "deploy", "grants": [{ "scope": "projects:read", "resources": "all" }] })
}

pub(crate) async fn create(service: &Service, name: &str) -> String {
    let mut body = deploy();
    body["name"] = name.into();
    let created = by("ada").json(&body).to(service, "POST /tokens").await;
    assert_eq!(created.status, 201, "{created:?}");
    created.json()["token"]["id"].as_str().unwrap().to_owned()
}

/// The kinds of a token's events, oldest first.
pub(crate) async fn events(service: &Service, id: &str) -> Vec<String> {
    let page = by("ada").to(service, &format!("GET /tokens/{id}/events")).await.json();
    page["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

pub(crate) async fn count(service: &Service) -> usize {
    let page = service.tokens.manage(&admin()).list(None, ListFilter::Any, None, Position::Created(None), 200).await;
    page.unwrap().tokens.len()
}

#[tokio::test]
async fn without_a_session_store_nobody_is_let_in_and_nobody_is_called_a_stranger() {
    let service = Service::start().await;
    for (method_and_path, body) in [("GET /tokens", None), ("POST /tokens", Some(deploy()))] {
        let sent = body.iter().fold(by("down"), |sent, body| sent.json(body));
        let answer = sent.to(&service, method_and_path).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, vec!["1"]), "{answer:?}");
        assert_eq!(answer.problem()["code"], "temporarily_unavailable");
        assert!(!answer.body.contains("canary"), "{answer:?}");
    }
    assert_eq!(count(&service).await, 0);
}

#[tokio::test]
async fn programs_are_answered_without_a_session_store() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let credential = format!("Authorization: Bearer {}", text(&minted));
    let form = || by("down").typed("application/x-www-form-urlencoded", format!("token={}", text(&minted)));
    for (sent, method_and_path, status) in [
        (by("down").line(&credential), "GET /forward-auth/projects:read", 200),
        (by("down"), "DELETE /forward-auth/projects:read/x", 401),
        (form().line(&credential), "POST /introspect", 200),
        (form(), "POST /introspect", 401),
        (form(), "POST /revoke", 401),
        (by("down").text("[]"), "POST /leak-reports", 403),
        (by("down"), "GET /openapi.json", 200),
        (by("down"), "GET /introspect", 405),
        (by("down"), "GET /none", 404),
        (by("down").line(&credential), "GET /self", 503),
        (by("down").line(&credential), "GET /tokens", 503),
        (form().line(&credential), "POST /revoke", 200),
    ] {
        let answer = sent.to(&service, method_and_path).await;
        assert_eq!(answer.status, status, "{method_and_path} {answer:?}");
    }
    assert_eq!(service.holder(text(&minted), "GET /any").await.status, 401);
}

#[tokio::test]
async fn a_body_that_breaks_off_changes_nothing() {
    let service = Service::start().await;
    let whole = by("ada").json(&deploy()).bytes("POST /tokens");
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(&whole[..whole.len() - 1]).await.unwrap();
    stream.shutdown().await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(count(&service).await, 0);

    // Chunks that are none.
    let mut garbage = bytes_of(
        "POST /api/tokens/tokens",
        &[
            b"X-User: ada",
            b"Origin: https://app.example",
            b"Content-Type: application/json",
            b"Transfer-Encoding: chunked",
        ],
    );
    garbage.extend_from_slice(b"5\r\n{\"nam\r\nXYZ\r\n");
    let answer = send_bytes(service.address, &garbage).await;
    assert!(answer.as_ref().is_none_or(|answer| answer.status == 400), "{answer:?}");
    assert_eq!(count(&service).await, 0);
}

#[tokio::test]
async fn a_mount_leaves_every_other_path_to_the_host() {
    let service = Service::start().await;
    for path in ["/api/token", "/api/tokensx", "/api", "/API/tokens", "/api/%74okens", "/none"] {
        let answer = service.anonymous(&format!("GET {path}")).await;
        assert_eq!(answer.problem()["code"], "no_credentials", "{path}");
    }
}

#[tokio::test]
async fn every_path_and_method_below_the_base_reaches_the_management() {
    let service = Service::start().await;
    let id = create(&service, "deploy").await;
    for path in ["", "/", "/tokens/", "//tokens", "/x/../tokens", "/tokens%2F", "/Tokens", "/%FF"] {
        let answer = by("ada").to(&service, &format!("GET {path}")).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (404, Some("not_found")), "{path}");
    }
    // What is percent-encoded without need is the same path, and an encoded slash is part of an id.
    let encoded = id.replace('-', "%2D");
    assert_eq!(by("ada").to(&service, &format!("GET /tokens/{encoded}")).await.status, 200);
    assert_eq!(by("ada").to(&service, &format!("GET /tokens/{id}%2Fusage")).await.status, 404);
    for method in ["DELETE", "PUT", "OPTIONS", "TRACE", "BREW", "get"] {
        let answer = by("ada").to(&service, &format!("{method} /tokens")).await;
        assert_eq!((answer.status, answer.header("allow")), (405, vec!["GET, POST, HEAD"]), "{method}");
    }

    let mut get = by("ada").to(&service, "GET /tokens").await;
    let mut head = by("ada").to(&service, "HEAD /tokens").await;
    assert_eq!(get.header("content-length"), [get.body.len().to_string()]);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for answer in [&mut get, &mut head] {
        answer.headers.retain(|(name, _)| name != "date");
        answer.headers.sort();
    }
    assert!(!get.body.is_empty());
    assert_eq!(head.headers, get.headers);
}

#[tokio::test]
async fn a_body_is_64_kib_at_most() {
    let service = Service::start().await;
    for (length, status) in [(64 * 1024, 201), (64 * 1024 + 1, 413), (1 << 20, 413)] {
        let mut body = deploy().to_string();
        body.extend(std::iter::repeat_n(' ', length - body.len()));
        assert_eq!(by("ada").text(body).to(&service, "POST /tokens").await.status, status, "{length}");
    }
    assert_eq!(count(&service).await, 1);
}

#[tokio::test]
async fn changes_come_from_pages_of_the_host_s_own() {
    let service = Service::start().await;
    let own = "Origin: https://app.example";
    let refused: [&[&str]; 9] = [
        &[],
        &["Origin: https://evil.example"],
        &["Origin: https://app.example.evil.example"],
        &["Origin: http://app.example"],
        &["Origin: null"],
        &[own, own],
        &[own, "Origin: https://evil.example"],
        &["Sec-Fetch-Site: cross-site"],
        &["Origin: https://evil.example", "Sec-Fetch-Site: same-origin"],
    ];
    for lines in refused {
        let sent = lines.iter().fold(Sent { lines: Vec::new(), ..by("ada") }, |sent, line| sent.line(line));
        let answer = sent.json(&deploy()).to(&service, "POST /tokens").await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (403, Some("cross_site")), "{lines:?}");
    }
    // A form of another site, which can't say that it sends JSON.
    let form = Sent { lines: vec!["Origin: https://evil.example".into()], ..by("ada") };
    let form = form.typed("application/x-www-form-urlencoded", "name=x");
    let answer = form.to(&service, "POST /tokens").await;
    assert_eq!(answer.status, 403);
    assert_eq!(count(&service).await, 0);

    for line in [own, "Sec-Fetch-Site: same-origin"] {
        let sent = Sent { lines: vec![line.into()], ..by("ada") };
        assert_eq!(sent.json(&deploy()).to(&service, "POST /tokens").await.status, 201, "{line}");
    }
    // To look, it does not matter where one comes from: the browser keeps the answer from other sites.
    let elsewhere = Sent { lines: vec!["Origin: https://evil.example".into()], ..by("ada") };
    let answer = elsewhere.to(&service, "GET /tokens").await;
    assert_eq!((answer.status, answer.header("cross-origin-resource-policy")), (200, vec!["same-origin"]));
    assert!(answer.header("access-control-allow-origin").is_empty());
}

#[tokio::test]
async fn a_request_sent_twice_makes_one_change() {
    let service = Service::start().await;
    let first = by("ada").json(&deploy()).key("k").to(&service, "POST /tokens").await;
    let again = by("ada").json(&deploy()).key("k").to(&service, "POST /tokens").await;
    assert_eq!((first.status, again.status), (201, 200));
    let (first, mut again) = (first.json(), again.json());
    assert!(first["text"].is_string() && again["text"].is_null());
    again["text"] = first["text"].clone();
    assert_eq!(first, again);

    let other = json!({ "name": "other", "grants": [] });
    let answer = by("ada").json(&other).key("k").to(&service, "POST /tokens").await;
    assert_eq!((answer.status, answer.problem()["code"].as_str()), (409, Some("change_id_reused")));
    // The same key of someone else's is another change.
    assert_eq!(by("bob").json(&deploy()).key("k").to(&service, "POST /tokens").await.status, 201);
    assert_eq!(count(&service).await, 2);

    // Both at once.
    let (a, b) = tokio::join!(
        by("ada").json(&deploy()).key("both").to(&service, "POST /tokens"),
        by("ada").json(&deploy()).key("both").to(&service, "POST /tokens"),
    );
    let shown = [&a, &b].map(|answer| answer.json()["text"].is_string());
    assert_eq!(shown.iter().filter(|shown| **shown).count(), 1, "{a:?} {b:?}");
    assert_eq!(count(&service).await, 3);

    let id = first["token"]["id"].as_str().unwrap();
    for _ in 0..2 {
        let rotated = by("ada").key("r").to(&service, &format!("POST /tokens/{id}/rotate")).await;
        assert_eq!(rotated.status, 200, "{rotated:?}");
    }
    assert_eq!(events(&service, id).await, ["created", "rotated"]);
}

#[tokio::test]
async fn of_a_change_whose_answer_was_lost_the_outcome_can_be_asked() {
    let service = Service::start().await;
    let mut made_before_the_cut = 0;
    for round in 0..40_u64 {
        let key = format!("round-{round}");
        let sent = by("ada").json(&deploy()).key(&key);
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream.write_all(&sent.bytes("POST /tokens")).await.unwrap();
        tokio::time::sleep(Duration::from_micros(100 * round)).await;
        drop(stream);

        let outcome = by("ada").to(&service, &format!("GET /changes/{key}")).await;
        let again = sent.to(&service, "POST /tokens").await.json();
        if outcome.status == 200 {
            made_before_the_cut += 1;
            assert!(again["text"].is_null(), "shown to a connection that is gone, and to no other");
        } else {
            assert_eq!(outcome.problem()["code"], "not_found");
        }
        let known = by("ada").to(&service, &format!("GET /changes/{key}")).await.json();
        assert_eq!(known["token"], again["token"]["id"], "{known}");
        assert_eq!(count(&service).await, usize::try_from(round + 1).unwrap());
        assert_eq!(by("bob").to(&service, &format!("GET /changes/{key}")).await.status, 404);
    }
    assert!(made_before_the_cut > 0);
}
