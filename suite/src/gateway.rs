//! nginx in front of a service that is not written in Rust, as `examples/gateway` has it, with a quickstart that says who may pass.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::case::Store;
use crate::people::People;
use crate::program::Program;

/// A hang is a failure, not a wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// nginx and the service behind it. Ended when it is dropped.
struct Gateway {
    address: SocketAddr,
    nginx: Child,
    upstream: Child,
    _folder: tempfile::TempDir,
}

/// What a client gets.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Sends requests through the gateway, and looks at what comes back and what the service behind is sent.
///
/// # Panics
/// If anything is not as it should be.
pub fn play_gateway(quickstart: &Path) {
    let program = Program::start_with(quickstart, &[("TRUSTED_PROXIES", "127.0.0.1")]);
    let people = People::meet(&program);
    let gateway = Gateway::start(program.address());
    let bearer = |name: &str| people.filled(&format!("Authorization: Bearer ${{{name}}}"));
    let ask = |send: &str, lines: &[&str]| gateway.ask(Ipv4Addr::LOCALHOST, send, lines);

    // Whoever may pass is named to the service behind, and the token stays here.
    let passed = ask("GET /p?q=1", &[&bearer("reader")]);
    assert_eq!(passed.status, 200, "{}", passed.body);
    let sent = passed.sent();
    assert_eq!((&sent["method"], &sent["path"]), (&"GET".into(), &"/p?q=1".into()));
    assert_eq!(passed.received("x-token-owner"), ["ann"]);
    assert_eq!(passed.received("x-token-scopes"), ["projects:read"]);
    assert_eq!(passed.received("x-token-id").len(), 1);
    assert_eq!(passed.received("authorization"), [""; 0]);
    let with_key = ask("GET /p", &[&bearer("reader"), "X-API-Key: another"]);
    assert_eq!((with_key.status, with_key.received("x-api-key")), (200, vec![]));
    assert!(!passed.body.contains("acme_live_"), "{}", passed.body);
    let posted = gateway.send(Ipv4Addr::LOCALHOST, "POST /write/p", &[&bearer("writer")], "content");
    assert_eq!((posted.status, posted.sent()["body"].as_str()), (200, Some("content")));

    // What a client says of itself counts for nothing.
    let forged = [
        &bearer("reader"),
        "X-Token-Owner: root",
        "x-token-owner: admin",
        "X-TOKEN-SCOPES: projects:write",
        "X-Token-Id: 1",
        "X_Token_Owner: root",
        "X.Token.Owner: root",
        "X-Original-URI: /write/p",
        "X-Forwarded-For: 198.51.100.7",
    ];
    let passed = ask("GET /p", &forged);
    assert_eq!(passed.status, 200);
    assert_eq!(passed.received("x-token-owner"), ["ann"]);
    assert_eq!(passed.received("x-token-scopes"), ["projects:read"]);
    assert_eq!(passed.received("x-token-id").len(), 1);
    assert_eq!(passed.received("x-forwarded-for"), ["127.0.0.1"]);
    assert!(!passed.body.contains("root") && !passed.body.contains("admin"), "{}", passed.body);
    for path in ["/_token/projects:read", "/_token/", "/%5ftoken/projects:read"] {
        assert_eq!(ask(&format!("GET {path}"), &[&bearer("reader")]).status, 404, "{path}");
    }
    // The scope is that of the location that nginx serves, however its path is written.
    for path in ["/write/p", "/write/../write/p", "/%77rite/p", "//write/p", "/./write/p"] {
        assert_eq!(ask(&format!("GET {path}"), &[&bearer("reader")]).status, 403, "{path}");
    }
    // And the service behind is asked for what that location is, never for what it may read otherwise.
    for (token, path, arrives) in [
        ("reader", "/write/../p?a=%2F..&b", "/p?a=%2F..&b"),
        ("reader", "/write/..%2Fp", "/p"),
        ("reader", "/write/%2e%2E/p", "/p"),
        ("reader", "/p%2F..%2F%71", "/q"),
        ("reader", "/p%20q%3Fr%0D%0AX-Token-Owner:%20root%23%25", "/p%20q%3Fr%0D%0AX-Token-Owner:%20root%23%25"),
        ("writer", "/p/..%2Fwrite/q", "/write/q"),
        ("writer", "/write/..%252Fp", "/write/..%252Fp"),
    ] {
        let passed = ask(&format!("GET {path}"), &[&bearer(token)]);
        assert_eq!((passed.status, passed.sent()["path"].as_str()), (200, Some(arrives)), "{path}");
        assert_eq!(passed.received("x-token-owner"), ["ann"]);
    }

    // What some services take for another path is refused as no path, also where it is written in hexadecimal, and whoever asks.
    for path in [
        "/x/..;/write/p",
        "/write;a/p",
        "/;/write/p",
        "/write/..;a=b/p",
        "/x/..%3B/write/p",
        "/write%3ba/p",
        "/x\\..\\write\\p",
        "/x%5C..%5cwrite/p",
    ] {
        for token in [&*bearer("reader"), &*bearer("writer"), "Authorization: Bearer x"] {
            let refused = ask(&format!("POST {path}"), &[token]);
            assert_eq!(refused.status, 400, "{path}");
            assert!(!refused.body.contains("headers"), "the service behind was asked: {}", refused.body);
        }
    }
    assert_eq!(ask("GET /p?a=1;b=/..;/write", &[&bearer("reader")]).sent()["path"], "/p?a=1;b=/..;/write");

    // Whoever may not is told why, as far as clients are told.
    for (lines, status, challenge) in [
        (vec![], 401, r#"Bearer realm="api""#),
        (vec!["Authorization: Bearer x".to_owned()], 401, r#"Bearer realm="api", error="invalid_token""#),
        (vec![bearer("revoked")], 401, r#"Bearer realm="api", error="invalid_token""#),
        (vec![bearer("expired")], 401, r#"Bearer realm="api", error="invalid_token""#),
        (vec!["Authorization: Bearer x y".to_owned()], 400, r#"Bearer realm="api", error="invalid_request""#),
        (vec![bearer("nobody")], 403, r#"Bearer realm="api", error="insufficient_scope", scope="projects:read""#),
    ] {
        let refused = ask("GET /p", &lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((refused.status, refused.header("www-authenticate")), (status, vec![challenge]));
        assert_eq!(refused.header("cache-control"), ["no-store"]);
        assert!(!refused.body.contains("headers"), "the service behind was asked: {}", refused.body);
    }

    // Two of them nginx refuses by itself.
    assert_eq!(ask("GET /p", &[&bearer("reader"), &bearer("writer")]).status, 400);

    // The client's address is that of the connection to nginx.
    let ann = people.filled("${ann}");
    let near = people.mint(
        &program,
        &ann,
        r#"{"name":"near","grants":[{"scope":"projects:read","resources":"all"}],"networks":["127.0.0.2"]}"#,
    );
    let near = format!("Authorization: Bearer {near}");
    let from = |last: u8, lines: &[&str]| gateway.ask(Ipv4Addr::new(127, 0, 0, last), "GET /p", lines).status;
    assert_eq!(from(2, &[&near]), 200);
    assert_eq!(from(3, &[&near]), 401);
    assert_eq!(
        from(3, &[&near, "X-Forwarded-For: 127.0.0.2", "X-Real-IP: 127.0.0.2", "Forwarded: for=127.0.0.2"]),
        401
    );
    assert_eq!(from(2, &[&near, "X-Forwarded-For: 127.0.0.3"]), 200);
    assert_eq!(from(1, &[&bearer("elsewhere"), "X-Forwarded-For: 198.51.100.7"]), 401);

    // A revoke counts at once, or within the bound at the latest.
    let (text, id) =
        people.mint_known(&program, &ann, r#"{"name":"brief","grants":[{"scope":"projects:read","resources":"all"}]}"#);
    let brief = format!("Authorization: Bearer {text}");
    assert_eq!(ask("GET /p", &[&brief]).status, 200);
    people.revoke(&program, &ann, &id);
    let refused_after = until(|| ask("GET /p", &[&brief]).status == 401);
    assert!(refused_after < Duration::from_secs(5), "{refused_after:?}");

    // What can't be known is a 503, and the token still works afterwards.
    let unavailable = |lines: &[&str]| {
        let answer = ask("GET /p", lines);
        assert_eq!((answer.status, answer.header("retry-after")), (503, vec!["1"]), "{}", answer.body);
        assert_eq!(answer.header("www-authenticate"), [""; 0]);
        assert_eq!(answer.header("cache-control"), ["no-store"]);
    };
    program.put_store(Store::Down);
    unavailable(&[&bearer("fresh")]);
    assert_eq!(ask("GET /p", &["Authorization: Bearer x"]).status, 401);
    program.put_store(Store::Up);
    assert_eq!(ask("GET /p", &[&bearer("fresh")]).status, 200);
    drop(program);
    unavailable(&[&bearer("fresh")]);
    unavailable(&[]);
}

#[expect(clippy::disallowed_methods, reason = "a limit on how long a test waits")]
fn until(mut done: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "it does not come to pass");
    }
    start.elapsed()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gateway")
}

impl Gateway {
    fn start(tokens: SocketAddr) -> Gateway {
        let mut upstream =
            Command::new("python3").arg(folder().join("upstream.py")).arg("0").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(upstream.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let behind = line.trim().strip_prefix("listening on http://").expect("a service that listens").to_owned();

        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        for file in ["nginx.conf", "gateway.inc"] {
            let text = std::fs::read_to_string(folder().join(file)).unwrap();
            let text = text
                .replace("127.0.0.1:8080", &address.to_string())
                .replace("127.0.0.1:3000", &tokens.to_string())
                .replace("127.0.0.1:8000", &behind);
            std::fs::write(directory.path().join(file), text).unwrap();
        }
        let nginx = Command::new("nginx")
            .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
            .arg(directory.path())
            .spawn()
            .expect("nginx, which scripts/test installs");
        let gateway = Gateway { address, nginx, upstream, _folder: directory };
        until(|| TcpStream::connect(address).is_ok());
        gateway
    }

    fn ask(&self, from: Ipv4Addr, send: &str, lines: &[&str]) -> Answer {
        self.send(from, send, lines, "")
    }

    /// From an address of this machine's.
    fn send(&self, from: Ipv4Addr, send: &str, lines: &[&str], body: &str) -> Answer {
        let mut request = format!("{send} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n");
        for line in lines {
            request.push_str(line);
            request.push_str("\r\n");
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let text = runtime.block_on(async {
            let exchange = async {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::new(IpAddr::V4(from), 0)).unwrap();
                let mut stream = socket.connect(self.address).await.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                answer
            };
            tokio::time::timeout(PATIENCE, exchange).await.expect("an answer in time")
        });
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Answer { status, headers: lines.map(header).collect(), body: body.to_owned() }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // nginx ends its worker where it is asked to end, and leaves it behind where it is killed.
        drop(Command::new("kill").args(["-TERM", &self.nginx.id().to_string()]).status());
        drop(self.nginx.wait());
        drop(self.upstream.kill());
        drop(self.upstream.wait());
    }
}

impl Answer {
    fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(held, _)| held == name).map(|(_, value)| value.as_str()).collect()
    }

    /// What the service behind was sent.
    fn sent(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not of the service behind: {}", self.body))
    }

    /// The values of a header that the service behind was sent, under any name that some server takes for it.
    fn received(&self, name: &str) -> Vec<String> {
        let sent = self.sent();
        let headers = sent["headers"].as_array().unwrap().iter();
        headers
            .filter(|line| line[0].as_str().unwrap().replace('_', "-") == name)
            .map(|line| line[1].as_str().unwrap().to_owned())
            .collect()
    }
}

/// One that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
