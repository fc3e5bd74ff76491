//! A process is killed in the middle of a change. What is stored then is the whole change, or nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use token_core::{Subject, TokenStore as _};
use token_trials::{Answer, Ask, ELDERS, House, Kind, OWNERS, Request};
use tokio::time::Instant;

use crate::books::{Books, furnish};
use crate::database::Database;
use crate::killer::{Killed, Killer, Place};

/// The actions that are interrupted, each in turn.
const KINDS: [Kind; 5] = [Kind::Create, Kind::Rotate, Kind::Revoke, Kind::Edit, Kind::Suspend];
/// Where the kills are aimed, each in turn. As many as there are kinds and one more, so that each is aimed at each place.
const AIMS: [Place; 6] =
    [Place::Inside, Place::Reading, Place::Inside, Place::Committing, Place::Inside, Place::Committed];

#[tokio::test]
async fn kills_on_sqlite() {
    trial(Database::sqlite()).await;
}

#[tokio::test]
#[ignore = "needs the server at TOKEN_TEST_POSTGRES_URL"]
async fn kills_on_postgres() {
    trial(Database::postgres().await).await;
}

#[tokio::test]
#[ignore = "needs the server at TOKEN_TEST_MYSQL_URL"]
async fn kills_on_mysql() {
    trial(Database::mysql().await).await;
}

async fn trial(database: Database) {
    drop(furnish(&database).await);
    let kills = if std::env::var_os("TOKEN_TEST_FULL").is_some() { 300 } else { 30 };
    let mut killer = Killer::new();
    let mut ledger = Ledger::default();
    let mut table = Table::default();
    for round in 0..kills {
        let kind = KINDS[round % KINDS.len()];
        let kinds = [ledger.warm_up(round), vec![kind]].concat();
        let killed = killer.kill(&database.url, round, &kinds, AIMS[round % AIMS.len()]);
        table.add(kind, &killed, ledger.settle(&database, round, killed.clone()).await);
        if round % 10 == 9 {
            Books::whole(&House::open(&database.url).await.unwrap(), &database).await;
        }
    }
    table.print(&ledger);
    let inside = table.killed_at(Place::Inside);
    assert!(inside * 6 >= kills, "only {inside} of {kills} kills were between BEGIN and COMMIT");
    assert!(table.under_way.iter().any(|after| *after > Duration::ZERO), "all were directly after BEGIN");
}

/// All that was done, by whom it was asked for.
#[derive(Default)]
struct Ledger {
    done: BTreeMap<String, Request>,
    /// The longest that the database could not be used after a kill.
    longest: Duration,
}

impl Ledger {
    /// What comes before the change that is interrupted.
    fn warm_up(&self, round: usize) -> Vec<Kind> {
        let count = |kind| self.done.values().filter(|request| request.ask.kind() == kind).count();
        let living = ELDERS * OWNERS + count(Kind::Create) - count(Kind::Revoke);
        let balance = if living < 3 * OWNERS { Kind::Create } else { Kind::Revoke };
        [Kind::Edit, balance, Kind::Rotate].into_iter().take(round % 4).collect()
    }

    /// Opens the database again, and finds each change whole or absent. Answers whether the one that was interrupted is whole.
    async fn settle(&mut self, database: &Database, round: usize, killed: Killed) -> bool {
        let died = Instant::now();
        let sessions = database.sessions().await;
        let house = House::open(&database.url).await.unwrap();
        // Something else can be changed at once.
        let touch =
            Request { key: format!("touch-{round}"), ask: Ask::SetPolicy { overlap_hours: 1 + round as u64 % 7 } };
        self.make(&house, &touch, Answer::Done).await;
        self.longest = self.longest.max(died.elapsed());
        gone(database, &sessions).await;

        let whole = house.store.outcome(&killed.request.id()).await.unwrap().is_some();
        match killed.place {
            Place::Reading | Place::Inside => assert!(!whole, "nobody asked to commit {:?}", killed.request),
            Place::Committing => {}
            Place::Committed | Place::Answered => assert!(whole, "lost: {:?}", killed.request),
        }
        self.done.extend(killed.answered.iter().map(|request| (request.key.clone(), request.clone())));
        if whole {
            self.done.insert(killed.request.key.clone(), killed.request.clone());
        }
        let touched: Vec<&Request> = killed.answered.iter().chain([&killed.request, &touch]).collect();
        self.check(&house, database, &touched).await;

        // The same again: a repeat of what is there, or made now.
        let again = if whole && killed.request.ask.kind().mints() { Answer::Repeat } else { Answer::Done };
        self.make(&house, &killed.request, again).await;
        self.check(&house, database, &touched).await;
        whole
    }

