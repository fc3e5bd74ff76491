//! Usage: added, never taken away, and only where its token is.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use token_core::{
    CallTally, Digest, Generation, LastUse, ListFilter, ListQuery, Position, Reason, Redigest, RefusalTally, ScopeName,
    ScopeTally, SignalKind, SignalTally, SourceTally, Tallies, TokenStore, UseTally, source_network,
};

use crate::database::{Database, Kind, on_every_database};
use crate::sample::*;
use crate::statements::Told;

on_every_database! {
    counts_add_up_and_a_last_use_only_moves_forward,
    refusals_are_counted_by_hour_and_reason,
    a_digest_is_replaced_only_under_its_key,
    a_large_flush_is_written_whole,
    a_flush_is_a_statement_a_kind_and_a_thousand_rows,
    a_flush_whose_caller_gives_up_goes_on_and_holds_nothing_up,
    a_small_flush_is_one_statement_where_the_database_takes_all_kinds_in_one,
    of_more_tokens_than_a_statement_names_the_latest_sources_are_answered,
    of_a_token_that_is_rotated_again_and_again_the_latest_uses_are_answered,
}

fn used(number: u32, second: i64, count: u64) -> UseTally {
    let address = Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, u8::try_from(second % 100).unwrap())));
    UseTally {
        token: id(number),
        generation: Generation::FIRST,
        hour: at(second).hour(),
        count,
        last: LastUse { at: at(second), address, client: None },
    }
}

fn uses(uses: Vec<UseTally>) -> Tallies {
    Tallies { uses, ..Tallies::default() }
}

async fn counts_add_up_and_a_last_use_only_moves_forward(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    store.record(&uses(vec![used(1, 20, 2), used(1, 10, 3), used(1, 4000, 1)])).await.unwrap();
    store.record(&uses(vec![used(1, 15, 4), used(2, 10, 9)])).await.unwrap();
    store.record(&Tallies::default()).await.unwrap();
    let usage = store.usage(id(1), at(0)).await.unwrap();
    assert_eq!(usage.last, [(Generation::FIRST, used(1, 4000, 0).last)]);
    assert_eq!(usage.hours.iter().map(|hour| (hour.hour, hour.count)).collect::<Vec<_>>(), [(at(0), 9), (at(3600), 1)]);
    assert_eq!(store.usage(id(1), at(3600)).await.unwrap().hours.len(), 1);
    assert_eq!(store.usage(id(2), at(0)).await.unwrap(), token_core::Usage::default());

    let never = ListQuery {
        owner: None,
        filter: ListFilter::NeverUsed,
        text: None,
        from: Position::Created(None),
        now: at(1),
        limit: 10,
    };
    assert!(store.list(&never).await.unwrap().tokens.is_empty());
}

async fn refusals_are_counted_by_hour_and_reason(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    let refused = |reason, count| RefusalTally { token: id(1), reason, hour: at(3600), count };
    let tallies = Tallies {
        refusals: vec![
            refused(Reason::Revoked, 2),
            refused(Reason::WrongVerifier, u64::MAX),
            refused(Reason::Revoked, 1),
        ],
        ..Tallies::default()
    };
    for _ in 0..2 {
        store.record(&tallies).await.unwrap();
    }
    let most = u64::try_from(i64::MAX).unwrap();
    let usage = store.usage(id(1), at(0)).await.unwrap();
    assert_eq!(usage.refusals, [refused(Reason::WrongVerifier, most), refused(Reason::Revoked, 6)]);
}

async fn a_digest_is_replaced_only_under_its_key(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    store.commit(&create(token(2, "ann"), 9)).await.unwrap();
    let redigest = |number, from: &str| Redigest {
        selector: selector(number, 1),
        from: key(from),
        to: key("k2"),
        digest: Digest::from_bytes([8; 32]),
    };
    let redigests = vec![redigest(1, "k1"), redigest(2, "k0"), redigest(3, "k1")];
    store.record(&Tallies { redigests, ..Tallies::default() }).await.unwrap();
    let loaded = |number| {
        let store = &store;
        async move { store.load(&[selector(number, 1)]).await.unwrap().remove(0) }
    };
    let first = loaded(1).await;
    assert_eq!((first.secret.key.as_str(), first.secret.digest.as_bytes()), ("k2", &[8; 32]));
    assert_eq!(first.token.unverified().revision, 1);
    assert_eq!(loaded(2).await.secret.key.as_str(), "k1");
    assert_eq!(store.keys(at(0)).await.unwrap(), [key("k1"), key("k2")]);
}

