//! One change for one key, and none for a revision that is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use token_core::testing::{Call, Hook, HookedStore};
use token_core::{Fault, MemoryStore, StoreError};

use crate::world::{Answer, Who, World, request, with};

async fn keyed(world: &World, who: Who, key: &str, method: &str, path: &str, body: &str) -> Answer {
    world.send(who, with(request(method, path, body), "idempotency-key", key)).await
}

#[tokio::test]
async fn the_same_request_under_the_same_key_is_one_change() {
    let world = World::new().await;
    let body = r#"{"name":"new"}"#;
    let first = keyed(&world, Who::Owner, "k1", "POST", "/tokens", body).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None));
    let id = first.json["token"]["id"].as_str().unwrap().to_owned();
    assert_eq!(first.header("location"), Some(format!("/api/tokens/tokens/{id}").as_str()));
    let before = world.state().await;
    let again = keyed(&world, Who::Owner, "k1", "POST", "/tokens", body).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!((&again.json["text"], &again.json["token"]["id"]), (&().into(), &id.clone().into()));
    let other = keyed(&world, Who::Owner, "k1", "POST", "/tokens", r#"{"name":"other"}"#).await;
    assert_eq!((other.status, other.code()), (409, "change_id_reused"));
    assert_eq!(world.state().await, before);
    // Another's key of the same letters is another key.
    assert_eq!(keyed(&world, Who::OtherOwner, "k1", "POST", "/tokens", body).await.status, 201);

    let path = format!("/tokens/{id}");
    let policy = r#"{"live_tokens_per_owner":10,"max_lifetime":null,"never_expires":true,"default_lifetime":1,"max_overlap":0,"default_overlap":0}"#;
    for (who, key, method, path, body) in [
        (Who::Owner, "k2", "POST", format!("{path}/rotate"), r#"{"overlap_seconds":60}"#),
        (Who::Owner, "k3", "PATCH", path.clone(), r#"{"name":"renamed"}"#),
        (Who::Owner, "k4", "POST", format!("{path}/end-overlap"), ""),
        (Who::Owner, "k5", "POST", format!("{path}/revoke"), ""),
        (Who::Admin, "k6", "POST", "/owners/ann/suspend".to_owned(), ""),
        (Who::Admin, "k7", "POST", "/owners/ann/resume".to_owned(), ""),
        (Who::SelfToken, "k9", "POST", "/self/rotate".to_owned(), ""),
        (Who::SelfToken, "k10", "POST", "/self/revoke".to_owned(), ""),
        (Who::Admin, "k8", "PUT", "/policy".to_owned(), policy),
    ] {
        let first = keyed(&world, who, key, method, &path, body).await;
        assert_eq!((first.status, first.header("idempotency-replayed")), (200, None), "{path}");
        let before = world.state().await;
        let again = keyed(&world, who, key, method, &path, body).await;
        if key == "k10" {
            // By the first request the token is revoked, and no longer there to ask.
            assert_eq!(again.status, 401);
        } else {
            assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")), "{path}");
            assert!(again.json.get("text").is_none_or(serde_json::Value::is_null));
        }
        assert_eq!(world.state().await, before, "{path}");
    }
}

#[tokio::test]
async fn the_outcome_of_a_change_is_told_to_whoever_made_it() {
    let world = World::new().await;
    keyed(&world, Who::Owner, "a/b c%".replace(' ', "").as_str(), "POST", "/tokens", r#"{"name":"new"}"#).await;
    let told = world.ask(Who::Owner, "GET", "/changes/a%2Fbc%25", "").await;
    assert_eq!((told.status, &told.json["event"]["kind"]), (200, &"created".into()));
    for who in [Who::OtherOwner, Who::Admin] {
        assert_eq!(world.ask(who, "GET", "/changes/a%2Fbc%25", "").await.code(), "not_found");
    }
    for key in ["none", "%20", "%ff", &"x".repeat(256), "change-00000000000000000000000000000000", "change-x"] {
        assert_eq!(world.ask(Who::Owner, "GET", &format!("/changes/{key}"), "").await.code(), "not_found");
    }
    for key in ["", " ", "a b", "é", &"x".repeat(256)] {
        let answer = keyed(&world, Who::Owner, key, "POST", "/tokens", r#"{"name":"x"}"#).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_header"), "{key:?}");
    }
    let twice = with(request("POST", "/tokens", r#"{"name":"x"}"#), "idempotency-key", "a");
    assert_eq!(world.send(Who::Owner, with(twice, "idempotency-key", "a")).await.status, 400);
}

#[tokio::test]
async fn a_change_is_made_of_the_revision_that_was_seen() {
    let world = World::new().await;
    let path = format!("/tokens/{}", world.rotated.id);
    let seen = world.ask(Who::Owner, "GET", &path, "").await;
    assert_eq!(seen.header("etag"), Some("\"2\""));
    let before = world.state().await;
    for (method, rest, body) in [
        ("PATCH", "", r#"{"name":"x"}"#),
        ("POST", "/rotate", r#"{"replace":"ending_current"}"#),
        ("POST", "/end-overlap", ""),
        ("POST", "/revoke", ""),
    ] {
        let ask = |tag: &str| with(request(method, &format!("{path}{rest}"), body), "if-match", tag);
        let stale = world.send(Who::Owner, ask("\"1\"")).await;
        assert_eq!((stale.status, stale.code(), stale.header("etag")), (412, "stale_revision", Some("\"2\"")));
        for bad in ["2", "W/\"2\"", "\"2\", \"3\"", "\"\"", "\"02\"", "\"x\"", "\"99999999999999999999\"", ""] {
            let answer = world.send(Who::Owner, ask(bad)).await;
            assert_eq!((answer.status, answer.code()), (400, "invalid_header"), "{bad}");
        }
        assert_eq!(world.send(Who::Owner, with(ask("\"2\""), "if-match", "\"2\"")).await.status, 400);
    }
    assert_eq!(world.state().await, before);
    let edit = |tag: &str| with(request("PATCH", &path, r#"{"name":"x"}"#), "if-match", tag);
    let edited = world.send(Who::Owner, edit("\"2\"")).await;
    assert_eq!((edited.status, edited.header("etag")), (200, Some("\"3\"")));
    assert_eq!(world.send(Who::Owner, edit("*")).await.status, 200);
    let revoke = with(request("POST", "/self/revoke", ""), "if-match", "\"7\"");
    assert_eq!(world.send(Who::SelfToken, revoke).await.status, 412);
}

struct Armed(Arc<Faults>);

/// Fails or loses the answers of calls, once it is armed.
struct Faults {
    armed: AtomicUsize,
    before: bool,
    call: Call,
    fault: Fault,
}

#[async_trait::async_trait]
impl Hook for Armed {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        self.0.fail(call, self.0.before)
    }

    async fn after(&self, call: Call) -> Result<(), StoreError> {
        self.0.fail(call, !self.0.before)
    }
}

impl Faults {
    fn fail(&self, call: Call, here: bool) -> Result<(), StoreError> {
        let armed = self.armed.load(Ordering::SeqCst);
        if here && call == self.call && armed > 0 {
            self.armed.store(armed - 1, Ordering::SeqCst);
            return Err(self.fault.into());
        }
        Ok(())
    }
}

async fn faulty(before: bool, call: Call, fault: Fault) -> (World, Arc<Faults>) {
    let faults = Arc::new(Faults { armed: AtomicUsize::new(0), before, call, fault });
    let store = HookedStore::hooked(Arc::new(MemoryStore::new()), Armed(Arc::clone(&faults)));
    (World::on(Arc::new(store)).await, faults)
}

#[tokio::test]
async fn a_store_that_fails_is_unavailable_and_never_an_empty_answer() {
    for (call, method, path, body) in [
        (Call::List, "GET", "/tokens", ""),
        (Call::Token, "GET", "/tokens/01935b2a-7c1e-7000-8000-0123456789ab", ""),
        (Call::Owner, "GET", "/owners/ann", ""),
        (Call::Meta, "GET", "/policy", ""),
        (Call::Outcome, "GET", "/changes/k", ""),
        (Call::Commit, "POST", "/tokens", r#"{"name":"x"}"#),
    ] {
        for fault in [Fault::ConnectionLost, Fault::PoolExhausted, Fault::DiskFull, Fault::ReadOnly, Fault::Corrupt] {
            let (world, faults) = faulty(true, call, fault).await;
            let before = world.state().await;
            faults.armed.store(1, Ordering::SeqCst);
            let answer = world.ask(Who::Owner, method, path, body).await;
            assert_eq!((answer.status, answer.code()), (503, "temporarily_unavailable"), "{path} {fault:?}");
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert_eq!(world.state().await, before);
        }
    }
}

#[tokio::test]
async fn a_change_whose_outcome_is_not_known_can_be_asked_for_and_made_again() {
    for key in [Some("k"), None] {
        let (world, faults) = faulty(false, Call::Commit, Fault::OutcomeUnknown).await;
        faults.armed.store(100, Ordering::SeqCst);
        let mut asked = request("POST", "/tokens", r#"{"name":"new"}"#);
        if let Some(key) = key {
            asked = with(asked, "idempotency-key", key);
        }
        let lost = world.send(Who::Owner, asked.clone()).await;
        assert_eq!((lost.status, lost.code()), (503, "outcome_unknown"));
        faults.armed.store(0, Ordering::SeqCst);
        let ask_under = lost.json["idempotency_key"].as_str().unwrap();
        assert_eq!(ask_under.starts_with("change-"), key.is_none());
        let path = format!("/changes/{ask_under}");
        let told = world.ask(Who::Owner, "GET", &path, "").await;
        assert_eq!((told.status, &told.json["event"]["detail"]["name"]), (200, &"new".into()));
        assert_eq!(world.ask(Who::OtherOwner, "GET", &path, "").await.status, 404);
        if key.is_some() {
            let again = world.send(Who::Owner, asked).await;
            assert_eq!((again.status, &again.json["token"]["id"]), (200, &told.json["token"]));
        }
    }
}

/// Lets others run before every call.
struct Yielding;

#[async_trait::async_trait]
impl Hook for Yielding {
    async fn before(&self, _call: Call) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        Ok(())
    }
}

#[tokio::test]
async fn the_same_request_twice_at_once_is_one_change() {
    let world = World::on(Arc::new(HookedStore::hooked(Arc::new(MemoryStore::new()), Yielding))).await;
    let create = || keyed(&world, Who::Owner, "k", "POST", "/tokens", r#"{"name":"new"}"#);
    let (a, b) = tokio::join!(create(), create());
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201]);
    assert_eq!(a.json["token"]["id"], b.json["token"]["id"]);
    assert_eq!(a.json["text"].is_null(), a.status == 200);
    let path = format!("/tokens/{}/rotate", world.plain.id);
    let rotate = || keyed(&world, Who::Owner, "r", "POST", &path, "");
    let (a, b) = tokio::join!(rotate(), rotate());
    assert_eq!((a.status, b.status), (200, 200));
    assert_eq!(usize::from(a.json["text"].is_string()) + usize::from(b.json["text"].is_string()), 1);
    assert_eq!((&a.json["token"]["revision"], &b.json["token"]["revision"]), (&2.into(), &2.into()));
}

#[tokio::test]
async fn a_row_that_was_tampered_with_is_shown_as_such_and_can_only_be_revoked() {
    let world = World::new().await;
    let id = world.plain.id.parse().unwrap();
    let sealed = world.store.token(id).await.unwrap().unwrap();
    let mut token = sealed.unverified().clone();
    token.name = token_core::TokenName::new("forged").unwrap();
    token.revision += 1;
    let forged = token_core::Sealed::from_parts(token.clone(), sealed.seal().clone());
    let event = world.store.events(&token_core::Subject::Token(id), 0, 1).await.unwrap().remove(0);
    let change = token_core::Change {
        id: token_core::ChangeId::from_bytes([9; 16]),
        fingerprint: token_core::Fingerprint::from_bytes([9; 32]),
        event: token_core::Event { seq: 99, ..event },
        write: token_core::Write::UpdateToken { token: forged, secret: None, longer: None },
    };
    world.store.commit(&change).await.unwrap();
    let path = format!("/tokens/{id}");
    assert_eq!(world.ask(Who::Owner, "GET", &path, "").await.json["seal"], "broken");
    for (method, rest) in [("PATCH", ""), ("POST", "/rotate"), ("POST", "/end-overlap"), ("GET", "/history")] {
        let body = if method == "PATCH" { r#"{"name":"x"}"# } else { "" };
        let answer = world.ask(Who::Owner, method, &format!("{path}{rest}"), body).await;
        assert_eq!((answer.status, answer.code()), (409, "broken_seal"), "{rest}");
    }
    assert_eq!(world.ask(Who::Owner, "POST", &format!("{path}/revoke"), "").await.status, 200);
    let history = world.ask(Who::Owner, "GET", &format!("{path}/history"), "").await;
    assert_eq!(history.json["history"], "broken");
}
