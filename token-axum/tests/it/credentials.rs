//! The table of `SECURITY.md`: how the credential of a request is read. Nothing here costs a statement but a well-formed token.

use std::time::Duration;

use token_core::{Reason, Sources};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::Answer;
use crate::service::{Service, admin, all, bearer, other_owner, text, with_wrong_verifier};

const NO_CREDENTIALS: &str = r#"Bearer realm="api""#;
const MALFORMED: &str = r#"Bearer realm="api", error="invalid_request""#;
const INVALID: &str = r#"Bearer realm="api", error="invalid_token""#;

/// Sends these header lines, and checks that the answer cost no statement.
async fn without_a_statement(service: &Service, lines: &[&[u8]]) -> Answer {
    let before = service.statements.calls();
    let answer = service.send("GET /any", lines).await;
    assert_eq!(service.statements.calls(), before, "{answer:?}");
    answer
}

async fn assert_reason(service: &Service, answer: &Answer, reason: Reason) {
    assert_eq!(service.reason(&admin(), answer).await, reason);
    // Nobody's token was meant, so nobody but an admin may know.
    assert!(service.tokens.manage(&other_owner()).receipt(&answer.receipt()).await.is_err());
}

#[tokio::test]
async fn no_credential_of_an_accepted_kind_is_a_bare_challenge() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let api_key = [b"X-API-Key: ", text(&minted).as_bytes()].concat();
    let lines: [&[&[u8]]; 7] = [
        &[],
        &[b"Authorization: Basic dTpw"],
        &[b"Authorization: Digest username=\"ada\""],
        &[b"Authorization: Bearerx y"],
        &[b"Authorization: Negotiate"],
        &[&api_key],
        &[b"Cookie: token=x"],
    ];
    for lines in lines {
        let answer = without_a_statement(&service, lines).await;
        assert_eq!((answer.status, answer.challenge()), (401, Some(NO_CREDENTIALS)), "{lines:?}");
        assert_eq!(answer.problem()["code"], "no_credentials");
        assert_reason(&service, &answer, Reason::NoCredential).await;
    }
    let in_query = service.anonymous(&format!("GET /any?access_token={}", text(&minted))).await;
    assert_eq!((in_query.status, in_query.challenge()), (401, Some(NO_CREDENTIALS)));
}

#[tokio::test]
async fn a_bearer_token_is_accepted_in_every_spelling_that_the_rfcs_allow() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    for (scheme, end) in [("Bearer ", ""), ("bearer ", ""), ("BEARER ", ""), ("bEaReR     ", ""), ("Bearer  ", "   ")] {
        let line = format!("Authorization: {scheme}{}{end}", text(&minted));
        let answer = service.send("GET /any", &[line.as_bytes()]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "deploy of ada"), "{line:?}");
    }
    let lower = format!("authorization: Bearer {}", text(&minted));
    assert_eq!(service.send("GET /any", &[lower.as_bytes()]).await.status, 200);
}

#[tokio::test]
async fn what_has_no_single_reading_is_malformed() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let token = text(&minted);
    let line = |value: &str| format!("Authorization: {value}").into_bytes();
    let good = bearer(token);
    let requests: Vec<Vec<Vec<u8>>> = vec![
        vec![line("")],
        vec![line("Bearer")],
        vec![line("Bearer    ")],
        vec![line(&format!("Bearer\t{token}"))],
        vec![line(&format!("Bearer \t{token}"))],
        vec![line(&format!("Bearer {token}\tx"))],
        vec![line(&format!("Bearer {token} {token}"))],
        vec![line(&format!("Bearer {token},{token}"))],
        vec![line(&format!("Bearer {token}, Bearer {token}"))],
        vec![good.clone(), good.clone()],
        vec![good.clone(), line("Bearer other")],
        vec![line("Basic dTpw"), good.clone()],
        vec![good.clone(), line("")],
        vec![line("Digest x"), line("Digest y")],
    ];
    for lines in &requests {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let answer = without_a_statement(&service, &lines).await;
        assert_eq!((answer.status, answer.challenge()), (400, Some(MALFORMED)), "{}", lines[0].escape_ascii());
        assert_eq!(answer.problem()["code"], "invalid_request");
        assert!(!answer.body.contains(token));
        assert_reason(&service, &answer, Reason::MalformedRequest).await;
    }
}

#[tokio::test]
async fn what_can_be_no_token_is_invalid_and_costs_no_statement() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let token = text(&minted).as_bytes().to_vec();
    let changed = |at: usize, byte: u8| {
        let mut changed = token.clone();
        changed[at] = byte;
        changed
    };
    let last = token.len() - 1;
    let other_digit = if token[last] == b'0' { b'1' } else { b'0' };
    let cases: Vec<(Vec<u8>, Reason)> = vec![
        (b"x".to_vec(), Reason::WrongPrefix),
        ([b"acme_live".as_slice(), &token[9..]].concat(), Reason::WrongPrefix),
        (token.to_ascii_uppercase(), Reason::WrongPrefix),
        (token[..last].to_vec(), Reason::WrongLength),
        ([token.as_slice(), b"0"].concat(), Reason::WrongLength),
        (b"acme_test_".to_vec(), Reason::WrongLength),
        (changed(30, b'-'), Reason::WrongAlphabet),
        (changed(30, 0xE9), Reason::WrongAlphabet),
        (changed(last, other_digit), Reason::WrongChecksum),
        ("ключ".as_bytes().to_vec(), Reason::WrongPrefix),
        (vec![0xFF; 40], Reason::WrongPrefix),
        (vec![b'a'; 64 * 1024], Reason::WrongPrefix),
        ([b"acme_test_".as_slice(), &[b'0'; 64 * 1024]].concat(), Reason::WrongLength),
        (vec![0xFF; 64 * 1024], Reason::WrongPrefix),
    ];
    let mut first: Option<Answer> = None;
    for (credential, reason) in cases {
        let line = [b"Authorization: Bearer ".as_slice(), &credential].concat();
        let answer = without_a_statement(&service, &[&line]).await;
        assert_eq!((answer.status, answer.challenge()), (401, Some(INVALID)), "{reason}");
        assert_reason(&service, &answer, reason).await;
        let same = answer.without_receipt();
        assert_eq!(first.get_or_insert(same.clone()), &same);
    }
}

