//! Changes: guards, repeats, races.

use std::sync::Arc;

use token_core::{Committed, OwnerGuard, Subject, TokenStore, Write};
use token_store_sqlx::SqlStore;

use crate::database::{Database, on_every_database};
use crate::sample::*;

on_every_database! {
    a_created_token_is_read_back_as_it_was,
    many_selectors_load_in_any_number,
    guards_that_do_not_hold_are_conflicts_and_write_nothing,
    updates_write_what_they_hold,
    facts_are_compared_and_set,
    a_repeat_is_told_before_any_guard,
    the_cap_counts_what_is_live,
    several_handles_race_and_no_error_reaches_a_caller,
    a_dropped_future_leaves_no_transaction_open,
}

async fn a_created_token_is_read_back_as_it_was(db: &Database) {
    let store = db.store().await;
    let change = create_first(token(1, "ann"));
    assert_eq!(store.commit(&change).await.unwrap(), Committed::Done);

    let loaded = store.load(&[selector(1, 1), selector(2, 1), selector(1, 1)]).await.unwrap();
    let [loaded] = &loaded[..] else { panic!("{loaded:?}") };
    assert_eq!(loaded.token.unverified(), &token(1, "ann"));
    assert_eq!(loaded.owner.as_ref().unwrap().unverified(), owner("ann", 1).unverified());
    assert_eq!(loaded.owner.as_ref().unwrap().seal(), owner("ann", 1).seal());
    assert_eq!(loaded.secret.digest.as_bytes(), &[3; 32]);
    assert_eq!(store.owner(&owner_id("ann")).await.unwrap().unwrap().unverified(), owner("ann", 1).unverified());
    assert!(store.owner(&owner_id("ANN")).await.unwrap().is_none());
    assert_eq!(store.events(&Subject::Token(id(1)), 0, 10).await.unwrap(), std::slice::from_ref(&change.event));
    assert_eq!(store.events(&Subject::Token(id(1)), u64::MAX, 10).await.unwrap(), []);
    assert_eq!(store.outcome(&change.id).await.unwrap().unwrap().event, change.event);
    assert_eq!(store.keys(at(0)).await.unwrap(), [key("k1")]);
    assert!(store.load(&[]).await.unwrap().is_empty());
}

async fn many_selectors_load_in_any_number(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    for number in 1..20 {
        store.commit(&create(token(number, "ann"), 100)).await.unwrap();
    }
    for count in [2, 3, 19, 20, 600, 1500] {
        let selectors: Vec<_> = (0..count).map(|number| selector(number, 1)).collect();
        let found = store.load(&selectors).await.unwrap();
        assert_eq!(found.len(), selectors.len().min(20));
    }
}

async fn guards_that_do_not_hold_are_conflicts_and_write_nothing(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    let meta = |expected: Option<&[u8]>| Write::PutMeta {
        key: "k".to_owned(),
        expected: expected.map(<[u8]>::to_vec),
        value: b"v".to_vec(),
    };
    let mut stale = token(1, "ann");
    stale.revision = 2;
    let mut reused = create(token(2, "ann"), 10);
    if let Write::CreateToken { secret, .. } = &mut reused.write {
        secret.selector = selector(1, 1);
    }
    let mut other_revision = create(token(2, "ann"), 10);
    if let Write::CreateToken { owner, .. } = &mut other_revision.write {
        *owner = OwnerGuard::At { owner: owner_id("ann"), revision: 2 };
    }
    let mut behind = update("behind", token(1, "ann"), None);
    behind.event.seq = 1;
    let mut twice = create(token(1, "ann"), 10);
    twice.id = change_id("twice");
    let mut second_owner = create_first(token(2, "ann"));
    second_owner.id = change_id("second owner");
    let cases = [
        update("stale", stale, None),
        update("same generation", token(1, "ann"), Some(secret(1, 1))),
        update("no such token", token(3, "ann"), None),
        behind,
        reused,
        other_revision,
        twice,
        second_owner,
        change("p1", Subject::Policy, 1, meta(Some(b"x"))),
        change("o1", Subject::Owner(owner_id("ann")), 1, Write::PutOwner { owner: owner("ann", 1), expected: None }),
        change("o2", Subject::Owner(owner_id("ann")), 1, Write::PutOwner { owner: owner("ann", 3), expected: Some(2) }),
        change("o3", Subject::Owner(owner_id("bob")), 1, Write::PutOwner { owner: owner("bob", 3), expected: Some(2) }),
    ];
    for change in cases {
        assert_eq!(store.commit(&change).await.unwrap(), Committed::Conflict, "{change:?}");
        assert_eq!(store.outcome(&change.id).await.unwrap(), None);
    }
    assert!(store.token(id(2)).await.unwrap().is_none());
    assert_eq!(store.token(id(1)).await.unwrap().unwrap().unverified(), &token(1, "ann"));
    assert_eq!(store.meta("k").await.unwrap(), None);
}

