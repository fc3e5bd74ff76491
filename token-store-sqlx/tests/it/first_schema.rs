//! Upward from the first schema: a database that the first version made and filled goes on working.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use sqlx::Connection as _;
use sqlx::migrate::Migrator;
use token_core::{
    Actor, ActorId, Caller, Ceiling, Credential, Edit, History, Keyring, ListFilter, ManualClock, OwnerId, Position,
    Risk, ScopeDef, Subject, TokenName, Tokens,
};

use crate::database::{Database, Kind, on_every_database};

on_every_database! {
    what_the_first_version_stored_is_there_and_works,
    a_migration_that_was_cut_off_is_done_again,
}

/// Rows that the first version stored, a service's whole life: tokens that live, were rotated, revoked, and expired; an owner who
/// was suspended; a policy; usage. Written once, and never again: what is in it may be in somebody's database.
const STORED: &str = include_str!("../data/first_schema.json");

/// Makes the tables as the first version did.
async fn migrate_as_then(db: &Database) {
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(db.kind().to_string());
    let mut migrator = Migrator::new(migrations).await.unwrap();
    migrator.dangerous_set_table_name("api_tokens_migrations");
    let mut connection = db.connect_or_make().await;
    migrator.run_to(1, &mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A stored value as it is written in SQL.
fn literal(db: &Database, value: &Value) -> String {
    let bytes = |hex: &str| {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect::<Vec<u8>>()
    };
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Object(typed) => match typed.iter().next().unwrap() {
            (kind, Value::Number(micros)) if kind == "time" => db.time(micros.as_i64().unwrap()),
            (kind, Value::String(hex)) if kind == "bytes" => db.bytes(&bytes(hex)),
            (kind, Value::String(hex)) if kind == "id" && db.kind() == Kind::Postgres => format!("'{hex}'"),
            (kind, Value::String(hex)) if kind == "id" => db.bytes(&bytes(hex)),
            other => panic!("{other:?}"),
        },
        other => panic!("{other}"),
    }
}

async fn fill(db: &Database, stored: &Value) {
    // Owners and tokens before what refers to them.
    let tables = stored["tables"].as_object().unwrap();
    let (first, second) = (["api_token_owners", "api_tokens"], tables.keys().map(String::as_str));
    for table in first.into_iter().chain(second.filter(|table| !first.contains(table))) {
        for row in tables[table].as_array().unwrap() {
            let row = row.as_object().unwrap();
            let columns: Vec<&str> = row.keys().map(String::as_str).collect();
            let values: Vec<String> = row.values().map(|value| literal(db, value)).collect();
            // Cursors stay what they were.
            let given = if db.kind() == Kind::Postgres { "OVERRIDING SYSTEM VALUE " } else { "" };
            let (columns, values) = (columns.join(", "), values.join(", "));
            db.raw(&format!("INSERT INTO {table} ({columns}) {given}VALUES ({values})")).await;
        }
    }
    if db.kind() == Kind::Postgres {
        // The sequence goes on after them, as it did.
        db.raw("SELECT setval('api_token_changes_id_seq', (SELECT max(id) FROM api_token_changes))").await;
    }
}

async fn service(db: &Database, stored: &Value) -> Tokens {
    let scope = |name| ScopeDef { name, says: "s", group: "g", risk: Risk::Low, implies: &[] };
    let (tokens, _) = Tokens::builder(db.store().await)
        .prefix("first")
        .keyring(Keyring::parse(stored["keys"].as_str().unwrap()).unwrap())
        .catalog([scope("projects:read"), scope("projects:write")])
        .clock(Arc::new(ManualClock::at(stored["now"].as_str().unwrap().parse().unwrap())))
        .build()
        .await
        .unwrap();
    tokens
}

async fn what_the_first_version_stored_is_there_and_works(db: &Database) {
    let stored: Value = serde_json::from_str(STORED).unwrap();
    migrate_as_then(db).await;
    fill(db, &stored).await;

    let tokens = service(db, &stored).await;
    let admin = Actor::admin(ActorId::new("root").unwrap(), Ceiling::Everything);
    let manage = tokens.manage(&admin);
    for told in stored["texts"].as_array().unwrap() {
        let caller = Caller::at("10.0.0.1".parse().unwrap());
        let text = told["text"].as_str().unwrap().as_bytes();
        let verified = tokens.authenticate(Ok(Credential::Borrowed(text)), caller).await;
        let answer = verified.map_or_else(|refusal| format!("{:?}", refusal.reason()), |_| "ok".to_owned());
        assert_eq!(answer, told["answer"].as_str().unwrap(), "{}", told["what"]);
    }
    let page = manage.list(None, ListFilter::Any, None, Position::Created(None), 100).await.unwrap();
    assert_eq!(page.tokens.len(), stored["tables"]["api_tokens"].as_array().unwrap().len());
    let owner = |name: &str| Subject::Owner(OwnerId::new(name).unwrap());
    let mut subjects = vec![owner("ann"), owner("bob"), Subject::Policy];
    subjects.extend(page.tokens.iter().map(|listed| Subject::Token(listed.token.id)));
    for subject in subjects {
        assert!(matches!(manage.verify_history(&subject).await.unwrap(), History::Intact { .. }), "{subject}");
    }
    let used = page.tokens.iter().find(|listed| listed.token.name.as_str() == "used").unwrap().token.id;
    let usage = manage.usage(used, "2026-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    assert_eq!(usage.hours.iter().map(|hour| hour.count).sum::<u64>(), 3);

    // And it goes on from there.
    let edit = Edit { name: Some(TokenName::new("renamed").unwrap()), ..Edit::default() };
    manage.edit(used, &edit).await.unwrap();
    let history = manage.verify_history(&Subject::Token(used)).await.unwrap();
    assert!(matches!(history, History::Intact { events: 2 }), "{history:?}");
}

async fn a_migration_that_was_cut_off_is_done_again(db: &Database) {
    drop(db.store().await);
    if db.kind() == Kind::MySql {
        // Where tables are made outside of transactions, half of them are left.
        db.raw(
            "UPDATE api_tokens_migrations SET success = FALSE WHERE version = 1; \
             DELETE FROM api_tokens_migrations WHERE version > 1; \
             DROP TABLE api_token_meta, api_token_refusals, api_token_secrets",
        )
        .await;
    } else {
        // Where they are made inside of one, none.
        db.raw("DELETE FROM api_tokens_migrations WHERE version = 2; DELETE FROM api_token_meta").await;
    }
    drop(db.store().await);
    assert_eq!(db.count("SELECT count(*) FROM api_token_meta").await, 1);
    let migrations = if db.kind() == Kind::Postgres { 5 } else { 3 };
    assert_eq!(db.count("SELECT count(*) FROM api_tokens_migrations WHERE success = TRUE").await, migrations);
}
