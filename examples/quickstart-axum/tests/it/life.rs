//! The life of tokens, across a crash.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use token_core::{Time, TokenStore};
use token_store_sqlx::SqlStore;

use crate::program::{Browser, Place, Program, runtime};

/// Makes of each test three, one for each kind of database, as the tests of the store do.
macro_rules! on_every_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(&crate::program::Place::new());
            })+
        }

        mod postgres {
            $(#[test]
            #[ignore = "needs the server at TOKEN_TEST_POSTGRES_URL"]
            fn $test() {
                super::$test(&crate::program::Place::postgres());
            })+
        }

        mod mysql {
            $(#[test]
            #[ignore = "needs the server at TOKEN_TEST_MYSQL_URL"]
            fn $test() {
                super::$test(&crate::program::Place::mysql());
            })+
        }
    };
}

on_every_database! {
    tokens_are_minted_rotated_and_revoked_and_all_of_it_outlives_a_crash,
    the_demo_s_users_see_what_is_theirs,
    a_token_that_may_manages_itself_and_no_other,
    a_shutdown_loses_no_use,
}

const WRITER: &str = r#"{"name":"deploy","grants":[{"scope":"projects:write","resources":"all"}]}"#;

const TOKENS: &str = "/api/tokens/tokens";

fn mint(browser: &Browser<'_>) -> (String, String) {
    let minted = browser.post("/tokens", WRITER);
    assert_eq!(minted.status, 201, "{minted:?}");
    let minted = minted.json();
    (minted["token"]["id"].as_str().unwrap().to_owned(), minted["text"].as_str().unwrap().to_owned())
}

fn rotate(browser: &Browser<'_>, id: &str) -> String {
    let rotated = browser.post(&format!("/tokens/{id}/rotate"), "");
    assert_eq!(rotated.status, 200, "{rotated:?}");
    rotated.json()["text"].as_str().unwrap().to_owned()
}

/// What is listed, without what depends on the moment of looking.
fn tokens_of(browser: &Browser<'_>) -> Value {
    browser.get("/tokens").json()["tokens"].take()
}

fn id_of(browser: &Browser<'_>, name: &str) -> String {
    let listed = browser.get("/tokens").json();
    let token = listed["tokens"].as_array().unwrap().iter().find(|token| token["name"] == name).unwrap();
    token["id"].as_str().unwrap().to_owned()
}

