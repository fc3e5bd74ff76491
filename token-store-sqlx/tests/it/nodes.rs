//! Several nodes of one service, each with a store of its own on the same database, at the same time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use token_core::{
    Committed, Digest, Generation, LastUse, Reason, Redigest, RefusalTally, Subject, Tallies, TokenStore, UseTally,
};
use token_store_sqlx::SqlStore;

use crate::database::{Database, on_every_database};
use crate::sample::*;

on_every_database! {
    flushes_of_many_nodes_add_up,
    each_event_is_delivered_by_one_node_and_in_order,
    a_purge_leaves_nothing_behind_whatever_happens_beside_it,
}

const NODES: u32 = 8;
const TOKENS: u32 = 40;

async fn nodes(db: &Database) -> Vec<Arc<SqlStore>> {
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(Arc::new(db.store().await));
    }
    nodes[0].commit(&create_first(token(0, "ann"))).await.unwrap();
    for number in 1..TOKENS {
        nodes[0].commit(&create(token(number, "ann"), 1000)).await.unwrap();
    }
    nodes
}

/// One use and one refusal of each token, and a new digest, in an order that differs from node to node.
fn tallies(node: u32) -> Tallies {
    let mut numbers: Vec<u32> = (0..TOKENS).collect();
    numbers.rotate_left((node * 5 % TOKENS) as usize);
    if node % 2 == 1 {
        numbers.reverse();
    }
    let hour = at(0).hour();
    let used = |number: &u32| UseTally {
        token: id(*number),
        generation: Generation::FIRST,
        hour,
        count: 1,
        last: LastUse { at: at(i64::from(node)), address: None },
    };
    let refused = |number: &u32| RefusalTally { token: id(*number), reason: Reason::Expired, hour, count: 1 };
    let remade = |number: &u32| Redigest {
        selector: selector(*number, 1),
        from: key("k1"),
        to: key("k2"),
        digest: Digest::from_bytes([8; 32]),
    };
    Tallies {
        uses: numbers.iter().map(used).collect(),
        refusals: numbers.iter().map(refused).collect(),
        redigests: numbers.iter().map(remade).collect(),
    }
}

async fn flushes_of_many_nodes_add_up(db: &Database) {
    const FLUSHES: u64 = 20;
    let nodes = nodes(db).await;
    let flushing: Vec<_> = (0..)
        .zip(&nodes)
        .map(|(number, node)| {
            let node = node.clone();
            tokio::spawn(async move {
                for _ in 0..FLUSHES {
                    node.record(&tallies(number)).await.unwrap();
                }
            })
        })
        .collect();
    for flushed in flushing {
        flushed.await.unwrap();
    }
    for number in 0..TOKENS {
        let usage = nodes[0].usage(id(number), at(0)).await.unwrap();
        assert_eq!(usage.hours.iter().map(|hour| hour.count).sum::<u64>(), FLUSHES * u64::from(NODES));
        assert_eq!(usage.refusals.iter().map(|refusal| refusal.count).sum::<u64>(), FLUSHES * u64::from(NODES));
        assert_eq!(usage.last[0].1.at, at(i64::from(NODES) - 1));
        assert_eq!(nodes[0].load(&[selector(number, 1)]).await.unwrap()[0].secret.key, key("k2"));
    }
}

async fn each_event_is_delivered_by_one_node_and_in_order(db: &Database) {
    let nodes = nodes(db).await;
    for number in 0..TOKENS {
        let second = update(&format!("second {number}"), token(number, "ann"), None);
        assert_eq!(nodes[0].commit(&second).await.unwrap(), Committed::Done);
    }
    let all = 2 * TOKENS as usize;
    let delivered = Arc::new(Mutex::new(Vec::new()));
    let delivering: Vec<_> = nodes
        .iter()
        .map(|node| {
            let (node, delivered) = (node.clone(), delivered.clone());
            tokio::spawn(async move {
                while delivered.lock().unwrap().len() < all {
                    for delivery in node.claim(at(100), Duration::from_secs(30), 3).await.unwrap() {
                        delivered.lock().unwrap().push((delivery.event.subject.clone(), delivery.event.seq));
                        node.ack(&[delivery.cursor], at(100)).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for done in delivering {
        done.await.unwrap();
    }
    let delivered = delivered.lock().unwrap();
    assert_eq!(delivered.len(), all, "an event was delivered twice");
    for number in 0..TOKENS {
        let subject = Subject::Token(id(number));
        let order: Vec<u64> =
            delivered.iter().filter(|(delivered, _)| *delivered == subject).map(|(_, seq)| *seq).collect();
        assert_eq!(order, [1, 2]);
    }
}

async fn a_purge_leaves_nothing_behind_whatever_happens_beside_it(db: &Database) {
    let nodes = nodes(db).await;
    // All of them are dead. What comes late is counted for them and changed of them nevertheless.
    for number in 0..TOKENS {
        let mut dead = token(number, "ann");
        dead.revoked_at = Some(at(10));
        nodes[0].commit(&update(&format!("revoke {number}"), dead, None)).await.unwrap();
    }
    let purging = tokio::spawn({
        let node = nodes[1].clone();
        async move {
            let mut purged = 0;
            while purged < u64::from(TOKENS) {
                purged += node.purge(at(20), false, 3).await.unwrap();
            }
            purged
        }
    });
    let counting = tokio::spawn({
        let node = nodes[2].clone();
        async move {
            for node_number in 0..30 {
                node.record(&tallies(node_number)).await.unwrap();
            }
        }
    });
    let changing = tokio::spawn({
        let node = nodes[3].clone();
        async move {
            for number in (0..TOKENS).rev() {
                let mut dead = token(number, "ann");
                (dead.revoked_at, dead.revision) = (Some(at(10)), 2);
                dead.head.seq = 2;
                let reseal = update(&format!("reseal {number}"), dead, Some(secret(number, 2)));
                let changed = node.commit(&reseal).await.unwrap();
                assert!(matches!(changed, Committed::Done | Committed::Conflict), "{changed:?}");
            }
        }
    });
    counting.await.unwrap();
    changing.await.unwrap();
    assert_eq!(purging.await.unwrap(), u64::from(TOKENS));
    let all_of_tokens = [
        "api_tokens",
        "api_token_secrets",
        "api_token_events",
        "api_token_changes",
        "api_token_usage_last",
        "api_token_usage_hours",
        "api_token_refusals",
    ];
    for table in all_of_tokens {
        assert_eq!(db.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}
