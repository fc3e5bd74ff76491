//! Who there is before the first case, and what they hold: sessions, and tokens of every kind.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use token_core::testing::{with_checksum, with_wrong_verifier};

use crate::program::Program;
use crate::wire::exchange;

/// By name, what cases may write as `${name}`.
pub(crate) struct People(HashMap<String, String>);

impl People {
    /// Signs the demo's users in, and makes their tokens, by way of the service itself.
    pub(crate) fn meet(program: &Program) -> People {
        let mut people = People(HashMap::new());
        let origin = format!("http://{}", program.address());
        people.learn("origin", &origin);
        people.learn("reader", &program.shown);
        let server = Server { address: program.address(), origin };
        for user in ["ann", "bob", "viewer", "admin"] {
            people.learn(user, &server.sign_in(user));
        }
        let ann = people.0["ann"].clone();
        let mut mint = |name: &str, session: &str, mut body: Value| {
            body["name"] = name.into();
            let made = server.post(session, "/tokens", &body);
            people.learn(name, made["text"].as_str().expect("the text of a token"));
            people.learn(&format!("{name}_id"), made["token"]["id"].as_str().expect("the id of a token"));
        };
        let all = |scope: &str| json!({ "grants": [{ "scope": scope, "resources": "all" }] });
        mint("writer", &ann, all("projects:write"));
        mint("selfish", &ann, all("tokens:self"));
        mint("inspector", &ann, all("tokens:inspect"));
        mint("nobody", &ann, json!({}));
        mint("fresh", &ann, all("projects:read"));
        mint("limited", &ann, json!({ "grants": [{ "scope": "projects:read", "resources": ["p1"] }] }));
        for (name, networks) in [("here", "127.0.0.0/8"), ("elsewhere", "198.51.100.0/24")] {
            mint(name, &ann, json!({ "grants": all("projects:read")["grants"], "networks": [networks] }));
        }
        mint("revoked", &ann, all("projects:read"));
        mint("old", &ann, all("projects:read"));
        mint("expired", &ann, json!({ "grants": all("projects:read")["grants"], "expires": { "after_seconds": 1 } }));
        let bob = people.0["bob"].clone();
        let mut body = all("projects:read");
        body["name"] = "bobs".into();
        let made = server.post(&bob, "/tokens", &body);
        people.learn("bobs", made["text"].as_str().unwrap());
        people.learn("bobs_id", made["token"]["id"].as_str().unwrap());

        server.post(&ann, &format!("/tokens/{}/revoke", people.0["revoked_id"]), &Value::Null);
        let rotate = format!("/tokens/{}/rotate", people.0["old_id"]);
        let rotated = server.post(&ann, &rotate, &json!({ "overlap_seconds": 0 }));
        people.learn("new", rotated["text"].as_str().unwrap());

        let reader = program.shown.clone();
        let (covered, checksum) = reader.split_at(reader.len() - 6);
        people.learn("mistyped", &format!("{covered}{}", if checksum == "000000" { "000001" } else { "000000" }));
        people.learn("wrong_end", &with_wrong_verifier(&reader));
        people.learn("wrong_start", &with_checksum(&replaced(covered, reader.len() - 38)));
        people.learn("unknown", &with_checksum(&replaced(covered, reader.len() - 54)));
        people.learn("short", &reader[..reader.len() - 1]);
        people.learn("other_product", &with_checksum(&covered.replacen("acme_live", "acme_test", 1)));
        people.learn("kilobytes_64", &"a".repeat(64 * 1024));
        people.learn("kilobytes_600", &"a".repeat(600 * 1024));
        server.wait_until_refused(&people.0["expired"]);
        people
    }

    /// The text of a new token.
    pub(crate) fn mint(&self, program: &Program, session: &str, body: &str) -> String {
        self.mint_known(program, session, body).0
    }

    /// The text of a new token, and its id.
    pub(crate) fn mint_known(&self, program: &Program, session: &str, body: &str) -> (String, String) {
        let made = self.server(program).post(session, "/tokens", &serde_json::from_str(body).unwrap());
        let text = |value: &Value| value.as_str().expect("a token that was made").to_owned();
        (text(&made["text"]), text(&made["token"]["id"]))
    }

    pub(crate) fn revoke(&self, program: &Program, session: &str, id: &str) {
        self.server(program).post(session, &format!("/tokens/{id}/revoke"), &Value::Null);
    }

    /// A user whose sign-in is too old for what gives access.
    pub(crate) fn sign_in_long_ago(&mut self, program: &Program, user: &str) {
        let session = self.server(program).sign_in(&format!("{user}&minutes_ago=60"));
        self.learn(&format!("{user}, an hour ago"), &session);
    }

    fn server(&self, program: &Program) -> Server {
        Server { address: program.address(), origin: self.0["origin"].clone() }
    }

    pub(crate) fn learn(&mut self, name: &str, what: &str) {
        self.0.insert(name.to_owned(), what.to_owned());
    }

    /// The text with `${name}` replaced by what has the name.
    pub(crate) fn filled(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').expect("a name that ends");
            filled.push_str(before);
            filled.push_str(self.0.get(name).unwrap_or_else(|| panic!("nothing is known as {name}")));
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

/// With another digit at this place.
fn replaced(text: &str, at: usize) -> String {
    let digit = if text.as_bytes()[at] == b'7' { "8" } else { "7" };
    format!("{}{digit}{}", &text[..at], &text[at + 1..])
}

struct Server {
    address: SocketAddr,
    origin: String,
}

impl Server {
    fn ask(&self, head: &str, body: &str) -> String {
        let request = format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        String::from_utf8(exchange(self.address, request.as_bytes())).expect("an answer of text")
    }

    fn sign_in(&self, user: &str) -> String {
        let answer = self.ask(
            "POST /demo/sign-in HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded",
            &format!("user={user}"),
        );
        let (_, after) = answer.split_once("demo_session=").unwrap_or_else(|| panic!("no session: {answer}"));
        after.split(';').next().unwrap().to_owned()
    }

    fn post(&self, session: &str, path: &str, body: &Value) -> Value {
        let head = format!(
            "POST /api/tokens{path} HTTP/1.1\r\nCookie: demo_session={session}\r\nOrigin: {}\r\nContent-Type: application/json",
            self.origin
        );
        let answer = self.ask(&head, &if body.is_null() { String::new() } else { body.to_string() });
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    /// A token's last second passes by the service's own clock.
    #[expect(clippy::disallowed_methods, reason = "a limit on how long a test waits")]
    fn wait_until_refused(&self, text: &str) {
        let patience = Instant::now() + Duration::from_secs(20);
        let head = format!("GET /projects HTTP/1.1\r\nAuthorization: Bearer {text}");
        while !self.ask(&head, "").starts_with("HTTP/1.1 401") {
            assert!(Instant::now() < patience, "a token that should have expired still works");
        }
    }
}
