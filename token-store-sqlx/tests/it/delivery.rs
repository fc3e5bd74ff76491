//! The feed of changes, and the delivery of events.

use std::sync::Arc;
use std::time::Duration;

use token_core::{Cursor, Subject, TokenStore};

use crate::database::{Database, on_every_database};
use crate::sample::*;

on_every_database! {
    a_feed_starts_at_the_end_and_tells_what_comes_after,
    a_waiting_feed_is_woken_by_its_own_process_and_by_others,
    events_are_claimed_once_in_order_and_again_after_their_lease,
}

async fn a_feed_starts_at_the_end_and_tells_what_comes_after(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    let start = store.changes(None, Duration::from_secs(60)).await.unwrap();
    assert!(start.changes.is_empty());
    let nothing = store.changes(Some(start.cursor), Duration::from_millis(60)).await.unwrap();
    assert!(nothing.changes.is_empty());
    assert_eq!(nothing.cursor, start.cursor);

    store.commit(&create(token(2, "ann"), 10)).await.unwrap();
    store.commit(&update("edit", token(1, "ann"), None)).await.unwrap();
    let feed = store.changes(Some(start.cursor), Duration::from_secs(60)).await.unwrap();
    assert_eq!(subjects(&feed), [Subject::Token(id(2)), Subject::Token(id(1))]);
    assert!(store.changes(Some(feed.cursor), Duration::ZERO).await.unwrap().changes.is_empty());
}

async fn a_waiting_feed_is_woken_by_its_own_process_and_by_others(db: &Database) {
    let own = Arc::new(db.store().await);
    let other = db.store().await;
    own.commit(&create_first(token(0, "ann"))).await.unwrap();
    for (number, writer) in [(1, &*own), (2, &other)] {
        let cursor = own.changes(None, Duration::ZERO).await.unwrap().cursor;
        let waiting = tokio::spawn({
            let own = own.clone();
            async move {
                loop {
                    // It may be woken for nothing.
                    let feed = own.changes(Some(cursor), Duration::from_secs(60)).await.unwrap();
                    if !feed.changes.is_empty() {
                        return feed;
                    }
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        writer.commit(&create(token(number, "ann"), 10)).await.unwrap();
        let feed = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
        assert_eq!(subjects(&feed), [Subject::Token(id(number))]);
    }
}

/// By looking at the log from time to time every change would be found as well, but later. So this feed waits where nothing is ever
/// found: it ends early only if it is told that something was committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the server at TOKEN_TEST_POSTGRES_URL"]
async fn a_waiting_feed_is_told_of_commits_by_the_server_on_postgres() {
    let db = Database::postgres().await;
    let (own, other) = (db.store().await, db.store().await);
    other.commit(&create_first(token(0, "ann"))).await.unwrap();
    let mut numbers = 1..;
    let mut is_told = async || {
        let nowhere = Some(Cursor(i64::MAX));
        let committing = async {
            for number in numbers.by_ref() {
                other.commit(&create(token(number, "ann"), 1000)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            feed = own.changes(nowhere, Duration::from_secs(60)) => assert!(feed.unwrap().changes.is_empty()),
            () = committing => {}
            // Where nothing was heard for 10 seconds it is told to look all the same.
            () = tokio::time::sleep(Duration::from_secs(5)) => panic!("it is not told of what was committed"),
        }
    };
    let mut session = 0;
    for _ in 0..2 {
        // Once it may be told because a session has begun to listen.
        for _ in 0..4 {
            is_told().await;
        }
        // One that the server has ended is followed by another.
        session = listening(&db, session).await;
        db.raw(&format!("SELECT pg_terminate_backend({session})")).await;
        listening(&db, session).await;
    }
}

/// The session that listens for changes, once there is another than this.
async fn listening(db: &Database, before: i64) -> i64 {
    let listening = "SELECT CAST(coalesce(max(pid), 0) AS bigint) FROM pg_stat_activity \
                     WHERE datname = current_database() AND query LIKE 'LISTEN %'";
    for _ in 0..200 {
        let session = db.count(listening).await;
        if session != 0 && session != before {
            return session;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no session listens")
}

async fn events_are_claimed_once_in_order_and_again_after_their_lease(db: &Database) {
    let store = db.store().await;
    let lease = Duration::from_secs(30);
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    store.commit(&create(token(2, "ann"), 10)).await.unwrap();
    store.commit(&update("edit", token(1, "ann"), None)).await.unwrap();
    let number = |deliveries: &[token_core::Delivery]| {
        deliveries.iter().map(|delivery| (delivery.event.subject.clone(), delivery.event.seq)).collect::<Vec<_>>()
    };
    let (one, two) = (Subject::Token(id(1)), Subject::Token(id(2)));

    let first = store.claim(at(100), lease, 1).await.unwrap();
    assert_eq!(number(&first), [(one.clone(), 1)]);
    // The second event of token 1 waits for its first.
    assert_eq!(number(&store.claim(at(100), lease, 10).await.unwrap()), [(two.clone(), 1)]);
    assert!(store.claim(at(129), lease, 10).await.unwrap().is_empty());
    let again = store.claim(at(130), lease, 10).await.unwrap();
    assert_eq!(number(&again), [(one.clone(), 1), (two, 1), (one.clone(), 2)]);

    store.ack(&[again[0].cursor, again[1].cursor, Cursor(999), Cursor(-1)], at(131)).await.unwrap();
    store.ack(&[], at(131)).await.unwrap();
    assert_eq!(number(&store.claim(at(160), Duration::MAX, 10).await.unwrap()), [(one.clone(), 2)]);
    assert!(store.claim(at(1_000_000), Duration::MAX, 10).await.unwrap().is_empty());
    // A lease that ends later than any that begins now was taken by a clock that is wrong.
    assert_eq!(number(&store.claim(at(1_000_000), lease, 10).await.unwrap()), [(one, 2)]);
}