async fn a_large_flush_is_written_whole(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    for number in 1..40 {
        store.commit(&create(token(number, "ann"), 100)).await.unwrap();
    }
    // Tokens that are there, and many more that are not.
    let tallies = uses((0..2500).map(|number| used(number, 10, 1)).collect());
    for _ in 0..2 {
        store.record(&tallies).await.unwrap();
    }
    for number in 0..40 {
        assert_eq!(store.usage(id(number), at(0)).await.unwrap().hours[0].count, 2);
    }
    assert!(store.usage(id(40), at(0)).await.unwrap().hours.is_empty());
}

/// Something of every kind for each of so many tokens.
fn all_kinds(numbers: std::ops::Range<u32>) -> Tallies {
    let network = source_network(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)));
    let source = |number| SourceTally { token: id(number), network, first: at(1), last: at(2), uses: 1, refusals: 0 };
    let call = |number| CallTally {
        token: id(number),
        slot: 3,
        at: at(2),
        method: "GET".to_owned(),
        route: None,
        refused: None,
        address: None,
    };
    let signal = |number| SignalTally {
        token: id(number),
        kind: SignalKind::Burst,
        subject: "an hour".to_owned(),
        first: at(1),
        last: at(2),
        count: 1,
    };
    let digest = Digest::from_bytes([8; 32]);
    let redigest = |number| Redigest { selector: selector(number, 1), from: key("k1"), to: key("k2"), digest };
    Tallies {
        uses: numbers.clone().map(|number| used(number, 10, 1)).collect(),
        refusals: numbers
            .clone()
            .map(|number| RefusalTally { token: id(number), reason: Reason::Revoked, hour: at(0), count: 1 })
            .collect(),
        sources: numbers.clone().map(source).collect(),
        scopes: numbers
            .clone()
            .map(|number| ScopeTally {
                token: id(number),
                scope: ScopeName::new("projects:read").unwrap(),
                last: at(2),
            })
            .collect(),
        calls: numbers.clone().map(call).collect(),
        signals: numbers.clone().map(signal).collect(),
        redigests: numbers.map(redigest).collect(),
    }
}

async fn a_flush_is_a_statement_a_kind_and_a_thousand_rows(db: &Database) {
    let told = Told::on(db).await;
    let store = told.pool.store().await;
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    let tallies = all_kinds(0..2500);
    told.take();
    store.record(&tallies).await.unwrap();
    let statements = told.take();
    let ends =
        |statement: &&String| ["BEGIN", "START TRANSACTION", "COMMIT"].iter().any(|word| statement.contains(word));
    assert_eq!(statements.iter().filter(ends).count(), 4, "one transaction, and one of digests: {statements:#?}");

    let kinds = [
        "INSERT INTO api_token_usage_last ",
        "INSERT INTO api_token_usage_hours ",
        "INSERT INTO api_token_refusals ",
        "INSERT INTO api_token_usage_sources ",
        "INSERT INTO api_token_usage_scopes ",
        "INSERT INTO api_token_usage_calls ",
        "INSERT INTO api_token_signals ",
        "digest = ",
    ];
    for kind in kinds {
        let written = statements.iter().filter(|statement| statement.contains(kind)).count();
        assert_eq!(written, 3, "{kind}: {statements:#?}");
    }
    assert_eq!(statements.len(), 4 + 3 * kinds.len(), "and nothing else: {statements:#?}");
    assert_eq!(store.usage(id(0), at(0)).await.unwrap().hours[0].count, 1);
    told.pool.close().await;
}