fn assert_invalid(program: &Program, token: &str) {
    let answer = program.get("/projects", token);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.challenge.as_deref(), Some(r#"Bearer realm="api", error="invalid_token""#));
    assert_eq!(answer.problem(), program.get("/projects", "garbage").problem());
}

fn tokens_are_minted_rotated_and_revoked_and_all_of_it_outlives_a_crash(place: &Place) {
    let program = place.start();
    let demo = program.exported("DEMO");

    // Anonymous.
    assert_eq!(program.send("GET", "/healthz", &[], "").body, "ok");
    for (method, path) in [("GET", "/projects"), ("GET", "/none"), ("GET", TOKENS), ("POST", TOKENS)] {
        let answer = program.send(method, path, &[], "");
        assert_eq!((answer.status, answer.challenge.as_deref()), (401, Some(r#"Bearer realm="api""#)), "{path}");
    }

    // The demo token.
    let projects = program.get("/projects", &demo);
    assert_eq!((projects.status, &projects.json()["owner"]), (200, &json!("ann")));
    let refused = program.post("/projects", &demo, "");
    let challenge = r#"Bearer realm="api", error="insufficient_scope", scope="projects:write""#;
    assert_eq!((refused.status, refused.challenge.as_deref()), (403, Some(challenge)));
    // Tokens do not manage tokens.
    assert_eq!(program.get(TOKENS, &demo).status, 403);
    assert_eq!(program.post(TOKENS, &demo, WRITER).status, 403);

    // Credentials that are none.
    let bearer = format!("Bearer {demo}");
    let twice = [("Authorization", bearer.as_str()), ("Authorization", bearer.as_str())];
    assert_eq!(program.send("GET", "/projects", &twice, "").status, 400);
    assert_eq!(program.send("GET", "/projects", &[("Authorization", "Bearer")], "").status, 400);
    assert_invalid(&program, &demo[..demo.len() - 1]);
    assert_invalid(&program, &demo.replace("acme_live_", "acme_test_"));

    // One token's life.
    let ann = program.signed_in("ann");
    let (id, old) = mint(&ann);
    assert_eq!(program.post("/projects", &old, "").status, 201);
    assert_eq!(mixed(&old, &old), old);
    assert_invalid(&program, &mixed(&old, &demo));
    let new = rotate(&ann, &id);
    for value in [&old, &new] {
        assert_eq!(program.get("/projects", value).status, 200);
    }
    // Which of the two is to end is for people to say, so a third one is refused.
    assert_eq!(ann.post(&format!("/tokens/{id}/rotate"), "").status, 409);
    assert_eq!(ann.post(&format!("/tokens/{id}/end-overlap"), "").status, 200);
    assert_invalid(&program, &old);
    assert_eq!(program.get("/projects", &new).status, 200);

    let (gone, revoked) = mint(&ann);
    for _ in 0..2 {
        assert_eq!(ann.post(&format!("/tokens/{gone}/revoke"), "").status, 200);
        assert_eq!(ann.get(&format!("/tokens/{gone}")).json()["state"], "revoked");
        assert_invalid(&program, &revoked);
    }
    assert_eq!(ann.post(&format!("/tokens/{gone}/rotate"), "").status, 409);

    // One more, with its overlap still running at the crash.
    let (running, running_old) = mint(&ann);
    let running_new = rotate(&ann, &running);

    let listed = tokens_of(&ann);
    assert_eq!(listed.as_array().unwrap().len(), 4);
    program.kill();

    let program = place.start();
    assert!(!program.printed.iter().any(|line| line.contains("acme_live_")), "shown again: {:?}", program.printed);
    assert_eq!(tokens_of(&program.signed_in("ann")), listed);
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

fn the_demo_s_users_see_what_is_theirs(place: &Place) {
    let program = place.start();
    let sign_in = |form: &str| program.send("POST", "/demo/sign-in", &[], form);
    for nobody in ["", "user=", "user=eve", "user=Ann", "name=ann", "user=ann&user=bob"] {
        let answer = sign_in(nobody);
        // What is no form, or not this one, the framework refuses in its own way.
        assert!(matches!(answer.status, 400 | 415 | 422) && answer.cookie.is_none(), "{nobody}: {}", answer.status);
    }
    let cookies = [sign_in("user=ann").cookie.unwrap(), sign_in("user=ann").cookie.unwrap()];
    assert_ne!(cookies[0], cookies[1]);
    for cookie in cookies {
        let (name, attributes) = cookie.split_at("demo_session=".len() + 32);
        assert!(name.starts_with("demo_session="));
        assert_eq!(attributes, "; HttpOnly; SameSite=Lax; Path=/");
    }

    let [ann, bob, viewer, admin] = ["ann", "bob", "viewer", "admin"].map(|user| program.signed_in(user));
    let (id, _) = mint(&ann);
    let token = format!("/tokens/{id}");
    for (user, reads, changes) in [(&ann, 200, 200), (&bob, 404, 404), (&viewer, 200, 403), (&admin, 200, 200)] {
        assert_eq!(user.get(&token).status, reads, "{}", user.cookie);
        assert_eq!(user.post(&format!("{token}/end-overlap"), "").status, changes, "{}", user.cookie);
    }
    // A page of another site has no say, and neither has a session that ended, nor one that never was.
    let other = [("Cookie", ann.cookie.as_str()), ("Origin", "http://127.0.0.1:1")];
    assert_eq!(program.send("POST", TOKENS, &other, WRITER).status, 403);
    let signed_out = program.send("POST", "/demo/sign-out", &[("Cookie", &ann.cookie)], "");
    assert_eq!(signed_out.cookie.as_deref(), Some("demo_session=; Max-Age=0; HttpOnly; SameSite=Lax; Path=/"));
    assert_eq!(ann.get(&token).status, 401);
    let made_up = [("Cookie", "demo_session=00000000000000000000000000000000")];
    assert_eq!(program.send("GET", TOKENS, &made_up, "").status, 401);
}

fn a_token_that_may_manages_itself_and_no_other(place: &Place) {
    let program = place.start();
    let body = r#"{"name":"own","grants":[{"scope":"tokens:self","resources":"all"}]}"#;
    let minted = program.signed_in("ann").post("/tokens", body).json();
    let text = minted["text"].as_str().unwrap();
    assert_eq!(program.get("/api/tokens/self", text).json()["id"], minted["token"]["id"]);
    assert_eq!(program.get(TOKENS, text).status, 403);
    let rotated = program.post("/api/tokens/self/rotate", text, "").json();
    let new = rotated["text"].as_str().unwrap();
    // What was replaced gets nobody another one.
    let again = program.post("/api/tokens/self/rotate", text, r#"{"replace":"ending_current"}"#);
    assert_eq!((again.status, again.json()["code"].as_str()), (403, Some("superseded_value")));
    assert_eq!(program.post("/api/tokens/self/revoke", new, "").status, 200);
    for ended in [text, new] {
        assert_eq!(program.get("/api/tokens/self", ended).status, 401);
    }
}

fn a_shutdown_loses_no_use(place: &Place) {
    let program = place.start();
    let demo = program.exported("DEMO");
    for _ in 0..20 {
        assert_eq!(program.get("/projects", &demo).status, 200);
    }
    let id = id_of(&program.signed_in("ann"), "demo").parse().unwrap();
    program.interrupt();

    let uses: u64 = runtime().block_on(async {
        let store = SqlStore::open(&place.url()).await.unwrap();
        let usage = store.usage(id, Time::EPOCH).await.unwrap();
        usage.hours.iter().map(|hour| hour.count).sum()
    });
    assert_eq!(uses, 20);
}
