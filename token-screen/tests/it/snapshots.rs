//! The shape of every response, as committed files; what differs from run to run is redacted.

use regex::Regex;

use crate::world::{Answer, MISSING, Who, World, matches_file, request, with};

fn redacted(answer: &Answer) -> String {
    let mut text = format!("{}\n", answer.status);
    for (name, value) in &answer.headers {
        text += &format!("{name}: {value}\n");
    }
    text += &format!("\n{:#}\n", answer.json);
    for (pattern, instead) in [
        ("acme_test_[0-9A-Za-z]{54}", "<text>"),
        ("acme_test_[0-9A-Za-z]{4}…", "<masked>"),
        ("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
        ("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "<time>"),
        ("\"receipt\": \"[0-9A-Za-z_-]{88}\"", "\"receipt\": \"<receipt>\""),
        ("\"next\": \"[0-9A-Za-z_-]+\"", "\"next\": \"<cursor>\""),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, instead).into_owned();
    }
    text
}

#[tokio::test]
async fn responses_have_the_reviewed_shapes() {
    let world = World::new().await;
    world.ask(Who::SelfToken, "GET", "/self", "").await;
    world.ask(Who::PlainToken, "POST", "/self/revoke", "").await;
    world.tokens.flush().await.unwrap();
    let a = &world.rotated.id;
    let create = r#"{"name":"deploy","grants":[{"scope":"projects:read","resources":"all"},{"scope":"projects:write","resources":["p1","p2"]}],"networks":["198.51.100.0/24","2001:db8::1"],"expires":{"after_seconds":86400}}"#;
    let policy = r#"{"live_tokens_per_owner":2,"max_lifetime":null,"never_expires":true,"default_lifetime":86400,"max_overlap":86400,"default_overlap":3600}"#;
    let revoked = world.ask(Who::Anonymous, "GET", "/tokens", "").await;
    let receipt = format!("/receipts/{}", revoked.json["receipt"].as_str().unwrap());
    let many = format!(r#"{{"ids":["{}","{MISSING}"]}}"#, world.plain.id);
    let asked: Vec<(&str, Who, &str, String, &str)> = vec![
        ("create", Who::Owner, "POST", "/tokens".into(), create),
        ("create_again", Who::Owner, "POST", "/tokens".into(), create),
        ("list", Who::Owner, "GET", "/tokens?limit=2&sort=name".into(), ""),
        ("read", Who::Owner, "GET", format!("/tokens/{a}"), ""),
        ("edit", Who::Owner, "PATCH", format!("/tokens/{a}"), r#"{"name":"renamed","networks":null}"#),
        ("two_live", Who::Owner, "POST", format!("/tokens/{a}/rotate"), ""),
        ("rotate", Who::Owner, "POST", format!("/tokens/{a}/rotate"), r#"{"replace":"ending_current"}"#),
        ("end_overlap", Who::Owner, "POST", format!("/tokens/{a}/end-overlap"), ""),
        ("usage", Who::Owner, "GET", format!("/tokens/{}/usage", world.plain.id), ""),
        ("self_usage", Who::Owner, "GET", format!("/tokens/{}/usage", world.itself.id), ""),
        ("usage_page", Who::Owner, "GET", "/usage?limit=3&sort=name".into(), ""),
        ("activity", Who::Owner, "GET", format!("/tokens/{}/activity", world.itself.id), ""),
        ("calls", Who::Owner, "GET", "/calls".into(), ""),
        ("attention", Who::Owner, "GET", "/attention".into(), ""),
        ("events", Who::Owner, "GET", format!("/tokens/{a}/events"), ""),
        ("history", Who::Owner, "GET", format!("/tokens/{a}/history"), ""),
        ("receipt", Who::Admin, "GET", receipt, ""),
        ("change", Who::Owner, "GET", "/changes/create_again".into(), ""),
        ("scopes", Who::Owner, "GET", "/scopes".into(), ""),
        ("self", Who::SelfToken, "GET", "/self".into(), ""),
        ("self_rotate", Who::SelfToken, "POST", "/self/rotate".into(), ""),
        ("rehearse", Who::Admin, "POST", "/policy/rehearse".into(), policy),
        ("policy", Who::Owner, "GET", "/policy".into(), ""),
        ("set_policy", Who::Admin, "PUT", "/policy".into(), policy),
        ("policy_events", Who::Admin, "GET", "/policy/events".into(), ""),
        ("cap_reached", Who::Owner, "POST", "/tokens".into(), r#"{"name":"x"}"#),
        ("suspend", Who::Admin, "POST", "/owners/ann/suspend".into(), ""),
        ("owner", Who::Owner, "GET", "/owners/ann".into(), ""),
        ("owner_events", Who::Owner, "GET", "/owners/ann/events".into(), ""),
        ("resume", Who::Admin, "POST", "/owners/ann/resume".into(), ""),
        ("revoke", Who::Owner, "POST", format!("/tokens/{a}/revoke"), ""),
        ("revoke_many", Who::Owner, "POST", "/tokens/revoke".into(), &many),
        ("self_revoke", Who::SelfToken, "POST", "/self/revoke".into(), ""),
        ("not_live", Who::Owner, "PATCH", format!("/tokens/{a}"), "{}"),
        ("not_found", Who::Owner, "GET", format!("/tokens/{MISSING}"), ""),
        ("forbidden", Who::Viewer, "POST", format!("/tokens/{a}/revoke"), ""),
        ("stale_sign_in", Who::Stale, "POST", "/tokens".into(), r#"{"name":"x"}"#),
        ("anonymous", Who::Anonymous, "GET", "/tokens".into(), ""),
        ("invalid_token", Who::SelfToken, "GET", "/self".into(), ""),
        ("invalid_body", Who::Owner, "POST", "/tokens".into(), "[]"),
        ("invalid_query", Who::Owner, "GET", "/tokens?x=1".into(), ""),
        ("no_method", Who::Owner, "DELETE", format!("/tokens/{a}"), ""),
    ];
    for (file, who, method, path, body) in asked {
        let mut request = request(method, &path, body);
        if file.starts_with("create") {
            request = with(request, "idempotency-key", "create_again");
        }
        let answer = world.send(who, request).await;
        matches_file(&format!("tests/snapshots/{file}.http"), &redacted(&answer));
    }
    let stale = with(request("POST", &format!("/tokens/{}/rotate", world.bobs.id), ""), "if-match", "\"7\"");
    let answer = world.send(Who::OtherOwner, stale).await;
    matches_file("tests/snapshots/stale_revision.http", &redacted(&answer));
}
