//! What only happens to databases with a server: errors of every kind over the wire, lost connections, locks.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyPoolOptions;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use token_core::{Committed, Fault, StoreError, Subject, TokenStore};
use token_store_sqlx::{OpenError, SqlStore};

use crate::database::{Database, Kind, on_every_server};
use crate::sample::*;

on_every_server! {
    errors_are_named_by_their_kind_and_nothing_is_written,
    what_passes_is_done_again,
    a_commit_that_is_refused_at_the_end_is_done_again,
    connections_that_the_server_ended_are_replaced,
    a_database_that_takes_no_writes_is_read_all_the_same,
    a_change_that_is_committed_late_is_found_by_looking_back,
    a_deadlock_reaches_no_caller,
    a_statement_over_its_limit_has_timed_out,
    nobody_waits_for_ever_for_a_server_that_went_silent,
}

/// Has the insertion of every event fail with this error, as long as the condition holds.
async fn fail(db: &Database, error: &str, condition: &str) {
    match db.kind() {
        Kind::Postgres => {
            db.raw(&format!(
                "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF {condition} THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{error}'; END IF; RETURN NEW; END $$; \
                 DROP TRIGGER IF EXISTS fail ON api_token_events; \
                 CREATE TRIGGER fail BEFORE INSERT ON api_token_events FOR EACH ROW EXECUTE FUNCTION fail()"
            ))
            .await;
        }
        Kind::MySql => {
            db.raw("DROP TRIGGER IF EXISTS fail").await;
            db.raw(&format!(
                "CREATE TRIGGER fail BEFORE INSERT ON api_token_events FOR EACH ROW BEGIN IF {condition} THEN \
                 SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {error}, MESSAGE_TEXT = 'on purpose'; END IF; END"
            ))
            .await;
        }
        Kind::Sqlite => unreachable!("no server"),
    }
}

async fn errors_are_named_by_their_kind_and_nothing_is_written(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    let errors: &[(&str, Fault)] = match db.kind() {
        Kind::Postgres => &[
            ("53100", Fault::DiskFull),
            ("25006", Fault::ReadOnly),
            ("57014", Fault::TimedOut),
            ("40P01", Fault::Deadlock),
            ("55P03", Fault::Deadlock),
            ("40001", Fault::Serialization),
            ("57P01", Fault::ConnectionLost),
            ("08006", Fault::ConnectionLost),
            ("53300", Fault::PoolExhausted),
            ("XX001", Fault::Corrupt),
            ("22012", Fault::Other),
        ],
        _ => &[
            ("1021", Fault::DiskFull),
            ("1114", Fault::DiskFull),
            ("1290", Fault::ReadOnly),
            ("1792", Fault::ReadOnly),
            ("1969", Fault::TimedOut),
            ("3024", Fault::TimedOut),
            ("1213", Fault::Deadlock),
            ("1205", Fault::Deadlock),
            ("1020", Fault::Serialization),
            ("1053", Fault::ConnectionLost),
            ("1047", Fault::ConnectionLost),
            ("1040", Fault::PoolExhausted),
            ("1034", Fault::Corrupt),
            ("1365", Fault::Other),
        ],
    };
    for (error, fault) in errors {
        fail(db, error, "1 = 1").await;
        let change = create(token(1, "ann"), 100);
        assert_eq!(store.commit(&change).await.unwrap_err().fault(), *fault, "{error}");
        assert!(store.outcome(&change.id).await.unwrap().is_none());
        assert!(store.load(&[selector(1, 1)]).await.unwrap().is_empty());
    }
    fail(db, errors[0].0, "1 = 0").await;
    assert_eq!(store.commit(&create(token(1, "ann"), 100)).await.unwrap(), Committed::Done);
}

async fn what_passes_is_done_again(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    // What a sequence has counted outlives a rollback.
    db.raw("CREATE SEQUENCE tries").await;
    let errors: &[&str] = if db.kind() == Kind::Postgres { &["40001", "40P01"] } else { &["1213", "1205", "1020"] };
    for (number, error) in (1..).zip(errors) {
        let third = if db.kind() == Kind::Postgres { "nextval('tries') % 3 <> 0" } else { "nextval(tries) % 3 <> 0" };
        fail(db, error, third).await;
        assert_eq!(store.commit(&create(token(number, "ann"), 100)).await.unwrap(), Committed::Done, "{error}");
        assert_eq!(store.events(&Subject::Token(id(number)), 0, 9).await.unwrap().len(), 1);
    }
}

