//! Texts that a database may take for each other, in upper and lower case, with and without accents, composed or not,
//! padded with spaces: to the store they are as different as any.

use token_core::{
    ActorId, Change, Committed, Digest, Grant, Grants, ListFilter, ListQuery, OwnerGuard, Position, Redigest,
    ResourceId, ResourceSet, Resources, ScopeName, Selector, Subject, Tallies, Token, TokenName, TokenStore, Write,
};
use token_store_sqlx::SqlStore;

use crate::database::{Database, on_every_database};
use crate::sample::*;

on_every_database! {
    owners_that_look_alike_are_different_owners,
    names_that_look_alike_are_found_apart_and_in_the_order_of_their_bytes,
    selectors_in_another_case_are_others,
    changes_and_facts_that_look_alike_are_different,
    keys_that_look_alike_are_different,
    the_longest_texts_come_back_as_they_were,
}

const ALIKE: [&str; 14] = [
    " ann",
    "ANN",
    "Ann",
    "a\u{308}nn",
    "ann",
    "ann ",
    "ann\u{a0}",
    "ann\u{200b}",
    "ann\u{301}",
    "ann\u{ff41}",
    "a\u{ff4e}\u{ff4e}",
    "\u{e4}nn",
    "\u{430}nn",
    "\u{1d41a}nn",
];

async fn listed(store: &SqlStore, query: &ListQuery) -> Vec<Token> {
    let page = store.list(query).await.unwrap();
    page.tokens.iter().map(|token| token.unverified().clone()).collect()
}

fn everything() -> ListQuery {
    ListQuery {
        owner: None,
        filter: ListFilter::Any,
        text: None,
        from: Position::Created(None),
        now: at(100),
        limit: 100,
    }
}

async fn owners_that_look_alike_are_different_owners(db: &Database) {
    let store = db.store().await;
    for (number, name) in (0..).zip(ALIKE) {
        assert!(store.owner(&owner_id(name)).await.unwrap().is_none(), "{name:?}");
        assert_eq!(store.commit(&create_first(token(number, name))).await.unwrap(), Committed::Done, "{name:?}");
        let put = Write::PutOwner { owner: owner(name, 2), expected: Some(1) };
        let mut touched = change(&format!("owner {number}"), Subject::Owner(owner_id(name)), 1, put);
        touched.event.owner = Some(owner_id(name));
        assert_eq!(store.commit(&touched).await.unwrap(), Committed::Done, "{name:?}");
    }
    for (number, name) in (0..).zip(ALIKE) {
        let own = store.owner(&owner_id(name)).await.unwrap().unwrap();
        assert_eq!((own.unverified().id.as_str(), own.unverified().revision), (name, 2));
        let loaded = store.load(&[selector(number, 1)]).await.unwrap();
        assert_eq!(loaded[0].owner.as_ref().unwrap().unverified().id.as_str(), name);
        let of = ListQuery { owner: Some(owner_id(name)), ..everything() };
        assert_eq!(listed(&store, &of).await, [token(number, name)]);
        let events = store.events(&Subject::Owner(owner_id(name)), 0, 10).await.unwrap();
        assert_eq!(events.len(), 1, "{name:?}");
        assert_eq!(events[0].owner, Some(owner_id(name)));
        // Of each, one is live: the cap of one counts nobody else's.
        let guard = OwnerGuard::At { owner: owner_id(name), revision: 2 };
        let second = || create_under(guard.clone(), token(number + 100, name), 1);
        assert_eq!(store.commit(&second()).await.unwrap(), Committed::CapReached);
    }
}

async fn names_that_look_alike_are_found_apart_and_in_the_order_of_their_bytes(db: &Database) {
    let store = db.store().await;
    for (number, name) in (0..).zip(ALIKE) {
        let mut token = token(number, "bob");
        token.name = TokenName::new(name).unwrap();
        let change = if number == 0 { create_first(token) } else { create(token, 100) };
        store.commit(&change).await.unwrap();
    }
    let mut sorted = ALIKE;
    sorted.sort_unstable();
    let by_name = ListQuery { from: Position::Name(None), ..everything() };
    let of_bob = ListQuery { owner: Some(owner_id("bob")), ..by_name.clone() };
    for query in [&by_name, &of_bob] {
        assert_eq!(names(&listed(&store, query).await), sorted);
        // And when each name is where a page begins.
        let (mut page_by_page, mut page) = (Vec::new(), ListQuery { limit: 1, ..query.clone() });
        loop {
            let answer = store.list(&page).await.unwrap();
            page_by_page.extend(answer.tokens.iter().map(|token| token.unverified().clone()));
            let Some(next) = answer.next else { break };
            page.from = next;
        }
        assert_eq!(names(&page_by_page), sorted);
    }
    for text in ALIKE {
        let holding = ListQuery { text: Some(text.to_owned()), ..by_name.clone() };
        let hold: Vec<_> = sorted.into_iter().filter(|name| name.contains(text)).collect();
        assert_eq!(names(&listed(&store, &holding).await), hold, "{text:?}");
    }
}

fn names(tokens: &[Token]) -> Vec<&str> {
    tokens.iter().map(|token| token.name.as_str()).collect()
}

