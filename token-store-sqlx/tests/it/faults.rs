//! What goes wrong is named by its kind.

use std::error::Error;
use std::time::Duration;

use token_core::{Fault, StoreError, Subject, TokenStore};

use crate::database::{Database, Kind, on_every_database};
use crate::sample::*;

on_every_database! {
    a_column_that_can_not_be_read_is_named,
    a_change_whose_event_is_gone_is_no_empty_answer,
    an_owner_whose_row_is_gone_is_told_as_missing,
}

/// Everything that an error and its causes say.
pub(crate) fn whole(error: &StoreError) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

async fn a_column_that_can_not_be_read_is_named(db: &Database) {
    let store = db.store().await;
    let short = format!("UPDATE api_tokens SET seal = {}", db.bytes(&[0]));
    let (before_1970, later) = match db.kind() {
        Kind::Sqlite => ("-1", "1"),
        Kind::Postgres | Kind::MySql => ("'1969-12-31 23:59:59'", "'1970-01-02 00:00:00'"),
    };
    let (expires, overlap) = (
        format!("UPDATE api_tokens SET expires_at = {before_1970}"),
        format!("UPDATE api_tokens SET old_until = {later}"),
    );
    let beyond: &[&str] = match db.kind() {
        Kind::Postgres => &["'infinity'", "'-infinity'", "'10000-01-01'", "'294276-12-31'"],
        Kind::Sqlite => &["9223372036854775807"],
        Kind::MySql => &[],
    };
    for time in beyond {
        let name = format!("UPDATE api_tokens SET expires_at = {time}; UPDATE api_token_events SET at = {time}");
        store.commit(&create_first(token(1, "ann"))).await.unwrap();
        db.raw(&name).await;
        assert_eq!(store.load(&[selector(1, 1)]).await.unwrap_err().fault(), Fault::Corrupt, "{time}");
        assert!(store.claim(at(100), Duration::from_secs(1), 10).await.unwrap().is_empty());
        empty(db).await;
    }
    let cases = [
        ("grants", "UPDATE api_tokens SET grants = '{'"),
        ("networks", "UPDATE api_tokens SET networks = '[]'"),
        ("expires_at", &expires),
        ("name", "UPDATE api_tokens SET name = '\n'"),
        ("seal", &short),
        ("revision", "UPDATE api_tokens SET revision = -1"),
        ("old_generation", &overlap),
        ("scheme", "UPDATE api_token_secrets SET scheme = 77"),
        ("owner_seal_key", "UPDATE api_token_owners SET seal_key = ''"),
    ];
    for (column, sql) in cases {
        if column == "seal" && db.kind() == Kind::MySql {
            // The column's width is fixed there.
            continue;
        }
        empty(db).await;
        store.commit(&create_first(token(1, "ann"))).await.unwrap();
        db.raw_unchecked(sql).await;
        let error = store.load(&[selector(1, 1)]).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Corrupt, "{column}");
        assert!(whole(&error).contains(&format!("column {column} can't be read")), "{}", whole(&error));
    }
}

async fn empty(db: &Database) {
    db.raw(
        "DELETE FROM api_token_secrets; DELETE FROM api_tokens; DELETE FROM api_token_owners;
         DELETE FROM api_token_events; DELETE FROM api_token_changes;",
    )
    .await;
}

async fn a_change_whose_event_is_gone_is_no_empty_answer(db: &Database) {
    let store = db.store().await;
    let change = create_first(token(1, "ann"));
    store.commit(&change).await.unwrap();
    db.raw("DELETE FROM api_token_events").await;
    assert_eq!(store.outcome(&change.id).await.unwrap_err().fault(), Fault::Corrupt);
    assert!(store.events(&Subject::Token(id(1)), 0, 10).await.unwrap().is_empty());
}

async fn an_owner_whose_row_is_gone_is_told_as_missing(db: &Database) {
    let store = db.store().await;
    store.commit(&create_first(token(1, "ann"))).await.unwrap();
    db.raw_unchecked("DELETE FROM api_token_owners").await;
    assert!(store.load(&[selector(1, 1)]).await.unwrap()[0].owner.is_none());
}
