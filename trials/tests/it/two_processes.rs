//! Two processes that change the same tokens of the same owners.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use token_core::{Clock as _, Cursor, Delivery, EventDetail, Subject, SystemClock, TokenStore as _};
use token_trials::{Answer, CAP, ELDERS, House, Line, OWNERS, Request};
use tokio::time::Instant;

use crate::books::{Books, furnish};
use crate::database::Database;
use crate::worker::Worker;

/// Changes of each worker.
const CHANGES: usize = 5000;
/// Changes of each worker at a time.
const TASKS: usize = 32;

#[tokio::test]
async fn two_processes_on_sqlite() {
    trial(Database::sqlite()).await;
}

#[tokio::test]
#[ignore = "needs the server at TOKEN_TEST_POSTGRES_URL"]
async fn two_processes_on_postgres() {
    trial(Database::postgres().await).await;
}

#[tokio::test]
#[ignore = "needs the server at TOKEN_TEST_MYSQL_URL"]
async fn two_processes_on_mysql() {
    trial(Database::mysql().await).await;
}

async fn trial(database: Database) {
    let house = furnish(&database).await;
    let started = Instant::now();
    let said = run_workers(&database.url);
    let took = started.elapsed();
    let answers = Answers::sort(said);
    println!("{} changes in {took:.1?}", 2 * CHANGES);
    answers.print();
    assert_eq!(answers.failed, [] as [String; 0], "no failure of the store reaches a caller");
    assert!(answers.refused.contains_key("cap reached"), "caps are reached now and then");

    let books = Books::whole(&house, &database).await;
    let notes = each_change_is_one(&house, &answers, &books).await;
    let made = answers.done.len() - notes;
    println!("{made} events of {} keys, {notes} with nothing to do; {} tokens", answers.done.len(), books.tokens);
    assert_eq!(books.events.len(), made + OWNERS * ELDERS, "as many events as changes");

    let log = deliver(&house).await;
    assert_eq!(log.len(), books.events.len(), "each event is in the log of changes once");
    assert_eq!(database.count("api_token_changes").await, log.len() + notes, "each change is in the log once");
    assert_eq!(feed(&house).await, log.len() + notes, "a follower sees each change once");
    limits_held(&log);
}

