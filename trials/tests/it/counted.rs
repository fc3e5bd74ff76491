//! Usage that is counted: exactly, in few statements, and through a kill but for the last interval.

use std::sync::Arc;
use std::time::Duration;

use token_core::testing::CountingStore;
use token_core::{
    Call, Caller, Credential, Grant, Grants, Keyring, ListFilter, ManualClock, NewToken, Policy, Position, Time,
    TokenName, Tokens,
};
use token_store_sqlx::SqlStore;
use token_trials::{House, Line, admin, catalog, owner};
use tokio::time::Instant;

use crate::database::Database;
use crate::worker::Worker;

/// A flush each second, and one more second for it to be written.
const INTERVAL: Duration = Duration::from_secs(1);
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

async fn a_kill_loses_the_last_interval_at_most(db: Database) {
    let mut worker = Worker::start(&["count", &db.url]);
    let mut said: Vec<(Instant, u64)> = Vec::new();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        let Some(Line::Counted { uses }) = worker.line() else { panic!("the worker has ended") };
        said.push((Instant::now(), uses));
    }
    worker.kill();
    let killed = Instant::now();
    let mut all = said.last().unwrap().1;
    while let Some(Line::Counted { uses }) = worker.line() {
        all = uses;
    }
    worker.killed();

    let house = House::open(&db.url).await.unwrap();
    let reader = admin("reader");
    let manage = house.tokens.manage(&reader);
    let list = manage.list(Some(&owner(0)), ListFilter::Any, None, Position::Created(None), 10).await.unwrap();
    let (stored, _) = manage.overview(&list.tokens, 30).await.unwrap()[0].usage.total();
    let safe = said.iter().filter(|(at, _)| killed - *at >= INTERVAL + WRITTEN_WITHIN).map(|(_, uses)| *uses).max();
    let safe = safe.unwrap();
    println!("{stored} of {all} uses are stored; {safe} were older than an interval");
    assert!(safe > 0, "nothing was counted for longer than an interval");
    assert!((safe..=all + 1).contains(&stored), "{stored} of {all}, of which {safe} were older than an interval");
}

/// A hundred thousand requests with two hundred tokens, in twenty flushes and one at shutdown.
async fn many_requests_are_few_statements_and_all_of_them_counted(db: Database) {
    const TOKENS: usize = 200;
    const REQUESTS: usize = 100_000;
    const FLUSHES: usize = 20;
    let store = Arc::new(CountingStore::new(Arc::new(SqlStore::open(&db.url).await.unwrap())));
    let begin: Time = "2027-01-01T10:00:00Z".parse().unwrap();
    let clock = Arc::new(ManualClock::at(begin));
    let (tokens, background) = Tokens::builder_on(Arc::<CountingStore>::clone(&store))
        .prefix("acme_trial")
        .keyring(Keyring::parse("k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").unwrap())
        .catalog(catalog())
        .initial_policy(Policy { live_tokens_per_owner: 1000, ..Policy::default() })
        .clock(Arc::clone(&clock))
        .max_staleness(Duration::from_secs(3600))
        .build()
        .await
        .unwrap();
    let maker = admin("maker");
    let manage = tokens.manage(&maker);
    let mut texts = Vec::new();
    for number in 0..TOKENS {
        let name = TokenName::new(format!("token {number}")).unwrap();
        let grants = Grants::new([Grant::all("projects:read").unwrap()]).unwrap();
        let request = NewToken { owner: Some(owner(0)), ..NewToken::new(name, grants) };
        texts.push(manage.create(&request).await.unwrap().text.unwrap());
    }
    let caller = Caller::at("198.51.100.4".parse().unwrap());
    let call = Call { method: "GET", route: Some("/projects"), client: Some(b"caller/1.0") };
    // Met once, so that what follows asks the store for nothing but to store.
    for text in &texts {
        let credential = Credential::Borrowed(text.expose_secret().as_bytes());
        let verified = tokens.authenticate(Ok(credential), caller).await.unwrap();
        tokens.tally_use(&verified, &call);
    }
    tokens.flush().await.unwrap();
    let calls = store.calls();
    for number in 0..REQUESTS {
        let credential = Credential::Borrowed(texts[number % TOKENS].expose_secret().as_bytes());
        let verified = tokens.authenticate_cached(Ok(&credential), caller).unwrap().unwrap();
        tokens.tally_use(&verified, &call);
        if (number + 1) % (REQUESTS / FLUSHES) == 0 {
            clock.advance(Duration::from_secs(1));
            tokens.flush().await.unwrap();
        }
    }
    tokens.flush().await.unwrap();
    let asked = store.calls() - calls;
    // One transaction a flush, of a statement for each kind; and the watch, which asks for an hour that has grown by a quarter.
    println!("{asked} calls of the store for {REQUESTS} requests in {FLUSHES} flushes");
    assert!(asked <= 2 * FLUSHES as u64 + 2, "{asked}");
    let list = manage.list(None, ListFilter::Any, None, Position::Created(None), 200).await.unwrap();
    for overview in manage.overview(&list.tokens, 30).await.unwrap() {
        assert_eq!(overview.usage.total(), ((REQUESTS / TOKENS) as u64 + 1, 0));
        assert!(overview.usage.signals.is_empty());
    }
    drop(background);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_on_sqlite() {
    a_kill_loses_the_last_interval_at_most(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the server at TOKEN_TEST_POSTGRES_URL"]
async fn a_kill_on_postgres() {
    a_kill_loses_the_last_interval_at_most(Database::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the server at TOKEN_TEST_MYSQL_URL"]
async fn a_kill_on_mariadb() {
    a_kill_loses_the_last_interval_at_most(Database::mysql().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_on_sqlite() {
    many_requests_are_few_statements_and_all_of_them_counted(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the server at TOKEN_TEST_POSTGRES_URL"]
async fn many_requests_on_postgres() {
    many_requests_are_few_statements_and_all_of_them_counted(Database::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the server at TOKEN_TEST_MYSQL_URL"]
async fn many_requests_on_mariadb() {
    many_requests_are_few_statements_and_all_of_them_counted(Database::mysql().await).await;
}
