//! All that is stored, read through the service, each part checked against the others.

use std::collections::BTreeMap;

use token_core::{
    Event, EventDetail, History, ListFilter, Position, SecretRef, Subject, Token, TokenId, TokenStore as _,
};
use token_trials::{Answer, Ask, CAP, ELDERS, House, OWNERS, Request, admin, elder, owner, policy};

use crate::database::Database;
use crate::replay;

/// What was found.
#[derive(Default)]
pub(crate) struct Books {
    /// Every event, by its actor, who is named by the key of the change.
    pub(crate) events: BTreeMap<String, Event>,
    /// How many tokens were looked at.
    pub(crate) tokens: usize,
    /// How many secrets were looked at, those that work no more included.
    pub(crate) secrets: usize,
}

/// Opens a house where every owner has its elders.
pub(crate) async fn furnish(database: &Database) -> House {
    let house = House::open(&database.url).await.unwrap();
    for number in 0..OWNERS {
        for which in 0..ELDERS {
            let request = Request { key: elder(number, which), ask: Ask::Create { owner: owner(number) } };
            assert_eq!(request.answer(&request.send(&house.tokens).await), Answer::Done);
        }
    }
    house
}

impl Books {
    /// Checks everything: each subject, and that the tables hold nothing beyond that.
    pub(crate) async fn whole(house: &House, database: &Database) -> Books {
        let mut books = Books::default();
        for number in 0..OWNERS {
            books.check(house, &Subject::Owner(owner(number))).await;
            let living = house.living(&owner(number)).await.unwrap().len();
            assert!(living <= usize::try_from(CAP).unwrap(), "owner {number} has {living} live tokens");
        }
        books.check(house, &Subject::Policy).await;
        for token in all_tokens(house).await {
            books.check(house, &Subject::Token(token)).await;
        }
        books.nothing_beyond(database).await;
        books
    }

    /// That the tables hold no row that no subject leads to.
    async fn nothing_beyond(&self, database: &Database) {
        let tables = [
            ("api_tokens", self.tokens),
            ("api_token_secrets", self.secrets),
            ("api_token_events", self.events.len()),
            ("api_token_owners", OWNERS),
        ];
        for (table, rows) in tables {
            assert_eq!(database.count(table).await, rows, "rows in {table}");
        }
    }

    /// The history is intact, and the row is what the history says.
    pub(crate) async fn check(&mut self, house: &House, subject: &Subject) {
        let admin = admin("reader");
        let manage = house.tokens.manage(&admin);
        let events = events(house, subject).await;
        let history = manage.verify_history(subject).await.unwrap();
        assert_eq!(history, History::Intact { events: events.len().try_into().unwrap() }, "{subject}");
        match subject {
            Subject::Token(id) => {
                let listed = manage.token(*id).await.unwrap();
                assert_eq!(listed.seal, Ok(()), "{subject}");
                assert_eq!(replay::token(&events), listed.token);
                self.check_secrets(house, &listed.token, &events).await;
                self.tokens += 1;
            }
            Subject::Owner(id) => {
                let listed = manage.owner(id).await.unwrap();
                assert_eq!(listed.seal, Ok(()), "{subject}");
                assert_eq!(replay::owner(id, &events), listed.owner);
            }
            Subject::Policy => {
                let replayed = replay::policy(&events).unwrap_or_else(|| policy(24));
                assert_eq!(replayed, manage.policy().await.unwrap());
            }
        }
        for event in events {
            let twice = self.events.insert(event.actor.as_str().to_owned(), event);
            assert!(twice.is_none(), "a change was made twice: {twice:?}");
        }
    }

    /// Each generation that an event made has its secret.
    async fn check_secrets(&mut self, house: &House, token: &Token, events: &[Event]) {
        let made: Vec<SecretRef> = events
            .iter()
            .filter_map(|event| match event.detail().unwrap() {
                EventDetail::Created { secret, .. } | EventDetail::Rotated { secret, .. } => Some(secret),
                _ => None,
            })
            .collect();
        let selectors: Vec<_> = made.iter().map(|secret| secret.selector).collect();
        let loaded = house.store.load(&selectors).await.unwrap();
        let mut stored: Vec<_> =
            loaded.iter().map(|row| (row.secret.token, row.secret.generation, row.secret.selector)).collect();
        stored.sort_by_key(|secret| secret.1);
        let made: Vec<_> = made.iter().map(|secret| (token.id, secret.generation, secret.selector)).collect();
        assert_eq!(stored, made, "the secrets of {}", token.id);
        self.secrets += made.len();
    }
}

/// The whole history of a subject.
pub(crate) async fn events(house: &House, subject: &Subject) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.seq);
        let page = house.store.events(subject, after, 500).await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

async fn all_tokens(house: &House) -> Vec<TokenId> {
    let admin = admin("reader");
    let (mut tokens, mut from) = (Vec::new(), Some(Position::Created(None)));
    while let Some(position) = from {
        let page = house.tokens.manage(&admin).list(None, ListFilter::Any, None, position, 200).await.unwrap();
        tokens.extend(page.tokens.iter().map(|listed| listed.token.id));
        from = page.next;
    }
    tokens
}
