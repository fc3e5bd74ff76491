//! Several nodes of one service, each with a store of its own on the same database, at the same time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use token_core::{
    CallTally, Committed, Digest, Generation, LastUse, Reason, Redigest, RefusalTally, ScopeName, ScopeTally,
    SignalKind, SignalTally, SourceTally, Subject, Tallies, TokenStore, UseTally, Whose,
};
use token_store_sqlx::SqlStore;

use crate::database::{Database, Kind, on_every_database};
use crate::log::Listening;
use crate::sample::*;

on_every_database! {
    flushes_of_many_nodes_add_up_and_do_not_deadlock,
    each_event_is_delivered_by_one_node_and_in_order,
    hours_that_are_folded_while_nodes_count_are_counted_once,
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

/// One of everything that is counted for each token, and a new digest, in an order that differs from node to node.
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
        last: LastUse { at: at(i64::from(node)), address: None, client: None },
    };
    let refused = |number: &u32| RefusalTally { token: id(*number), reason: Reason::Expired, hour, count: 1 };
    let remade = |number: &u32| Redigest {
        selector: selector(*number, 1),
        from: key("k1"),
        to: key("k2"),
        digest: Digest::from_bytes([8; 32]),
    };
    let seen = |number: &u32| SourceTally {
        token: id(*number),
        network: "198.51.100.0/24".parse().unwrap(),
        first: at(i64::from(node)),
        last: at(i64::from(node)),
        uses: 1,
        refusals: 2,
    };
    let exercised = |number: &u32| ScopeTally {
        token: id(*number),
        scope: ScopeName::new("projects:read").unwrap(),
        last: at(i64::from(node)),
    };
    let called = |number: &u32| CallTally {
        token: id(*number),
        slot: 0,
        at: at(i64::from(node)),
        method: "GET".into(),
        route: Some(format!("/nodes/{node}")),
        refused: None,
        address: None,
    };
    let suspected = |number: &u32, kind| SignalTally {
        token: id(*number),
        kind,
        subject: String::new(),
        first: at(i64::from(node)),
        last: at(i64::from(node)),
        count: u64::from(node) + 1,
    };
    let after_revoke = numbers.iter().map(|number| suspected(number, SignalKind::UsedAfterRevoke));
    let burst = numbers.iter().map(|number| suspected(number, SignalKind::Burst));
    Tallies {
        uses: numbers.iter().map(used).collect(),
        refusals: numbers.iter().map(refused).collect(),
        sources: numbers.iter().map(seen).collect(),
        scopes: numbers.iter().map(exercised).collect(),
        calls: numbers.iter().map(called).collect(),
        signals: after_revoke.chain(burst).collect(),
        redigests: numbers.iter().map(remade).collect(),
    }
}

/// All nodes flush at the same time. Answers how often a flush was done again since others were in the way: the store says so in the log
/// and nowhere else. All of it is on one thread, whose log nobody else writes.
fn flush_at_once(db: &Database, flushes: u64) -> usize {
    let flush = || {
        let log = Listening::to(tracing::Level::DEBUG);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let flushing: Vec<_> = (0..)
                .zip(nodes(db).await)
                .map(|(number, node)| {
                    tokio::spawn(async move {
                        for _ in 0..flushes {
                            node.record(&tallies(number)).await.unwrap();
                        }
                    })
                })
                .collect();
            for flushed in flushing {
                flushed.await.unwrap();
            }
        });
        log.text().matches("others were in the way in the token database").count()
    };
    std::thread::scope(|scope| scope.spawn(flush).join()).unwrap()
}

