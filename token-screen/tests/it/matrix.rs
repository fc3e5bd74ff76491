//! Every operation, by everyone: the answer, and whether anything changed.

use crate::world::{MISSING, Who, World, matches_file};

const POLICY: &str = r#"{"live_tokens_per_owner":10,"max_lifetime":31536000,"never_expires":false,"default_lifetime":86400,"max_overlap":86400,"default_overlap":3600}"#;

/// Method, path and body, with `{a}` for a token of Ann's, `{m}` for a missing one.
const OPERATIONS: [(&str, &str, &str); 42] = [
    ("GET", "/tokens", ""),
    ("GET", "/tokens?owner=ann", ""),
    ("POST", "/tokens", r#"{"name":"new","grants":[{"scope":"projects:read","resources":"all"}]}"#),
    ("POST", "/tokens", r#"{"name":"new","owner":"ann"}"#),
    ("POST", "/tokens/revoke", r#"{"ids":["{a}"]}"#),
    ("POST", "/tokens/revoke", r#"{"ids":["{m}"]}"#),
    ("GET", "/tokens/{a}", ""),
    ("GET", "/tokens/{m}", ""),
    ("PATCH", "/tokens/{a}", r#"{"name":"renamed"}"#),
    ("PATCH", "/tokens/{m}", r#"{"name":"renamed"}"#),
    ("POST", "/tokens/{a}/rotate", r#"{"replace":"ending_superseded"}"#),
    ("POST", "/tokens/{m}/rotate", ""),
    ("POST", "/tokens/{a}/end-overlap", ""),
    ("POST", "/tokens/{m}/end-overlap", ""),
    ("POST", "/tokens/{a}/revoke", ""),
    ("POST", "/tokens/{m}/revoke", ""),
    ("GET", "/tokens/{a}/usage", ""),
    ("GET", "/tokens/{a}/events", ""),
    ("GET", "/tokens/{a}/history", ""),
    ("GET", "/tokens/{a}/activity", ""),
    ("GET", "/usage", ""),
    ("GET", "/calls", ""),
    ("GET", "/calls?owner=ann", ""),
    ("GET", "/attention", ""),
    ("GET", "/attention?owner=ann", ""),
    ("GET", "/receipts/none", ""),
    ("GET", "/owners/ann", ""),
    ("GET", "/owners/none", ""),
    ("POST", "/owners/ann/suspend", ""),
    ("POST", "/owners/ann/resume", ""),
    ("POST", "/owners/none/resume", ""),
    ("GET", "/owners/ann/events", ""),
    ("GET", "/policy", ""),
    ("PUT", "/policy", POLICY),
    ("POST", "/policy/rehearse", POLICY),
    ("GET", "/policy/events", ""),
    ("GET", "/changes/none", ""),
    ("GET", "/scopes", ""),
    ("GET", "/self", ""),
    ("POST", "/self/rotate", ""),
    ("POST", "/self/revoke", ""),
    ("GET", "/openapi.json", ""),
];

#[tokio::test]
async fn everyone_is_answered_as_the_table_says_and_only_what_is_done_changes_anything() {
    let mut table = String::new();
    for (method, path, body) in OPERATIONS {
        table += format!("{method} {path} {body}").trim_end();
        table.push('\n');
        for who in Who::ALL {
            let world = World::new().await;
            let fill = |text: &str| text.replace("{a}", &world.rotated.id).replace("{m}", MISSING);
            let before = world.state().await;
            let answer = world.ask(who, method, &fill(path), &fill(body)).await;
            let changed = world.state().await != before;
            assert!(method != "GET" || !changed, "a GET changed something");
            assert!(answer.status < 300 || !changed, "{who:?} was refused and changed something: {method} {path}");
            let detail = match answer.json["results"][0]["outcome"].as_str() {
                Some(outcome) => outcome,
                None => answer.code(),
            };
            let line = format!("    {:<11} {} {detail}", format!("{who:?}"), answer.status);
            table += &format!("{}{}\n", line.trim_end(), if changed { "  (changed)" } else { "" });
        }
    }
    matches_file("tests/snapshots/matrix.txt", &table);
}

#[tokio::test]
async fn foreign_missing_and_malformed_ids_are_answered_byte_for_byte_the_same() {
    let operations = [
        ("GET", "/tokens/{}", ""),
        ("PATCH", "/tokens/{}", r#"{"name":"renamed"}"#),
        ("POST", "/tokens/{}/rotate", ""),
        ("POST", "/tokens/{}/end-overlap", ""),
        ("POST", "/tokens/{}/revoke", ""),
        ("GET", "/tokens/{}/usage", ""),
        ("GET", "/tokens/{}/activity", ""),
        ("GET", "/tokens/{}/events", ""),
        ("GET", "/tokens/{}/history", ""),
    ];
    for who in [Who::Owner, Who::Viewer, Who::Stale] {
        for (method, path, body) in operations {
            let world = World::new().await;
            let upper = world.rotated.id.to_uppercase();
            let ids = [&world.bobs.id, MISSING, "malformed", "%ff", "..", &upper, "01935b2a7c1e700080000123456789ab"];
            let mut answers = Vec::new();
            for id in ids {
                answers.push(world.ask(who, method, &path.replace("{}", id), body).await);
            }
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{who:?} {method} {path}: {answers:?}");
            assert!(matches!(answers[0].status, 403 | 404), "{who:?} {method} {path}");
        }
    }
    let world = World::new().await;
    for path in ["/owners/{}", "/owners/{}/events"] {
        let mut answers = Vec::new();
        let long = "x".repeat(300);
        for id in ["bob", "none", "%ff", "%00", &long] {
            answers.push(world.ask(Who::Owner, "GET", &path.replace("{}", id), "").await);
        }
        assert!(answers[0].status == 404 && answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
}