async fn a_small_flush_is_one_statement_where_the_database_takes_all_kinds_in_one(db: &Database) {
    let told = Told::on(db).await;
    let store = told.pool.store().await;
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    let tallies = Tallies { redigests: Vec::new(), ..all_kinds(0..1000) };
    // The second time there are rows of all kinds.
    for times in 1..=2 {
        told.take();
        store.record(&tallies).await.unwrap();
        let statements = told.take();
        let expected = if db.kind() == Kind::Postgres { 1 } else { 7 };
        assert_eq!(
            statements.iter().filter(|statement| statement.contains("INSERT")).count(),
            expected,
            "{statements:#?}"
        );
        let usage = store.usage(id(0), at(0)).await.unwrap();
        assert_eq!((usage.hours[0].count, usage.refusals[0].count), (times, times));
        assert_eq!(store.sources(id(0), 10).await.unwrap()[0].uses, times);
    }
    told.pool.close().await;
}

async fn a_flush_whose_caller_gives_up_goes_on_and_holds_nothing_up(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    let once = uses(vec![used(1, 10, 1)]);
    for times in 1..=3 {
        tokio::select! {
            biased;
            _ = store.record(&once) => panic!("recorded at once"),
            () = std::future::ready(()) => {}
        }
        let stored = async {
            while store.usage(id(1), at(0)).await.unwrap().hours.first().map_or(0, |hour| hour.count) < times {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), stored).await.expect("it was not gone on with");
    }
    // By then all that it held is free.
    store.record(&once).await.unwrap();
    assert_eq!(store.usage(id(1), at(0)).await.unwrap().hours[0].count, 4);
}

async fn of_more_tokens_than_a_statement_names_the_latest_sources_are_answered(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    store.commit(&create(token(1, "ann"), 9)).await.unwrap();
    let source = |number, last| {
        let network = source_network(IpAddr::V4(Ipv4Addr::new(198, 51, u8::try_from(last).unwrap(), 0)));
        SourceTally { token: id(number), network, first: at(1), last: at(last), uses: 1, refusals: 0 }
    };
    let sources = vec![source(0, 2), source(0, 4), source(1, 3), source(1, 5)];
    store.record(&Tallies { sources, ..Tallies::default() }).await.unwrap();
    // One at each end, and between them a great many that are not there.
    let tokens: Vec<_> = std::iter::once(0).chain(100..1200).chain([1]).map(id).collect();
    for (limit, latest) in [(1, &[5][..]), (3, &[5, 4, 3]), (9, &[5, 4, 3, 2])] {
        let novel = store.novel_sources(&tokens, at(0), limit).await.unwrap();
        let seen: Vec<_> = novel.iter().map(|novel| novel.source.last_seen).collect();
        assert_eq!(seen, latest.iter().map(|second| at(*second)).collect::<Vec<_>>());
    }
}

async fn of_a_token_that_is_rotated_again_and_again_the_latest_uses_are_answered(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    store.commit(&create(token(2, "ann"), 9)).await.unwrap();
    let of = |generation, tally| UseTally { generation: Generation::new(generation).unwrap(), ..tally };
    // The old value was used after the new one.
    let tallies = vec![of(1, used(1, 10, 1)), of(2, used(1, 20, 1)), of(3, used(1, 40, 1)), of(7, used(1, 30, 1))];
    store.record(&uses([tallies, vec![used(2, 50, 1)]].concat())).await.unwrap();
    let mut summaries = store.summaries(&[id(1), id(2), id(3)], at(0), at(0)).await.unwrap();
    summaries.sort_by_key(|usage| usage.token);
    let last = |usage: &token_core::TokenUsage| {
        usage.last.iter().map(|(generation, last)| (generation.number(), last.at)).collect::<Vec<_>>()
    };
    assert_eq!(last(&summaries[0]), [(3, at(40)), (7, at(30))]);
    assert_eq!(summaries[0].last[0].1, used(1, 40, 1).last);
    assert_eq!(last(&summaries[1]), [(1, at(50))]);
    let mut latest = store.last_used(&[id(1), id(2), id(3)]).await.unwrap();
    latest.sort_unstable();
    assert_eq!(latest, [(id(1), at(40)), (id(2), at(50))]);

    let many = (1..=300).map(|generation| of(generation, used(2, 60, 1))).collect();
    store.record(&uses(many)).await.unwrap();
    let usage = store.usage(id(2), at(0)).await.unwrap();
    let generations: Vec<_> = usage.last.iter().map(|(generation, _)| generation.number()).collect();
    assert_eq!(generations, (201..=300).collect::<Vec<_>>());
}