async fn updates_write_what_they_hold(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    let mut rotated = token(1, "ann");
    rotated.superseded = Some(token_core::Superseded { secret: rotated.current, until: at(500) });
    rotated.current.selector = selector(1, 2);
    rotated.current.generation = token_core::Generation::new(2).unwrap();
    rotated.networks = None;
    rotated.expires_at = Some(at(900));
    let rotate = update("rotate", rotated, Some(secret(1, 2)));
    assert_eq!(store.commit(&rotate).await.unwrap(), Committed::Done);
    let Write::UpdateToken { token, .. } = &rotate.write else { panic!() };
    assert_eq!(store.token(id(1)).await.unwrap().unwrap().unverified(), token.unverified());
    assert_eq!(store.load(&[selector(1, 1), selector(1, 2)]).await.unwrap().len(), 2);

    let mut suspended = owner("ann", 2).unverified().clone();
    suspended.suspended_at = Some(at(7));
    let suspended = token_core::Sealed::from_parts(suspended, owner("ann", 2).seal().clone());
    let write = Write::PutOwner { owner: suspended.clone(), expected: Some(1) };
    let change = change("suspend", Subject::Owner(owner_id("ann")), 1, write);
    assert_eq!(store.commit(&change).await.unwrap(), Committed::Done);
    assert_eq!(store.owner(&owner_id("ann")).await.unwrap().unwrap().unverified(), suspended.unverified());
}

async fn facts_are_compared_and_set(db: &Database) {
    let store = db.store().await;
    let put = |id: &str, seq, expected: Option<&[u8]>, value: &[u8]| {
        let (key, expected) = ("policy".to_owned(), expected.map(<[u8]>::to_vec));
        change(id, Subject::Policy, seq, Write::PutMeta { key, expected, value: value.to_vec() })
    };
    assert_eq!(store.commit(&put("a", 1, None, b"one")).await.unwrap(), Committed::Done);
    assert_eq!(store.commit(&put("b", 2, Some(b"one"), b"two")).await.unwrap(), Committed::Done);
    assert_eq!(store.commit(&put("c", 3, Some(b"one"), b"three")).await.unwrap(), Committed::Conflict);
    assert_eq!(store.meta("policy").await.unwrap().unwrap(), b"two");
    assert_eq!(store.meta_or_insert("policy", b"four").await.unwrap(), b"two");
    assert_eq!(store.meta_or_insert("key", b"").await.unwrap(), b"");
    assert_eq!(store.meta_or_insert("key", b"x").await.unwrap(), b"");
}

async fn a_repeat_is_told_before_any_guard(db: &Database) {
    let store = db.store().await;
    let first = create_first(token(1, "ann"));
    store.commit(&first).await.unwrap();
    let mut other = create(token(9, "nobody"), 0);
    other.id = first.id;
    for repeat in [&first, &other] {
        let Committed::Repeat(outcome) = store.commit(repeat).await.unwrap() else { panic!() };
        assert_eq!(outcome.event, first.event);
        assert_eq!(outcome.fingerprint, first.fingerprint);
    }
}