/// The server itself stops at some hundred KB of headers, long after what a token could be, with a status of its own.
#[tokio::test]
async fn headers_without_end_are_refused_by_the_server() {
    let service = Service::start().await;
    let before = service.statements.calls();
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let request =
        [b"GET /any HTTP/1.1\r\nAuthorization: Bearer ".as_slice(), &[b'a'; 600 * 1024], b"\r\n\r\n"].concat();
    // The server may hang up before it has read all of this; then there is no answer to read.
    let mut start = [0; 12];
    let refused = async {
        stream.write_all(&request).await?;
        stream.read_exact(&mut start).await
    };
    let refused = timeout(Duration::from_secs(20), refused).await.expect("an end in time");
    assert!(refused.is_err() || start.starts_with(b"HTTP/1.1 4"), "{}", start.escape_ascii());
    assert_eq!(service.statements.calls(), before);
    assert_eq!(service.anonymous("GET /any").await.status, 401, "the server goes on");
}

/// A well-formed token that is wrong costs the same one statement, wherever it is wrong; and none where the right one would not.
#[tokio::test]
async fn a_wrong_token_costs_what_a_right_one_costs() {
    let service = Service::start().await;
    let stranger = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let unknown = stranger.mint(all("projects:read")).await;
    let right = text(&minted).to_owned();
    let texts =
        [right.clone(), with_wrong_verifier(&right, true), with_wrong_verifier(&right, false), text(&unknown).into()];
    for text in &texts {
        // Nothing is cached any more.
        service.clock.advance(Duration::from_secs(5));
        let before = service.statements.calls();
        service.holder(text, "GET /any").await;
        assert_eq!(service.statements.calls(), before + 1);
    }
    service.holder(&right, "GET /any").await;
    let before = service.statements.calls();
    for text in &texts[..3] {
        service.holder(text, "GET /any").await;
    }
    assert_eq!(service.statements.calls(), before);
}

#[tokio::test]
async fn other_sources_count_where_the_host_opted_in() {
    let sources = Sources::default().with_api_key_header().with_basic_password();
    let service = Service::start_with(|builder| builder.sources(sources)).await;
    let minted = service.mint(all("projects:read")).await;
    let api_key = [b"X-API-Key: ", text(&minted).as_bytes()].concat();
    assert_eq!(service.send("GET /any", &[&api_key]).await.status, 200);
    let basic = format!("Authorization: Basic {}", base64(format!("git:{}", text(&minted)).as_bytes()));
    assert_eq!(service.send("GET /any", &[basic.as_bytes()]).await.status, 200);

    let malformed: [&[&[u8]]; 4] =
        [&[&bearer(text(&minted)), &api_key], &[&api_key, &api_key], &[b"X-API-Key: "], &[b"Authorization: Basic !!"]];
    for lines in malformed {
        let answer = without_a_statement(&service, lines).await;
        assert_eq!((answer.status, answer.challenge()), (400, Some(MALFORMED)));
    }

    let anonymous = without_a_statement(&service, &[]).await;
    let challenges = [NO_CREDENTIALS, r#"Basic realm="api", charset="UTF-8""#];
    assert_eq!(anonymous.header("www-authenticate"), challenges);
}

#[tokio::test]
async fn the_realm_is_the_hosts() {
    let service = Service::start_with(|builder| builder.realm("Acme")).await;
    assert_eq!(service.anonymous("GET /any").await.challenge(), Some(r#"Bearer realm="Acme""#));
}

/// What prints a request's headers behind the layer prints no credential, on paths that are excepted as little.
#[tokio::test]
async fn credentials_are_hidden_in_the_debug_of_headers() {
    let sources = Sources::default().with_api_key_header();
    let service = Service::start_with(|builder| builder.sources(sources)).await;
    let minted = service.mint(all("projects:read")).await;
    let bearer = bearer(text(&minted));
    let api_key = [b"X-API-Key: ", text(&minted).as_bytes()].concat();
    let cookie = [b"Cookie: session=", text(&minted).as_bytes()].concat();
    for (request, lines) in [
        ("GET /headers", vec![&*bearer]),
        ("GET /headers", vec![&api_key]),
        ("GET /headers", vec![&bearer, &cookie]),
        ("GET /healthz/headers", vec![&bearer, &api_key, &cookie]),
    ] {
        let answer = service.send(request, &lines).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains("Sensitive") && !answer.body.contains(text(&minted)), "{}", answer.body);
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        let digit = move |at: usize| char::from(DIGITS[bits >> (18 - 6 * at) & 63]);
        let digits = chunk.len() + 1;
        (0..4).map(move |at| if at < digits { digit(at) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}
