//! Token management over real sockets: what the mount hands over, and what a program or a page meets.

use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use token_core::{ListFilter, Position, Tokens};
use token_screen::{Management, SignedIn};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{Answer, bytes_of, send_bytes};
use crate::service::{Service, admin, all, other_owner, owner, text};

const ORIGIN: &str = "https://app.example";

/// People are signed in by a header of theirs here, which stands for the cookie of a host.
pub(crate) fn mount(tokens: &Tokens) -> Router {
    let clock = tokens.clone();
    let sign_in = move |headers: HeaderMap| {
        let now = clock.now();
        async move {
            let actor = match headers.get("x-user").map(|value| value.to_str().unwrap()) {
                None => return Ok(None),
                Some("ada") => owner(),
                Some("bob") => other_owner(),
                Some("root") => admin(),
                Some("viewer") => owner().read_only(),
                Some(_) => return Err("canary-of-the-sessions"),
            };
            Ok(Some(SignedIn::by_cookie(actor, now)))
        }
    };
    token_axum::management(Management::new(tokens, "/api/tokens").origin(ORIGIN), sign_in)
}

struct Sent<'a> {
    user: &'a str,
    lines: Vec<String>,
    body: Vec<u8>,
}

/// A request of a page of the host's own, by someone who is signed in.
fn by(user: &str) -> Sent<'_> {
    Sent { user, lines: vec![format!("Origin: {ORIGIN}")], body: Vec::new() }
}

impl Sent<'_> {
    fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    fn json(self, body: &Value) -> Self {
        self.text(body.to_string())
    }

    fn text(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.line("Content-Type: application/json")
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

    async fn to(self, service: &Service, method_and_path: &str) -> Answer {
        send_bytes(service.address, &self.bytes(method_and_path)).await.expect("an answer")
    }
}

fn deploy() -> Value {
    json!({ "name": "deploy", "grants": [{ "scope": "projects:read", "resources": "all" }] })
}

async fn count(service: &Service) -> usize {
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
        assert!(!answer.body.contains("canary"), "{answer:?}");
    }
    assert_eq!(count(&service).await, 0);
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
        assert_eq!(service.anonymous(&format!("GET {path}")).await.status, 401, "{path}");
    }
}