async fn a_commit_that_is_refused_at_the_end_is_done_again(db: &Database) {
    if db.kind() == Kind::MySql {
        // Nothing is put off to the end there but by a cluster, whose conflicts come as a deadlock.
        return what_passes_is_done_again(db).await;
    }
    let store = db.store().await;
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    let fail_at_commit = async |error: &str, condition: &str| {
        db.raw(&format!(
            "CREATE SEQUENCE IF NOT EXISTS tries; DROP TRIGGER IF EXISTS late ON api_token_events; \
             CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF {condition} THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{error}'; END IF; RETURN NULL; END $$; \
             CREATE CONSTRAINT TRIGGER late AFTER INSERT ON api_token_events DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION fail()"
        ))
        .await;
    };
    fail_at_commit("40001", "nextval('tries') % 3 <> 0").await;
    assert_eq!(store.commit(&create(token(1, "ann"), 100)).await.unwrap(), Committed::Done);
    assert_eq!(store.events(&Subject::Token(id(1)), 0, 9).await.unwrap().len(), 1);
    // Whether it was done is not known after any other; it is asked for by the change's id.
    fail_at_commit("57P01", "TRUE").await;
    let change = create(token(2, "ann"), 100);
    assert_eq!(store.commit(&change).await.unwrap_err().fault(), Fault::OutcomeUnknown);
    assert!(store.outcome(&change.id).await.unwrap().is_none());
}

async fn connections_that_the_server_ended_are_replaced(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    for number in 1..4 {
        db.disconnect_all().await;
        assert!(store.token(id(0)).await.unwrap().is_some());
        db.disconnect_all().await;
        assert_eq!(store.commit(&create(token(number, "ann"), 100)).await.unwrap(), Committed::Done);
    }
}