async fn selectors_in_another_case_are_others(db: &Database) {
    let store = db.store().await;
    let [mixed, flipped] =
        [b"aBcDeFgHiJkLmNoP", b"AbCdEfGhIjKlMnOp"].map(|digits| Selector::from_bytes(digits).unwrap());
    let with = |mut change: Change, selector| {
        if let Write::CreateToken { secret, .. } = &mut change.write {
            secret.selector = selector;
        }
        change
    };
    store.commit(&with(create_first(token(1, "ann")), mixed)).await.unwrap();
    assert!(store.load(&[flipped]).await.unwrap().is_empty());
    assert_eq!(store.commit(&with(create(token(2, "ann"), 10), flipped)).await.unwrap(), Committed::Done);
    for (selector, number) in [(mixed, 1), (flipped, 2)] {
        let loaded = store.load(&[selector]).await.unwrap();
        assert_eq!(loaded.iter().map(|loaded| loaded.token.unverified().id).collect::<Vec<_>>(), [id(number)]);
    }
}

async fn changes_and_facts_that_look_alike_are_different(db: &Database) {
    let store = db.store().await;
    for (seq, name) in (1..).zip(ALIKE) {
        assert_eq!(store.meta(name).await.unwrap(), None, "{name:?}");
        let (key, value) = (name.to_owned(), name.as_bytes().to_vec());
        let put = change(name, Subject::Policy, seq, Write::PutMeta { key, expected: None, value });
        assert_eq!(store.commit(&put).await.unwrap(), Committed::Done, "{name:?}");
        // What is expected is compared by its bytes as well.
        let (key, expected) = (name.to_owned(), Some(name.to_uppercase().trim().as_bytes().to_vec()));
        let other = Write::PutMeta { key, expected, value: Vec::new() };
        let other = change(&format!("other {name}"), Subject::Policy, 100 + seq, other);
        let fits = name == name.to_uppercase().trim();
        assert_eq!(store.commit(&other).await.unwrap() == Committed::Done, fits, "{name:?}");
    }
    for (seq, name) in (1..).zip(ALIKE) {
        assert_eq!(store.outcome(&change_id(name)).await.unwrap().unwrap().event.seq, seq);
        let value = if name == "ANN" { "" } else { name };
        assert_eq!(store.meta(name).await.unwrap().unwrap(), value.as_bytes());
        assert_eq!(store.meta_or_insert(&format!("{name}/"), name.as_bytes()).await.unwrap(), name.as_bytes());
    }
}

async fn keys_that_look_alike_are_different(db: &Database) {
    let store = db.store().await;
    for (number, name) in [(1, "k1"), (2, "K1")] {
        let mut change = if number == 1 { create_first(token(1, "ann")) } else { create(token(2, "ann"), 10) };
        if let Write::CreateToken { secret, .. } = &mut change.write {
            secret.key = key(name);
        }
        store.commit(&change).await.unwrap();
    }
    let mut keys = store.keys(at(0)).await.unwrap();
    keys.sort();
    assert_eq!(keys, [key("K1"), key("k1")]);
    let to = |name| Redigest {
        selector: selector(1, 1),
        from: key(name),
        to: key("k2"),
        digest: Digest::from_bytes([8; 32]),
    };
    for (from, under) in [("K1", "k1"), ("k1", "k2")] {
        store.record(&Tallies { redigests: vec![to(from)], ..Tallies::default() }).await.unwrap();
        assert_eq!(store.load(&[selector(1, 1)]).await.unwrap()[0].secret.key, key(under));
    }
}

/// As many bytes as each may have, of four to a character where characters are counted.
async fn the_longest_texts_come_back_as_they_were(db: &Database) {
    let store = db.store().await;
    let longest = |text: &str| text.repeat(255 / text.len());
    for (number, text) in (0..).zip(["a", "\u{1d41a}", "'\\%"]) {
        let mut token = token(number, &longest(text));
        token.name = TokenName::new(text.chars().cycle().take(100).collect::<String>()).unwrap();
        token.created_by = ActorId::new(longest(text)).unwrap();
        // Nearly all that there may be, and twice as long once it is quoted.
        let resources = (0..128).map(|resource| ResourceId::new(format!("{resource:03}{}", "\"".repeat(252))).unwrap());
        let resources = Resources::Only(ResourceSet::new(resources).unwrap());
        let scope = ScopeName::new("projects:read").unwrap();
        token.grants = Grants::new([Grant { scope, resources }]).unwrap();
        let mut change = create_first(token.clone());
        change.event.actor = token.created_by.clone();
        change.event.owner = Some(token.owner.clone());
        // An edit tells what there was and what there is.
        change.event.body = format!(r#"{{"kind":"{}"}}"#, text.repeat(200_000 / text.len()));
        if let Write::CreateToken { secret, .. } = &mut change.write {
            secret.key = key(&"k".repeat(32));
        }
        assert_eq!(store.commit(&change).await.unwrap(), Committed::Done);
        assert_eq!(store.token(id(number)).await.unwrap().unwrap().unverified(), &token);
        assert_eq!(store.outcome(&change.id).await.unwrap().unwrap().event, change.event);
        let by_name = ListQuery { owner: Some(token.owner.clone()), from: Position::Name(None), ..everything() };
        assert_eq!(listed(&store, &by_name).await, [token]);
    }
}
