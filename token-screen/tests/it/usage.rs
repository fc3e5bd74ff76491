//! What is told of usage: all that is stored of it, to those whose token it is.

use std::time::Duration;

use serde_json::{Value, json};
use token_core::{
    CallTally, Clock, Generation, LastUse, Reason, RefusalTally, ScopeName, ScopeTally, SignalKind, SignalTally,
    SourceTally, Tallies, Time, TokenId, UseTally,
};

use crate::world::{Who, World};

/// Ann's rotated token, its old value used a minute after: from one network, refused too, and suspicious.
async fn used() -> (World, Time) {
    let world = World::new().await;
    let token: TokenId = world.rotated.id.parse().unwrap();
    world.clock.advance(Duration::from_secs(60));
    let at = world.clock.now();
    let address = "198.51.100.7".parse().unwrap();
    let tallies = Tallies {
        uses: vec![UseTally {
            token,
            generation: Generation::FIRST,
            hour: at.hour(),
            count: 3,
            last: LastUse { at, address: Some(address), client: None },
        }],
        refusals: vec![RefusalTally { token, reason: Reason::Expired, hour: at.hour(), count: 2 }],
        sources: vec![SourceTally {
            token,
            network: "198.51.100.0/24".parse().unwrap(),
            first: at,
            last: at,
            uses: 3,
            refusals: 2,
        }],
        scopes: vec![ScopeTally { token, scope: ScopeName::new("projects:read").unwrap(), last: at.hour() }],
        calls: vec![CallTally {
            token,
            slot: 0,
            at,
            method: "GET".to_owned(),
            route: Some("/projects/{id}".to_owned()),
            refused: Some(Reason::Expired),
            address: Some(address),
        }],
        signals: vec![SignalTally {
            token,
            kind: SignalKind::NewNetwork,
            subject: "198.51.100.0/24".to_owned(),
            first: at,
            last: at,
            count: 1,
        }],
        redigests: Vec::new(),
    };
    world.store.record(&tallies).await.unwrap();
    (world, at)
}

async fn told(world: &World, who: Who, path: &str) -> Value {
    let answer = world.ask(who, "GET", path, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json
}

#[tokio::test]
async fn everything_that_is_known_of_a_token_is_told() {
    let (world, at) = used().await;
    let activity = told(&world, Who::Owner, &format!("/tokens/{}/activity", world.rotated.id)).await;
    let (second, hour, day) = (at.to_string(), at.hour().to_string(), at.day().to_string());
    let signal = json!({
        "kind": "new_network", "subject": "198.51.100.0/24", "first": second, "last": second, "count": 1,
    });
    let usage = &activity["usage"];
    assert_eq!(usage["days"], json!([{ "day": day, "uses": 3, "refusals": 2 }]));
    assert_eq!(usage["refusals"], json!([{ "reason": "expired", "count": 2 }]));
    assert_eq!(usage["last"], json!([{ "generation": 1, "at": second, "address": "198.51.100.7", "client": null }]));
    assert_eq!(usage["scopes"], json!([{ "scope": "projects:read", "last": hour }]));
    assert_eq!(usage["signals"], json!([signal]));
    let old = &usage["advice"][0];
    assert_eq!((&old["kind"], &old["last"]), (&json!("old_value_in_use"), &json!(second)));
    assert!(old["until"].is_string() && old.get("at").is_none(), "{old}");
    assert_eq!(
        activity["sources"],
        json!([{
            "network": "198.51.100.0/24", "first_seen": second, "last_seen": second,
            "uses": 3, "refusals": 2, "is_new": false,
        }])
    );
    assert_eq!(activity["calls"], calls(&world, &second));
    assert_eq!(activity["last_hour"]["sources"], 1);

    let page = told(&world, Who::Owner, "/usage?days=2").await;
    let listed = told(&world, Who::Owner, "/tokens").await;
    let ids = |list: &Value, id: &str| list.as_array().unwrap().iter().map(|of| of[id].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&page["usage"], "token"), ids(&listed["tokens"], "id"));
    assert!(page["usage"].as_array().unwrap().contains(usage), "{page}");

    let attention = told(&world, Who::Owner, "/attention").await;
    let first = json!({ "token": world.rotated.id, "name": "rotated", "signal": signal, "advice": null });
    assert_eq!(attention["items"][0], first);
    let after = &attention["items"][1];
    assert!(after["signal"].is_null() && after["advice"]["kind"].is_string(), "{after}");
    assert_eq!(attention["more"], false);
    assert_eq!(told(&world, Who::Admin, "/calls").await["calls"], calls(&world, &second));
}

fn calls(world: &World, at: &str) -> Value {
    json!([{
        "at": at, "token": world.rotated.id, "name": "rotated", "method": "GET", "route": "/projects/{id}",
        "refused": "expired", "address": "198.51.100.7",
    }])
}

#[tokio::test]
async fn nobody_is_told_of_what_others_tokens_do() {
    let (world, _) = used().await;
    for path in ["/usage", "/calls", "/attention"] {
        let told = told(&world, Who::OtherOwner, path).await.to_string();
        assert!(!told.contains("198.51.100") && !told.contains(&world.rotated.id), "{path}: {told}");
    }
    let theirs = told(&world, Who::Admin, "/calls?owner=bob").await;
    assert_eq!(theirs, json!({ "calls": [] }));
    assert_eq!(told(&world, Who::Admin, "/calls?owner=ann").await["calls"].as_array().unwrap().len(), 1);
}