fn run_workers(url: &str) -> Vec<(Request, Answer)> {
    let (changes, tasks) = (CHANGES.to_string(), TASKS.to_string());
    let worker = |number| Worker::start(&["contend", url, "7", number, &changes, &tasks]);
    let (first, second) = (worker("0"), worker("1"));
    let second = std::thread::spawn(|| second.finish());
    let mut said = first.finish();
    said.extend(second.join().unwrap());
    let answers: Vec<_> = said
        .into_iter()
        .map(|line| match line {
            Line::Answer(request, answer) => (request, answer),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answers.len(), 2 * CHANGES);
    answers
}

/// What the callers were told.
#[derive(Default)]
struct Answers {
    /// A request of each key that was answered as done.
    done: BTreeMap<String, Request>,
    /// A request of each key that was only ever refused.
    left: BTreeMap<String, Request>,
    failed: Vec<String>,
    refused: BTreeMap<String, usize>,
    /// How often a secret was shown, by key.
    shown: BTreeMap<String, usize>,
    repeats: usize,
}

impl Answers {
    fn sort(said: Vec<(Request, Answer)>) -> Answers {
        let mut answers = Answers::default();
        let mut refused = Vec::new();
        for (request, answer) in said {
            match answer {
                Answer::Done => {
                    if request.ask.kind().mints() {
                        *answers.shown.entry(request.key.clone()).or_default() += 1;
                    }
                    answers.done.insert(request.key.clone(), request);
                }
                Answer::Repeat => {
                    answers.repeats += 1;
                    answers.done.insert(request.key.clone(), request);
                }
                Answer::Refused(why) => {
                    *answers.refused.entry(why).or_default() += 1;
                    refused.push(request);
                }
                Answer::Failed(how) => answers.failed.push(format!("{request:?}: {how}")),
            }
        }
        refused.retain(|request| !answers.done.contains_key(&request.key));
        answers.left = refused.into_iter().map(|request| (request.key.clone(), request)).collect();
        answers
    }

    fn print(&self) {
        println!(
            "{} keys done, {} answers without the secret, refused: {:?}",
            self.done.len(),
            self.repeats,
            self.refused
        );
    }
}

/// Each key that was answered as done has one outcome, whose event is there; one that was refused has none. Answers how many had
/// nothing to do.
async fn each_change_is_one(house: &House, answers: &Answers, books: &Books) -> usize {
    let mut notes = 0;
    for (key, request) in &answers.done {
        let outcome = house.store.outcome(&request.id()).await.unwrap().expect("an outcome of what was done");
        assert_eq!(books.events.get(outcome.event.actor.as_str()), Some(&outcome.event), "{request:?}");
        if outcome.event.actor.as_str() != key {
            notes += 1;
            assert!(!books.events.contains_key(key), "{request:?}");
        }
        if request.ask.kind().mints() {
            assert_eq!(answers.shown.get(key), Some(&1), "the secret is shown once: {request:?}");
            assert_eq!(outcome.event.actor.as_str(), key);
        }
    }
    for (key, request) in &answers.left {
        assert_eq!(house.store.outcome(&request.id()).await.unwrap(), None, "{request:?}");
        assert!(!books.events.contains_key(key), "{request:?}");
    }
    notes
}

/// All events, in the order of the log.
async fn deliver(house: &House) -> Vec<Delivery> {
    let mut log: Vec<Delivery> = Vec::new();
    loop {
        let now = SystemClock.now();
        let claimed = house.store.claim(now, Duration::from_secs(60), 500).await.unwrap();
        if claimed.is_empty() {
            break;
        }
        let cursors: Vec<Cursor> = claimed.iter().map(|delivery| delivery.cursor).collect();
        house.store.ack(&cursors, now).await.unwrap();
        log.extend(claimed);
    }
    let keys: BTreeSet<&str> = log.iter().map(|delivery| delivery.event.actor.as_str()).collect();
    assert_eq!(keys.len(), log.len(), "an event was delivered twice");
    assert!(log.is_sorted_by_key(|delivery| delivery.cursor));
    log
}

/// How many changes a follower sees that starts before the first.
async fn feed(house: &House) -> usize {
    let (mut seen, mut cursor) = (0, Cursor(0));
    loop {
        let feed = house.store.changes(Some(cursor), Duration::ZERO).await.unwrap();
        if feed.changes.is_empty() {
            return seen;
        }
        (seen, cursor) = (seen + feed.changes.len(), feed.cursor);
    }
}

/// In the order of the log no owner ever has more live tokens than the cap, and none is made while it is suspended. What the store
/// counts at a creation was logged before it, so the order is exact where it matters.
fn limits_held(log: &[Delivery]) {
    let mut living: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut suspended = BTreeSet::new();
    let mut at_the_cap = 0;
    for Delivery { event, .. } in log {
        let Some(owner) = &event.owner else { continue };
        let living = living.entry(owner).or_default();
        match (event.detail().unwrap(), &event.subject) {
            (EventDetail::Created { .. }, Subject::Token(token)) => {
                assert!(!suspended.contains(owner), "made while {owner} was suspended: {event:?}");
                living.insert(*token);
                assert!(living.len() <= usize::try_from(CAP).unwrap(), "{owner} is over the cap with {event:?}");
                at_the_cap += usize::from(living.len() == usize::try_from(CAP).unwrap());
            }
            (EventDetail::Revoked, Subject::Token(token)) => assert!(living.remove(token), "{event:?}"),
            (EventDetail::Suspended, _) => assert!(suspended.insert(owner), "{event:?}"),
            (EventDetail::Resumed, _) => drop(suspended.remove(owner)),
            _ => {}
        }
    }
    assert!(at_the_cap > 0);
}
