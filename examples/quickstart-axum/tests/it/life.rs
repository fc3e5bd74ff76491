//! The life of tokens, across a crash.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use token_core::{Time, TokenStore};
use token_store_sqlx::SqlStore;

use crate::program::{Place, Program};

const WRITER: &str = r#"{"name":"deploy","grants":[{"scope":"projects:write","resources":"all"}]}"#;

fn mint(program: &Program, operator: &str) -> (String, String) {
    let minted = program.post("/tokens", operator, WRITER);
    assert_eq!(minted.status, 201, "{minted:?}");
    let minted = minted.json();
    (minted["id"].as_str().unwrap().to_owned(), minted["token"].as_str().unwrap().to_owned())
}

fn rotate(program: &Program, operator: &str, id: &str) -> String {
    let rotated = program.post(&format!("/tokens/{id}/rotate"), operator, "");
    assert_eq!(rotated.status, 200, "{rotated:?}");
    rotated.json()["token"].as_str().unwrap().to_owned()
}

fn assert_invalid(program: &Program, token: &str) {
    let answer = program.get("/projects", token);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.challenge.as_deref(), Some(r#"Bearer realm="api", error="invalid_token""#));
    assert_eq!(answer.problem(), program.get("/projects", "garbage").problem());
}

#[test]
fn tokens_are_minted_rotated_and_revoked_and_all_of_it_outlives_a_crash() {
    let place = Place::new();
    let program = place.start();
    let (demo, operator) = (program.exported("DEMO"), program.exported("OPERATOR"));

    // Anonymous.
    assert_eq!(program.send("GET", "/healthz", &[], "").body, "ok");
    for (method, path) in [("GET", "/projects"), ("GET", "/tokens"), ("POST", "/tokens"), ("GET", "/none")] {
        let answer = program.send(method, path, &[], "");
        assert_eq!((answer.status, answer.challenge.as_deref()), (401, Some(r#"Bearer realm="api""#)), "{path}");
    }

    // The demo token.
    let projects = program.get("/projects", &demo);
    assert_eq!((projects.status, &projects.json()["owner"]), (200, &json!("demo")));
    let refused = program.post("/projects", &demo, "");
    let challenge = r#"Bearer realm="api", error="insufficient_scope", scope="projects:write""#;
    assert_eq!((refused.status, refused.challenge.as_deref()), (403, Some(challenge)));
    assert_eq!(program.get("/tokens", &demo).status, 403);

    // Credentials that are none.
    let bearer = format!("Bearer {demo}");
    assert_eq!(program.send("GET", "/projects", &[&bearer, &bearer], "").status, 400);
    assert_eq!(program.send("GET", "/projects", &["Bearer"], "").status, 400);
    assert_invalid(&program, &demo[..demo.len() - 1]);
    assert_invalid(&program, &demo.replace("acme_live_", "acme_test_"));

    // One token's life.
    let (id, old) = mint(&program, &operator);
    assert_eq!(program.post("/projects", &old, "").status, 201);
    assert_eq!(mixed(&old, &old), old);
    assert_invalid(&program, &mixed(&old, &demo));
    let new = rotate(&program, &operator, &id);
    for value in [&old, &new] {
        assert_eq!(program.get("/projects", value).status, 200);
    }
    // Which of the two is to end is for the operator to say, so a third one is refused.
    assert_eq!(program.post(&format!("/tokens/{id}/rotate"), &operator, "").status, 409);
    assert_eq!(program.post(&format!("/tokens/{id}/end-overlap"), &operator, "").status, 200);
    assert_invalid(&program, &old);
    assert_eq!(program.get("/projects", &new).status, 200);

    let (gone, revoked) = mint(&program, &operator);
    for _ in 0..2 {
        assert_eq!(program.delete(&format!("/tokens/{gone}"), &operator).json()["state"], "revoked");
        assert_invalid(&program, &revoked);
    }
    assert_eq!(program.post(&format!("/tokens/{gone}/rotate"), &operator, "").status, 409);

    // One more, with its overlap still running at the crash.
    let (_, running_old) = mint(&program, &operator);
    let running_id = program.get("/tokens", &operator).json()[0]["id"].as_str().unwrap().to_owned();
    let running_new = rotate(&program, &operator, &running_id);

    let listed = program.get("/tokens", &operator).json();
    assert_eq!(listed.as_array().unwrap().len(), 5);
    program.kill();

    let program = place.start();
    assert_eq!(program.printed.len(), 1, "only where it listens: {:?}", program.printed);
    assert_eq!(program.get("/tokens", &operator).json(), listed);
    for works in [&demo, &new, &running_old, &running_new] {
        assert_eq!(program.get("/projects", works).status, 200);
    }
    for ended in [&old, &revoked] {
        assert_invalid(&program, ended);
    }
    let keyring = std::fs::metadata(place.data().join("keyring.txt")).unwrap();
    assert_eq!(keyring.permissions().mode() & 0o7777, 0o600);
}

/// The selector of one token with the verifier of another, and a checksum that fits: only the secret part is wrong.
fn mixed(selector: &str, verifier: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let body = selector.len() - 54;
    let covered = format!("{}{}", &selector[..body + 16], &verifier[body + 16..body + 48]);
    let crc = u64::from(crc32fast::hash(covered.as_bytes()));
    let digit = |place: u32| char::from(DIGITS[usize::try_from(crc / 62_u64.pow(place) % 62).unwrap()]);
    covered + &(0..6).rev().map(digit).collect::<String>()
}

#[test]
fn an_operator_makes_no_other_operator_and_hears_nothing_of_its_request() {
    let place = Place::new();
    let program = place.start();
    let operator = program.exported("OPERATOR");
    let canary = "canary-3f9a";
    let grants = |scope: &str| format!(r#"{{"name":"x","grants":[{{"scope":"{scope}","resources":"all"}}]}}"#);
    let cases: Vec<(String, u16)> = vec![
        (grants("tokens:manage"), 403),
        (grants("canary-3f9a:read"), 422),
        (grants("canary-3f9a"), 400),
        (r#"{"name":"x","grants":null,"canary-3f9a":1}"#.into(), 400),
        (r#"{"name":"x","canary-3f9a":[]}"#.into(), 400),
        (r#"{"name":"x"}"#.into(), 400),
        (r#"{"name":"x","grants":[]} canary-3f9a"#.into(), 400),
        ("canary-3f9a".into(), 400),
        (String::new(), 400),
    ];
    for (body, status) in cases {
        let answer = program.post("/tokens", &operator, &body);
        assert_eq!(answer.problem()["status"], status, "{body}: {answer:?}");
        assert!(!answer.body.contains(canary), "{answer:?}");
    }
    for id in ["canary-3f9a", "01935b2a-7c1e-7000-8000-0123456789ab"] {
        let missing = json!({
            "type": "about:blank", "title": "Not Found", "status": 404, "detail": "there is no such token",
        });
        assert_eq!(program.delete(&format!("/tokens/{id}"), &operator).problem(), missing);
        assert_eq!(program.post(&format!("/tokens/{id}/rotate"), &operator, "").problem(), missing);
    }
    // Its own token is beyond the operator too: a leaked one can't be made to live on under a new value.
    let listed = program.get("/tokens", &operator).json();
    let is_operator = |token: &&Value| token["name"] == "operator";
    let own = listed.as_array().unwrap().iter().find(is_operator).unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(program.post(&format!("/tokens/{own}/rotate"), &operator, "").status, 403);
}

#[test]
fn a_shutdown_loses_no_use() {
    let place = Place::new();
    let program = place.start();
    let demo = program.exported("DEMO");
    for _ in 0..20 {
        assert_eq!(program.get("/projects", &demo).status, 200);
    }
    let listed = program.get("/tokens", &program.exported("OPERATOR")).json();
    let is_demo = |token: &&Value| token["name"] == "demo";
    let id = listed.as_array().unwrap().iter().find(is_demo).unwrap()["id"].as_str().unwrap().parse().unwrap();
    program.interrupt();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let uses: u64 = runtime.block_on(async {
        let file = place.data().join("tokens.db");
        let store = SqlStore::open(&format!("sqlite://{}", file.display())).await.unwrap();
        let usage = store.usage(id, Time::EPOCH).await.unwrap();
        usage.hours.iter().map(|hour| hour.count).sum()
    });
    assert_eq!(uses, 20);
}
