//! The connection is cut at each message of a change in turn: the change is then made and answered, or it is not made at all.

use std::collections::BTreeMap;

use token_core::{Caller, Credential, Fault, ManageError, Subject, TokenId, TokenStore as _};
use token_trials::{Answer, Ask, ELDERS, House, Kind, OWNERS, Request, Sent, Swap, owner, phases};

use crate::books::{Books, furnish};
use crate::database::Database;
use crate::proxy::{Cut, Message, Proxy, Seen};

#[tokio::test]
#[ignore = "needs the server at TOKEN_TEST_POSTGRES_URL"]
async fn cut_off_postgres() {
    trial(Database::postgres().await).await;
}

#[tokio::test]
#[ignore = "needs the server at TOKEN_TEST_MYSQL_URL"]
async fn cut_off_mysql() {
    trial(Database::mysql().await).await;
}

async fn trial(database: Database) {
    let direct = furnish(&database).await;
    let proxy = Proxy::before(&database.url).await;
    let _told = tracing::subscriber::set_default(phases(proxy.listener()));
    let mut client = Client { house: House::open(&proxy.url).await.unwrap(), direct, proxy, made: Vec::new() };
    let mut table = BTreeMap::new();
    for kind in [Kind::Create, Kind::Rotate, Kind::Revoke] {
        for how in [Cut::Unsent, Cut::Unanswered, Cut::HalfAnswered] {
            // At each message, until a change comes to its end before it. What a connection has not prepared yet takes one more:
            // so COMMIT has no number of its own, and is named.
            for message in [Message::Commit].into_iter().chain((0..).map(Message::After)) {
                let Some((at, made)) = client.change(kind, how, message).await else { break };
                let (whole, absent): &mut (usize, usize) = table.entry((at, how)).or_default();
                *(if made { whole } else { absent }) += 1;
            }
        }
    }
    client.after_a_silence().await;
    println!("cuts (answered as made, answered as failed and not made)");
    table.iter().for_each(|((at, how), counts)| println!("{:14}{:14}{counts:?}", at, format!("{how:?}")));
    for how in [Cut::Unsent, Cut::Unanswered, Cut::HalfAnswered] {
        let (made, failed) = table[&("committing".to_owned(), how)];
        assert!(made >= 3 && failed == 0, "COMMIT {how:?}");
        assert!(table.contains_key(&("begun".to_owned(), how)), "statements {how:?}");
        assert!(table.contains_key(&("before BEGIN".to_owned(), how)), "reads {how:?}");
    }
    client.check_all(&database).await;
}

struct Client {
    /// By way of the proxy.
    house: House,
    direct: House,
    proxy: Proxy,
    /// What was done.
    made: Vec<Request>,
}

impl Client {
    /// Makes a change whose connection is cut at this message. Answers where that was, and whether the change was made; `None` if it
    /// had come to its end before.
    async fn change(&mut self, kind: Kind, how: Cut, message: Message) -> Option<(String, bool)> {
        let number = self.made.len();
        let ask = match kind {
            Kind::Create => Ask::Create { owner: owner(number % OWNERS) },
            Kind::Rotate => Ask::Rotate { token: self.token(number).await, swap: Swap::EndingSuperseded },
            _ => Ask::Revoke { token: self.token(number).await },
        };
        let request = Request { key: format!("{kind:?}-{how:?}-{number}"), ask };
        self.proxy.cut(message, how);
        let sent = request.send(&self.house.tokens).await;
        let Seen { phases, cut_at } = self.proxy.seen();
        let context = format!("{} cut at {cut_at:?}: {phases:?}", request.key);

        let stored = self.direct.store.outcome(&request.id()).await.unwrap();
        match &sent {
            Ok(sent) => {
                assert_eq!(
                    stored.as_ref().map(|outcome| outcome.event.actor.as_str()),
                    Some(&*request.key),
                    "{context}"
                );
                self.check_text(kind, sent, &context).await;
            }
            Err(ManageError::Store(error)) if error.fault() == Fault::ConnectionLost => {
                assert_eq!(stored, None, "{context}");
            }
            Err(error) => panic!("{context}: {error:?}"),
        }
        if cut_at.as_deref() == Some("committing") {
            // Where the server had committed, nothing was committed again.
            let again = phases.iter().filter(|phase| *phase == "committed").count();
            assert_eq!(again, usize::from(how == Cut::Unsent), "{context}");
        }
        // The store works on, and what failed can be made.
        let made = sent.is_ok();
        if !made {
            assert_eq!(request.answer(&request.send(&self.house.tokens).await), Answer::Done, "{context}");
        }
        self.check(&request).await;
        self.made.push(request.clone());
        self.make_room(&request).await;
        cut_at.map(|at| (at, made))
    }

    /// A token that lives, of one of the owners in turn.
    async fn token(&mut self, number: usize) -> TokenId {
        let owner = owner(number % OWNERS);
        let request = Request { key: format!("for-{number}"), ask: Ask::Create { owner } };
        let sent = request.send(&self.house.tokens).await.unwrap();
        self.made.push(request);
        sent.token.unwrap()
    }

    /// The cap is not what is tried here.
    async fn make_room(&mut self, done: &Request) {
        let outcome = self.direct.store.outcome(&done.id()).await.unwrap().unwrap();
        let Subject::Token(token) = outcome.event.subject else { panic!("{done:?} is about a token") };
        if done.ask.kind() != Kind::Revoke {
            let request = Request { key: format!("end-{}", done.key), ask: Ask::Revoke { token } };
            assert_eq!(request.answer(&request.send(&self.house.tokens).await), Answer::Done);
            self.made.push(request);
        }
    }

    /// It was our own change, so its secret is shown; and it works.
    async fn check_text(&self, kind: Kind, sent: &Sent, context: &str) {
        if kind.mints() {
            let text = sent.text.as_ref().unwrap_or_else(|| panic!("no text of {context}"));
            let credential = Credential::Borrowed(text.expose_secret().as_bytes());
            let verified = self.direct.tokens.authenticate(Ok(credential), Caller::default()).await;
            assert!(verified.is_ok(), "{context}");
        }
    }

    async fn check(&self, request: &Request) {
        let outcome = self.direct.store.outcome(&request.id()).await.unwrap().expect("it was made");
        let mut books = Books::default();
        books.check(&self.direct, &outcome.event.subject).await;
        assert_eq!(books.events.get(&request.key), Some(&outcome.event));
    }

    /// Connections that were cut while nobody used them are in nobody's way.
    async fn after_a_silence(&mut self) {
        for round in 0..5 {
            self.proxy.hang_up();
            let request = Request { key: format!("silence-{round}"), ask: Ask::SetPolicy { overlap_hours: 1 + round } };
            assert_eq!(request.answer(&request.send(&self.house.tokens).await), Answer::Done);
            self.made.push(request);
        }
    }

    /// Nothing was doubled, and nothing was left.
    async fn check_all(&self, database: &Database) {
        let books = Books::whole(&self.direct, database).await;
        assert_eq!(books.events.len(), ELDERS * OWNERS + self.made.len());
        assert_eq!(database.count("api_token_changes").await, books.events.len());
        assert!(self.made.iter().all(|request| books.events.contains_key(&request.key)));
    }
}
