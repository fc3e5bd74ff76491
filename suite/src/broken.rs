//! Wrappers around a running quickstart, each of which breaks it in one way: what an adapter that was written wrong would do.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use regex::bytes::Regex;

use crate::wire::exchange;

/// The one that breaks nothing.
pub(crate) const CONTROL: &str = "breaks nothing";

/// What it does to a request before the quickstart sees it, and to the answer after.
#[derive(Clone, Copy)]
pub(crate) struct Wrapper {
    request: fn(&[u8]) -> Vec<u8>,
    answer: fn(&[u8]) -> Vec<u8>,
}

fn request(request: fn(&[u8]) -> Vec<u8>) -> Wrapper {
    Wrapper { request, answer: <[u8]>::to_vec }
}

fn answer(answer: fn(&[u8]) -> Vec<u8>) -> Wrapper {
    Wrapper { request: <[u8]>::to_vec, answer }
}

fn replace(bytes: &[u8], pattern: &str, by: &str) -> Vec<u8> {
    Regex::new(pattern).unwrap().replace_all(bytes, by.as_bytes()).into_owned()
}

/// Every way to be broken, by what it does.
pub(crate) fn wrappers() -> Vec<(&'static str, Wrapper)> {
    vec![
        (CONTROL, request(<[u8]>::to_vec)),
        (
            "takes the first of two credentials",
            request(|bytes| {
                replace(bytes, r"(?is)(\r\nauthorization:[^\r]*)((?:\r\n[^\r]+)*?)\r\nauthorization:[^\r]*", "$1$2")
            }),
        ),
        (
            "knows one spelling of the scheme",
            request(|bytes| replace(bytes, r"Authorization: (?:bearer|BEARER) ", "Authorization: Other ")),
        ),
        ("takes a TAB for a space", request(|bytes| replace(bytes, r"Bearer\t", "Bearer "))),
        (
            "takes the first item of a list",
            request(|bytes| replace(bytes, r"(Authorization: Bearer [^\r, ]+)[, ][^\r]*", "$1")),
        ),
        (
            "reads a token from the query",
            request(|bytes| {
                replace(bytes, r"^(\w+ [^ ?]+)\?access_token=(\w+)( HTTP/1.1\r\n)", "$1$3Authorization: Bearer $2\r\n")
            }),
        ),
        (
            "takes X-API-Key where nobody asked for it",
            request(|bytes| replace(bytes, "(?i)x-api-key: ", "Authorization: Bearer ")),
        ),
        ("takes quotes off a token", request(|bytes| replace(bytes, r#"Bearer ["<]([^\r">]+)[">]"#, "Bearer $1"))),
        ("takes a bad token for nobody", request(|bytes| replace(bytes, r"Authorization: Bearer x\r\n", ""))),
        (
            "reads headers that are not UTF-8 as empty",
            request(|bytes| replace(bytes, r"(?-u)Bearer [^\r]*[\x80-\xff][^\r]*", "Bearer")),
        ),
        ("mends a path by its trailing slash", request(|bytes| replace(bytes, r"^(\w+ /[^ ]+)/ HTTP", "$1 HTTP"))),
        ("decodes slashes in a path", request(|bytes| replace(bytes, r"%2[Ff]", "/"))),
        ("merges slashes in a path", request(|bytes| replace(bytes, r"([^:])//", "$1/"))),
        ("knows no HEAD", request(|bytes| replace(bytes, r"^HEAD ", "BREW "))),
        (
            "says that what HEAD leaves out is empty",
            answer(|bytes| replace(bytes, r"(?is)\A(.*\r\ncontent-length: )\d+((?:\r\n[^\r]+)*\r\n\r\n)\z", "${1}0$2")),
        ),
        ("answers preflights itself", request(|bytes| replace(bytes, r"^OPTIONS [^ ]+", "GET /healthz"))),
        (
            "does not look where a change comes from",
            request(|bytes| {
                replace(bytes, r"Origin: https?://[a-z.]*evil[a-z.]*\r\n", "Sec-Fetch-Site: same-origin\r\n")
            }),
        ),
        (
            "takes the last of two origins",
            request(|bytes| replace(bytes, r"(?s)\r\nOrigin: [^\r]*((?:\r\n[^\r]+)*\r\nOrigin: )", "$1")),
        ),
        (
            "takes any content type for JSON",
            request(|bytes| replace(bytes, r"Content-Type: text/plain", "Content-Type: application/json")),
        ),
        ("drops the query", request(|bytes| replace(bytes, r"^(\w+ [^ ?]+)\?[^ ]*", "$1"))),
        ("drops Idempotency-Key", request(|bytes| replace(bytes, r"\r\nIdempotency-Key: [^\r]*", ""))),
        ("drops If-Match", request(|bytes| replace(bytes, r"\r\nIf-Match: [^\r]*", ""))),
        (
            "says 401 when the store is down",
            answer(|bytes| replace(bytes, r"^HTTP/1.1 503 [^\r]*", "HTTP/1.1 401 Unauthorized")),
        ),
        ("says 404 for 403", answer(|bytes| replace(bytes, r"^HTTP/1.1 403 [^\r]*", "HTTP/1.1 404 Not Found"))),
        ("gives no challenge", answer(|bytes| replace(bytes, r"(?i)\r\nwww-authenticate: [^\r]*", ""))),
        ("gives another framework's challenge", answer(|bytes| replace(bytes, "realm=\"api\"", "realm=\"\""))),
        ("does not say when to try again", answer(|bytes| replace(bytes, r"(?i)\r\nretry-after: [^\r]*", ""))),
        ("lets refusals be stored", answer(|bytes| replace(bytes, r"(?i)\r\ncache-control: [^\r]*", ""))),
        (
            "says that problems are JSON",
            answer(|bytes| replace(bytes, r"application/problem\+json", "application/json")),
        ),
        ("lets pages be framed", answer(|bytes| replace(bytes, r"(?i)\r\nx-frame-options: [^\r]*", ""))),
        ("loses ETag", answer(|bytes| replace(bytes, r"(?i)\r\netag: [^\r]*", ""))),
        ("adds a header of its own", answer(|bytes| replace(bytes, r"\r\n\r\n", "\r\nx-powered-by: broken\r\n\r\n"))),
        (
            "writes bodies with a line end",
            answer(|bytes| {
                let longer = replace(bytes, r"(?i)content-length: \d+\r\n", "");
                [longer.as_slice(), b"\n"].concat()
            }),
        ),
        (
            "gives no receipt",
            answer(|bytes| {
                let cut = replace(bytes, r#","receipt":"[^"]*""#, "");
                if cut == bytes { cut } else { replace(&cut, r"(?i)content-length: \d+\r\n", "") }
            }),
        ),
        ("shows a secret again", answer(|bytes| replace(bytes, r#""text":null"#, r#""text":"x""#))),
    ]
}

/// The ways to be broken that people meet on pages, by what it does.
pub(crate) fn wrappers_of_pages() -> Vec<(&'static str, Wrapper)> {
    let of_both = [
        CONTROL,
        "drops the query",
        "says 404 for 403",
        "lets refusals be stored",
        "lets pages be framed",
        "adds a header of its own",
        "writes bodies with a line end",
    ];
    let mut wrappers = wrappers();
    wrappers.retain(|(name, _)| of_both.contains(name));
    assert_eq!(wrappers.len(), of_both.len());
    wrappers.extend([
        ("loses the end of a form", request(|bytes| replace(bytes, r"&networks=$", "&network=="))),
        (
            "redirects in the words of another status",
            answer(|bytes| replace(bytes, r"^HTTP/1.1 303 [^\r]*", "HTTP/1.1 302 Found")),
        ),
        ("leads elsewhere", answer(|bytes| replace(bytes, r"(?i)\r\nlocation: [^\r]*", "\r\nlocation: /"))),
        ("writes a page's lines as others do", answer(|bytes| resized(&replace(bytes, r"([^\r])\n", "$1\r\n")))),
        ("takes escapes off", answer(|bytes| resized(&replace(bytes, "&#60;", "<")))),
    ]);
    wrappers
}

/// An answer whose length is where it ends.
fn resized(bytes: &[u8]) -> Vec<u8> {
    replace(bytes, r"(?i)content-length: \d+\r\n", "")
}

/// Listens on a port of its own, and answers as the quickstart does through the wrapper.
pub(crate) fn wrap(quickstart: SocketAddr, wrapper: Wrapper) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer_one(stream, quickstart, wrapper));
        }
    });
    address
}

fn answer_one(mut client: TcpStream, quickstart: SocketAddr, wrapper: Wrapper) {
    let request = read_request(&mut client);
    let answer = exchange(quickstart, &(wrapper.request)(&request));
    // A client that is gone has what it wanted.
    drop(client.write_all(&(wrapper.answer)(&answer)));
    drop(client.shutdown(Shutdown::Write));
}

/// Until the client has sent what it says it sends; a client of cases that says something else waits for the answer.
fn read_request(client: &mut TcpStream) -> Vec<u8> {
    let (mut request, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    let length = Regex::new(r"(?i)\r\ncontent-length: (\d+)\r\n").unwrap();
    let in_chunks = Regex::new(r"(?i)transfer-encoding: chunked").unwrap();
    loop {
        let read = client.read(&mut buffer).unwrap_or(0);
        request.extend_from_slice(&buffer[..read]);
        let end = request.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
        let done = end.is_some_and(|end| {
            let head = &request[..end];
            let stated = length.captures(head).and_then(|found| std::str::from_utf8(&found[1]).ok()?.parse().ok());
            let chunked = in_chunks.is_match(head);
            if chunked {
                request.ends_with(b"\r\n") && request.len() > end
            } else {
                request.len() >= end + stated.unwrap_or(0)
            }
        });
        if read == 0 || done {
            return request;
        }
    }
}