async fn the_cap_counts_what_is_live(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    let mut ended = token(2, "ann");
    ended.expires_at = Some(at(100));
    let mut revoked = token(3, "ann");
    revoked.revoked_at = Some(at(50));
    assert_eq!(store.commit(&create(ended, 2)).await.unwrap(), Committed::Done);
    assert_eq!(store.commit(&create(revoked, 2)).await.unwrap(), Committed::Done);
    assert_eq!(store.commit(&create(token(4, "ann"), 2)).await.unwrap(), Committed::Done);
    assert_eq!(store.commit(&create(token(5, "ann"), 2)).await.unwrap(), Committed::CapReached);
    assert_eq!(store.commit(&create(token(5, "ann"), 0)).await.unwrap(), Committed::CapReached);
    assert!(store.token(id(5)).await.unwrap().is_none());
}

/// Every handle is a pool of its own, as another process would have.
async fn several_handles_race_and_no_error_reaches_a_caller(db: &Database) {
    let first = db.store().await;
    first.commit(&create_first(token(0, "ann"))).await.unwrap();
    let mut handles = vec![Arc::new(first)];
    for _ in 0..3 {
        handles.push(Arc::new(db.store().await));
    }
    // 4 handles x 25 creations under a cap of 41, one update that only one of 100 may win, one change sent 100 times.
    let racing: Vec<_> = (0..100_u32)
        .map(|number| {
            let store = handles[number as usize % handles.len()].clone();
            tokio::spawn(async move {
                let created = store.commit(&create(token(number + 1, "ann"), 41)).await.unwrap();
                let updated = store.commit(&update(&format!("update {number}"), token(0, "ann"), None)).await.unwrap();
                let same = change(
                    "same",
                    Subject::Policy,
                    1,
                    Write::PutMeta { key: "k".to_owned(), expected: None, value: Vec::new() },
                );
                (created, updated, store.commit(&same).await.unwrap())
            })
        })
        .collect();
    let (mut created, mut updated, mut same) = (0, 0, 0);
    for race in racing {
        let answers = race.await.unwrap();
        assert!(matches!(answers.0, Committed::Done | Committed::CapReached), "{answers:?}");
        assert!(matches!(answers.1, Committed::Done | Committed::Conflict), "{answers:?}");
        assert!(matches!(answers.2, Committed::Done | Committed::Repeat(_)), "{answers:?}");
        created += usize::from(answers.0 == Committed::Done);
        updated += usize::from(answers.1 == Committed::Done);
        same += usize::from(answers.2 == Committed::Done);
    }
    assert_eq!((created, updated, same), (40, 1, 1));
}

async fn a_dropped_future_leaves_no_transaction_open(db: &Database) {
    drop_futures_of(Arc::new(db.store().await)).await;
}

/// Gives commits up at moments that are spread over the time that one takes.
pub(crate) async fn drop_futures_of(store: Arc<SqlStore>) {
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    let before = tokio::time::Instant::now();
    for number in 1..=10 {
        store.commit(&create(token(number, "ann"), 1000)).await.unwrap();
    }
    let step = before.elapsed() / 10 / 150;
    for number in 11..=210_u32 {
        let change = create(token(number, "ann"), 1000);
        let task = tokio::spawn({
            let (store, change) = (store.clone(), change.clone());
            async move { store.commit(&change).await }
        });
        tokio::time::sleep(step * (number - 10)).await;
        task.abort();
        drop(task.await);
        // All of it or nothing.
        let stored = store.outcome(&change.id).await.unwrap().is_some();
        let again = store.commit(&change).await.unwrap();
        assert!(again == Committed::Done || matches!(again, Committed::Repeat(_)), "{stored} {again:?}");
        assert_eq!(store.load(&[selector(number, 1)]).await.unwrap().len(), 1);
    }
}