async fn a_database_that_takes_no_writes_is_read_all_the_same(db: &Database) {
    let writer = db.store().await;
    writer.commit(&create_first(token(1, "ann"))).await.unwrap();
    let reader =
        limited(db, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET SESSION TRANSACTION READ ONLY");
    let store = reader.await.unwrap();
    assert_eq!(store.load(&[selector(1, 1)]).await.unwrap().len(), 1);
    assert_eq!(store.commit(&create(token(2, "ann"), 10)).await.unwrap_err().fault(), Fault::ReadOnly);
    writer.commit(&create(token(2, "ann"), 10)).await.unwrap();
}

/// A store on a pool of the host's, whose connections begin with this.
async fn limited(db: &Database, postgres: &'static str, mysql: &'static str) -> Result<SqlStore, OpenError> {
    match db.kind() {
        Kind::Postgres => {
            let pool = PgPoolOptions::new()
                .after_connect(move |conn, _| {
                    Box::pin(async move { sqlx::raw_sql(postgres).execute(conn).await.map(|_| ()) })
                })
                .connect(db.url())
                .await
                .unwrap();
            SqlStore::from_postgres_pool(pool).await
        }
        _ => {
            let pool = MySqlPoolOptions::new()
                .after_connect(move |conn, _| {
                    Box::pin(async move { sqlx::raw_sql(mysql).execute(conn).await.map(|_| ()) })
                })
                .connect(db.url())
                .await
                .unwrap();
            SqlStore::from_mysql_pool(pool).await
        }
    }
}

/// Changes are numbered before they are committed: one may come to stand before a cursor that was answered already.
async fn a_change_that_is_committed_late_is_found_by_looking_back(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    let start = store.changes(None, Duration::ZERO).await.unwrap().cursor;
    let other = AnyPoolOptions::new().max_connections(1).connect(db.url()).await.unwrap();
    let mut late = other.begin().await.unwrap();
    let change = format!(
        "INSERT INTO api_token_changes (change_id, fingerprint, subject, seq, at) \
         VALUES ({}, {}, 'policy', 1, {})",
        db.bytes(&[1; 16]),
        db.bytes(&[5; 32]),
        db.time(0)
    );
    sqlx::query(AssertSqlSafe(change)).execute(&mut *late).await.unwrap();
    store.commit(&create(token(1, "ann"), 10)).await.unwrap();
    let mut feed = store.changes(Some(start), Duration::from_secs(60)).await.unwrap();
    while feed.changes.is_empty() {
        feed = store.changes(Some(start), Duration::from_secs(60)).await.unwrap();
    }
    assert_eq!(subjects(&feed), [Subject::Token(id(1))]);

    let (waited, ()) = tokio::join!(store.changes(Some(feed.cursor), Duration::from_secs(1)), async {
        late.commit().await.unwrap();
    });
    assert!(waited.unwrap().changes.is_empty(), "it is not after the cursor");
    let again = store.changes(Some(start), Duration::ZERO).await.unwrap();
    assert_eq!(subjects(&again), [Subject::Policy, Subject::Token(id(1))]);
}

async fn a_deadlock_reaches_no_caller(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    // Another takes the event's number first, and then wants the token's row, which the change has by then.
    let other = AnyPoolOptions::new().max_connections(1).connect(db.url()).await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    let event = "INSERT INTO api_token_events SELECT subject, 2, owner, at, actor, body, hash FROM api_token_events";
    sqlx::query(event).execute(&mut *transaction).await.unwrap();
    let change = update("edit", token(0, "ann"), None);
    let (committed, ()) = tokio::join!(store.commit(&change), async {
        db.wait_for_a_lock().await;
        // Whichever of the two the database chooses to end; this one goes away in either case.
        drop(sqlx::query("UPDATE api_tokens SET revision = revision").execute(&mut *transaction).await);
        transaction.rollback().await.unwrap();
    });
    assert_eq!(committed.unwrap(), Committed::Done);
}

async fn a_statement_over_its_limit_has_timed_out(db: &Database) {
    let store = limited(db, "SET statement_timeout = '200ms'", "SET SESSION max_statement_time = 0.2").await.unwrap();
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    let unlock = lock_tokens(db).await;
    assert_eq!(store.token(id(0)).await.unwrap_err().fault(), Fault::TimedOut);
    unlock.close().await;
    assert!(store.token(id(0)).await.unwrap().is_some());
}

async fn nobody_waits_for_ever_for_a_server_that_went_silent(db: &Database) {
    let store = limited(db, "SELECT 1", "SET SESSION lock_wait_timeout = 60").await.unwrap();
    store.commit(&create_first(token(0, "ann"))).await.unwrap();
    let unlock = lock_tokens(db).await;
    let reading = store.token(id(0));
    let read: Result<_, StoreError> = tokio::time::timeout(Duration::from_secs(40), reading).await.unwrap();
    assert_eq!(read.unwrap_err().fault(), Fault::TimedOut);
    unlock.close().await;
    assert!(store.token(id(0)).await.unwrap().is_some());
}

/// Locks the table of tokens against all others, until the pool is closed.
async fn lock_tokens(db: &Database) -> sqlx::AnyPool {
    let pool = AnyPoolOptions::new().max_connections(1).connect(db.url()).await.unwrap();
    let lock = match db.kind() {
        Kind::Postgres => "BEGIN; LOCK TABLE api_tokens IN ACCESS EXCLUSIVE MODE",
        _ => "LOCK TABLES api_tokens WRITE",
    };
    sqlx::raw_sql(lock).execute(&pool).await.unwrap();
    pool
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the server at TOKEN_TEST_MYSQL_URL"]
async fn a_pool_without_autocommit_is_refused_on_mysql() {
    let db = Database::mysql().await;
    let refused = limited(&db, "", "SET autocommit = 0").await;
    assert!(matches!(refused, Err(OpenError::NoAutocommit)), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_unreachable() {
    // Nothing listens on this port, which nobody is given.
    for url in ["postgres://nobody@127.0.0.1:1/none", "mysql://nobody@127.0.0.1:1/none"] {
        let error = SqlStore::open(url).await.unwrap_err();
        assert!(matches!(&error, OpenError::Store(error) if error.fault() == Fault::ConnectionLost), "{error:?}");
    }
}
