//! A client that sends exactly the bytes it is told to: other clients won't send a header twice, or a TAB in one.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(held, _)| held == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn challenge(&self) -> Option<&str> {
        let challenges = self.header("www-authenticate");
        assert!(challenges.len() <= 1, "{challenges:?}");
        challenges.first().copied()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn problem(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), ["application/problem+json"], "{self:?}");
        assert_eq!(self.header("cache-control"), ["no-store"], "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem
    }

    pub(crate) fn receipt(&self) -> String {
        self.problem()["receipt"].as_str().unwrap().to_owned()
    }

    /// All of the answer that must not depend on why the request was refused. The order in which the server puts its own
    /// headers among ours is its own too.
    pub(crate) fn without_receipt(&self) -> Answer {
        let mut same = self.clone();
        same.headers.retain(|(name, _)| name != "date");
        same.headers.sort();
        same.body = same.body.replace(&self.receipt(), "<receipt>");
        same
    }
}

/// One request on a connection of its own, with these header lines.
pub(crate) async fn request(server: SocketAddr, method_and_path: &str, lines: &[&[u8]]) -> Answer {
    timeout(PATIENCE, exchange(server, method_and_path, lines)).await.expect("an answer in time")
}

async fn exchange(server: SocketAddr, method_and_path: &str, lines: &[&[u8]]) -> Answer {
    send_bytes(server, &bytes_of(method_and_path, lines)).await.unwrap()
}

/// What goes over the wire, up to the body.
pub(crate) fn bytes_of(method_and_path: &str, lines: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("{method_and_path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n").into_bytes();
    for line in lines {
        bytes.extend_from_slice(line);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Sends these bytes and reads to the end; `None` if the server closes without a word.
pub(crate) async fn send_bytes(server: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    (!answer.is_empty()).then(|| parse(&String::from_utf8(answer).unwrap()))
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not an HTTP response: {text:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    Answer { status, headers: lines.map(header).collect(), body: body.to_owned() }
}