    async fn make(&mut self, house: &House, request: &Request, expected: Answer) {
        assert_eq!(request.answer(&request.send(&house.tokens).await), expected, "{request:?}");
        self.done.insert(request.key.clone(), request.clone());
    }

    /// What these requests were about is in order, each that was done is there, and the tables hold that and nothing more.
    async fn check(&self, house: &House, database: &Database, touched: &[&Request]) {
        let mut subjects = BTreeSet::new();
        for request in touched {
            let outcome = house.store.outcome(&request.id()).await.unwrap();
            assert_eq!(outcome.is_some(), self.done.contains_key(&request.key), "{request:?}");
            subjects.extend(outcome.map(|outcome| outcome.event.subject));
            subjects.extend(subject(&request.ask));
        }
        let mut books = Books::default();
        for subject in subjects {
            books.check(house, &subject).await;
        }
        for request in touched {
            let done = self.done.contains_key(&request.key);
            assert_eq!(books.events.contains_key(&request.key), done, "the event of {request:?}");
        }

        let elders = ELDERS * OWNERS;
        let done = |is: fn(Kind) -> bool| self.done.values().filter(|request| is(request.ask.kind())).count();
        let tables = [
            ("api_tokens", elders + done(|kind| kind == Kind::Create)),
            ("api_token_secrets", elders + done(Kind::mints)),
            ("api_token_events", elders + self.done.len()),
            ("api_token_changes", elders + self.done.len()),
        ];
        for (table, rows) in tables {
            assert_eq!(database.count(table).await, rows, "rows in {table}");
        }
    }
}

/// Whose history the change goes into; not known of one that creates.
fn subject(ask: &Ask) -> Option<Subject> {
    Some(match ask {
        Ask::Create { .. } => return None,
        Ask::Edit { token, .. } | Ask::Rotate { token, .. } | Ask::EndOverlap { token } | Ask::Revoke { token } => {
            Subject::Token(*token)
        }
        Ask::Suspend { owner } | Ask::Resume { owner } => Subject::Owner(owner.clone()),
        Ask::SetPolicy { .. } => Subject::Policy,
    })
}

/// Waits until the server has noticed that these are gone: until then what they had sent may still be done.
async fn gone(database: &Database, sessions: &BTreeSet<i64>) {
    let started = Instant::now();
    while database.sessions().await.intersection(sessions).next().is_some() {
        assert!(started.elapsed() < Duration::from_secs(30), "the server keeps sessions of a dead process");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Where the kills hit.
#[derive(Default)]
struct Table {
    kills: BTreeMap<(Place, Kind), (usize, usize)>,
    /// How long those inside a transaction had been let go on.
    under_way: BTreeSet<Duration>,
}

impl Table {
    fn add(&mut self, kind: Kind, killed: &Killed, whole: bool) {
        let (kills, wholes) = self.kills.entry((killed.place, kind)).or_default();
        *kills += 1;
        *wholes += usize::from(whole);
        if killed.place == Place::Inside {
            self.under_way.insert(killed.pause);
        }
    }

    fn killed_at(&self, place: Place) -> usize {
        self.kills.iter().filter(|((at, _), _)| *at == place).map(|(_, (kills, _))| kills).sum()
    }

    fn print(&self, ledger: &Ledger) {
        print!("{:24}", "kills (whole after)");
        KINDS.iter().for_each(|kind| print!("{:>12}", format!("{kind:?}")));
        println!();
        let places = [
            (Place::Reading, "before BEGIN"),
            (Place::Inside, "BEGIN .. COMMIT"),
            (Place::Committing, "COMMIT .. its answer"),
            (Place::Committed, "answer .. told"),
            (Place::Answered, "told"),
        ];
        for (place, name) in places {
            print!("{name:24}");
            for kind in KINDS {
                let (kills, whole) = self.kills.get(&(place, kind)).copied().unwrap_or_default();
                print!("{:>12}", format!("{kills} ({whole})"));
            }
            println!();
        }
        println!("inside a transaction, on the way for up to {:?}", self.under_way.last());
        println!("{} changes; in use again after {:.0?} at most", ledger.done.len(), ledger.longest);
    }
}
