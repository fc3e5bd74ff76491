//! Pages, in every order.

use token_core::{ListFilter, ListQuery, Position, Token, TokenName, TokenStore};

use crate::database::{Database, on_every_database};
use crate::sample::*;

on_every_database! {
    pages_follow_their_order_and_meet_at_their_ends,
}

fn query(from: Position) -> ListQuery {
    ListQuery { owner: Some(owner_id("ann")), filter: ListFilter::Any, text: None, from, now: at(100), limit: 3 }
}

/// Follows a list to its end.
async fn walk(store: &impl TokenStore, mut query: ListQuery) -> Vec<u32> {
    let mut numbers = Vec::new();
    loop {
        let page = store.list(&query).await.unwrap();
        assert!(page.tokens.len() <= query.limit as usize);
        let number = |token: &Token| u32::from_be_bytes(token.id.as_bytes()[..4].try_into().unwrap());
        numbers.extend(page.tokens.iter().map(|token| number(token.unverified())));
        match page.next {
            Some(next) => query.from = next,
            None => return numbers,
        }
    }
}

async fn pages_follow_their_order_and_meet_at_their_ends(db: &Database) {
    let store = db.store().await;
    let names = ["b", "a", "B", "a", "é", "%", "a_c"];
    let expiries = [None, Some(300), Some(200), Some(50), None, Some(200), Some(101)];
    for (number, (name, expires)) in (0..).zip(names.into_iter().zip(expires_in(expiries))) {
        let mut token = token(number, "ann");
        token.name = TokenName::new(name).unwrap();
        token.expires_at = expires;
        if number == 6 {
            token.revoked_at = Some(at(60));
        }
        store.commit(&if number == 0 { create_first(token) } else { create(token, 100) }).await.unwrap();
    }
    store.commit(&create_first(token(50, "bob"))).await.unwrap();

    assert_eq!(walk(&store, query(Position::Created(None))).await, [6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(walk(&store, query(Position::Name(None))).await, [5, 2, 1, 3, 6, 0, 4]);
    assert_eq!(walk(&store, query(Position::Expiry(None))).await, [3, 6, 2, 5, 1, 0, 4]);
    for limit in 1..8 {
        let query = ListQuery { limit, owner: None, ..query(Position::Expiry(None)) };
        assert_eq!(walk(&store, query).await, [3, 6, 2, 5, 1, 0, 4, 50]);
    }

    let filtered = async |filter| walk(&store, ListQuery { filter, ..query(Position::Created(None)) }).await;
    assert_eq!(filtered(ListFilter::Live).await, [5, 4, 2, 1, 0]);
    assert_eq!(filtered(ListFilter::ExpiringBefore(at(300))).await, [5, 2]);
    assert_eq!(filtered(ListFilter::Expired).await, [3]);
    assert_eq!(filtered(ListFilter::Revoked).await, [6]);
    assert_eq!(filtered(ListFilter::NeverUsed).await, [5, 4, 2, 1, 0]);

    let holding = async |text: &str| {
        walk(&store, ListQuery { text: Some(text.to_owned()), ..query(Position::Created(None)) }).await
    };
    assert_eq!(holding("%").await, [5]);
    assert_eq!(holding("_").await, [6]);
    assert_eq!(holding("B").await, [2]);
    assert_eq!(holding("é").await, [4]);
    assert!(holding("e").await.is_empty());
}

fn expires_in<const N: usize>(seconds: [Option<i64>; N]) -> [Option<token_core::Time>; N] {
    seconds.map(|second| second.map(at))
}
