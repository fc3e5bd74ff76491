//! Purging: what is dead goes with all that is its own.

use token_core::{Generation, LastUse, Subject, Tallies, TokenStore, UseTally};

use crate::database::{Database, on_every_database};
use crate::sample::*;

on_every_database! {
    dead_tokens_go_with_all_that_is_theirs,
}

async fn dead_tokens_go_with_all_that_is_theirs(db: &Database) {
    let store = db.store().await;
    let changes: Vec<_> = (0..5)
        .map(|number| {
            let mut token = token(number, "ann");
            match number {
                0 => {}
                1 => token.expires_at = Some(at(50)),
                2 => token.revoked_at = Some(at(50)),
                3 => token.revoked_at = Some(at(60)),
                _ => token.expires_at = Some(at(50)),
            }
            if number == 0 { create_first(token) } else { create(token, 100) }
        })
        .collect();
    for change in &changes {
        store.commit(change).await.unwrap();
    }
    let uses = (0..5).map(|number| UseTally {
        token: id(number),
        generation: Generation::FIRST,
        hour: at(0),
        count: 1,
        last: LastUse { at: at(1), address: None, client: None },
    });
    store.record(&Tallies { uses: uses.collect(), ..Tallies::default() }).await.unwrap();

    assert_eq!(store.purge(at(50), false, 100).await.unwrap(), 0);
    assert_eq!(store.purge(at(60), true, 100).await.unwrap(), 0, "their events are not delivered");
    let claimed = store.claim(at(100), std::time::Duration::ZERO, 4).await.unwrap();
    let cursors: Vec<_> = claimed.iter().map(|delivery| delivery.cursor).collect();
    store.ack(&cursors, at(100)).await.unwrap();
    assert_eq!(store.purge(at(60), true, 1).await.unwrap(), 1);
    assert!(store.token(id(1)).await.unwrap().is_none() && store.token(id(2)).await.unwrap().is_some());
    assert_eq!(store.purge(at(60), true, 100).await.unwrap(), 1);
    assert_eq!(store.purge(at(60), false, 100).await.unwrap(), 1);

    for (number, alive) in [(0, true), (1, false), (2, false), (3, true), (4, false)] {
        assert_eq!(store.token(id(number)).await.unwrap().is_some(), alive);
        assert_eq!(store.load(&[selector(number, 1)]).await.unwrap().len(), usize::from(alive));
        assert_eq!(store.events(&Subject::Token(id(number)), 0, 9).await.unwrap().len(), usize::from(alive));
        assert_eq!(store.usage(id(number), at(0)).await.unwrap().hours.len(), usize::from(alive));
        let change = &changes[usize::try_from(number).unwrap()];
        assert_eq!(store.outcome(&change.id).await.unwrap().is_some(), alive);
    }
    assert!(store.owner(&owner_id("ann")).await.unwrap().is_some());
}