/// How many deadlocks a server has ended: PostgreSQL in this database, MariaDB and MySQL in all.
async fn deadlocks(db: &Database) -> usize {
    let counted = match db.kind() {
        Kind::Sqlite => 0,
        Kind::Postgres => {
            // What a session has counted it may keep to itself until it ends.
            db.disconnect_all().await;
            let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                            AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
            while db.count(sessions).await > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            db.count("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await
        }
        Kind::MySql => {
            let metric = "SELECT CAST(count AS SIGNED) FROM information_schema.innodb_metrics";
            db.count(&format!("{metric} WHERE name = 'lock_deadlocks'")).await
        }
    };
    usize::try_from(counted).unwrap()
}

async fn flushes_of_many_nodes_add_up_and_do_not_deadlock(db: &Database) {
    const FLUSHES: u64 = 20;
    let before = deadlocks(db).await;
    let again = flush_at_once(db, FLUSHES);
    let ended = deadlocks(db).await - before;
    // Where those of other tests are counted too, it is one of these if a flush was done again as well; which by itself may be that it
    // waited for too long.
    let met = if db.kind() == Kind::MySql { ended.min(again) } else { ended };
    assert_eq!(met, 0, "{again} flushes were done again, and the server ended {ended} deadlocks");

    let store = db.store().await;
    for number in 0..TOKENS {
        let usage = store.usage(id(number), at(0)).await.unwrap();
        assert_eq!(usage.hours.iter().map(|hour| hour.count).sum::<u64>(), FLUSHES * u64::from(NODES));
        assert_eq!(usage.refusals.iter().map(|refusal| refusal.count).sum::<u64>(), FLUSHES * u64::from(NODES));
        assert_eq!(usage.last[0].1.at, at(i64::from(NODES) - 1));
        let [source] = &store.sources(id(number), 10).await.unwrap()[..] else { panic!("one source") };
        assert_eq!((source.first_seen, source.last_seen), (at(0), at(i64::from(NODES) - 1)));
        assert_eq!((source.uses, source.refusals), (FLUSHES * u64::from(NODES), 2 * FLUSHES * u64::from(NODES)));
        let [call] = &store.calls(&Whose::Token(id(number)), 10).await.unwrap()[..] else { panic!("one call") };
        assert_eq!(call.route, Some(format!("/nodes/{}", NODES - 1)));
        let signals = store.signals(&Whose::Token(id(number)), at(0), 10).await.unwrap();
        let counts: Vec<_> = signals.iter().map(|signal| (signal.kind, signal.count)).collect();
        let added = FLUSHES * (1..=u64::from(NODES)).sum::<u64>();
        assert_eq!(counts, [(SignalKind::Burst, NODES.into()), (SignalKind::UsedAfterRevoke, added)]);
        assert!(signals.iter().all(|signal| (signal.first, signal.last) == (at(0), at(i64::from(NODES) - 1))));
        assert_eq!(store.load(&[selector(number, 1)]).await.unwrap()[0].secret.key, key("k2"));
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

async fn hours_that_are_folded_while_nodes_count_are_counted_once(db: &Database) {
    const FLUSHES: u64 = 15;
    let nodes = nodes(db).await;
    let mut working = Vec::new();
    for (number, node) in (0..).zip(&nodes) {
        let node = node.clone();
        working.push(tokio::spawn(async move {
            for flush in 0..FLUSHES {
                node.record(&tallies(number)).await.unwrap();
                if (flush + u64::from(number)) % 5 == 0 {
                    node.fold(at(100 * 86_400), 15).await.unwrap();
                }
            }
        }));
    }
    for worked in working {
        worked.await.unwrap();
    }
    while nodes[0].fold(at(100 * 86_400), 15).await.unwrap() > 0 {}
    let all: Vec<_> = (0..TOKENS).map(id).collect();
    let summaries = nodes[0].summaries(&all, at(0), at(0)).await.unwrap();
    assert_eq!(summaries.len(), TOKENS as usize);
    for summary in summaries {
        assert_eq!(summary.total(), (FLUSHES * u64::from(NODES), FLUSHES * u64::from(NODES)), "{:?}", summary.token);
    }
    assert_eq!(db.count("SELECT count(*) FROM api_token_usage_hours").await, 0);
    assert_eq!(db.count("SELECT count(*) FROM api_token_usage_days").await, 2 * i64::from(TOKENS));
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
    let folding = tokio::spawn({
        let node = nodes[4].clone();
        async move {
            for _ in 0..10 {
                node.fold(at(100 * 86_400), 7).await.unwrap();
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
    folding.await.unwrap();
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
        "api_token_usage_days",
        "api_token_usage_sources",
        "api_token_usage_scopes",
        "api_token_usage_calls",
        "api_token_signals",
    ];
    for table in all_of_tokens {
        assert_eq!(db.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}
