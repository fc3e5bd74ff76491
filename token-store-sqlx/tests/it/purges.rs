//! Purging: what is dead goes with all that is its own.

use token_core::{Fault, Generation, LastUse, Subject, Tallies, TokenStore, UseTally};
use token_store_sqlx::SqlStore;

use crate::database::{Database, Kind, on_every_database, on_every_server};
use crate::sample::*;

on_every_database! {
    dead_tokens_go_with_all_that_is_theirs,
}

mod servers {
    super::on_every_server! { what_takes_too_long_together_goes_a_few_at_a_time, one_that_takes_too_long_is_in_the_way_of_no_other }

    use super::{one_that_takes_too_long_is_in_the_way_of_no_other, what_takes_too_long_together_goes_a_few_at_a_time};
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

/// How many tokens it is that are deleted together, which their secrets are before them.
const TOGETHER: &str = "(SELECT count(*) FROM api_tokens t \
                        WHERE NOT EXISTS (SELECT 1 FROM api_token_secrets s WHERE s.token = t.id))";

/// A store of so many tokens, all dead, of which the deletion of tokens takes too long wherever this holds.
async fn dead_and_slow(db: &Database, tokens: u32, condition: &str) -> SqlStore {
    let store = db.store().await;
    for number in 0..tokens {
        let mut token = token(number, "ann");
        token.revoked_at = Some(at(50));
        let change = if number == 0 { create_first(token) } else { create(token, 100) };
        store.commit(&change).await.unwrap();
    }
    let slow = match db.kind() {
        Kind::Postgres => format!(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF {condition} THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '57014'; END IF; RETURN OLD; END $$; \
             CREATE TRIGGER slow BEFORE DELETE ON api_tokens FOR EACH ROW EXECUTE FUNCTION slow()"
        ),
        _ => format!(
            "CREATE TRIGGER slow BEFORE DELETE ON api_tokens FOR EACH ROW BEGIN IF {condition} THEN \
             SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1969, MESSAGE_TEXT = 'on purpose'; END IF; END"
        ),
    };
    db.raw(&slow).await;
    store
}

async fn what_takes_too_long_together_goes_a_few_at_a_time(db: &Database) {
    for (together, purged) in [(3, Some(30)), (1, Some(30)), (0, None)] {
        let db = Database::new(db.kind()).await;
        let store = dead_and_slow(&db, 30, &format!("{TOGETHER} > {together}")).await;
        match (store.purge(at(60), false, 100).await, purged) {
            (Ok(gone), Some(purged)) => assert_eq!(gone, purged, "{together}"),
            (Err(error), None) => assert_eq!(error.fault(), Fault::TimedOut),
            (gone, _) => panic!("{together}: {gone:?}"),
        }
        let left = if purged.is_some() { 0 } else { 30 };
        for table in ["api_tokens", "api_token_secrets", "api_token_events"] {
            assert_eq!(db.count(&format!("SELECT count(*) FROM {table}")).await, left, "{table}");
        }
    }
}

async fn one_that_takes_too_long_is_in_the_way_of_no_other(db: &Database) {
    let slow = match db.kind() {
        Kind::Postgres => "OLD.name = 'token 7'",
        _ => "OLD.name = CAST('token 7' AS BINARY)",
    };
    let store = dead_and_slow(db, 30, slow).await;
    assert_eq!(store.purge(at(60), false, 100).await.unwrap(), 29);
    assert!(store.token(id(7)).await.unwrap().is_some());
    assert_eq!(store.purge(at(60), false, 100).await.unwrap_err().fault(), Fault::TimedOut);
}
