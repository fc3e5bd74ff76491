//! Rows that were changed behind the application's back, bit by bit, on a real SQLite file: refused or named, never believed.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};
use token_core::{
    Actor, ActorId, Background, Caller, Ceiling, Credential, Grant, Grants, History, Keyring, ManageError, ManualClock,
    Minted, Networks, NewToken, OwnerId, Policy, Reason, Risk, Rotation, ScopeDef, Subject, TokenName, Tokens,
};
use token_store_sqlx::SqlStore;

use crate::database::Database;

struct Service {
    file: Database,
    keys: String,
    clock: Arc<ManualClock>,
    tokens: Tokens,
    _background: Background,
    owner: Actor,
    admin: Actor,
    old: Minted,
    new: Minted,
}

/// How long what was read may go on being served.
const BOUND: Duration = Duration::from_millis(100);

async fn build(store: SqlStore, keys: &str, clock: &Arc<ManualClock>) -> (Tokens, Background) {
    let scope = |name| ScopeDef { name, says: "s", group: "g", risk: Risk::Low, implies: &[] };
    Tokens::builder(store)
        .prefix("test")
        .keyring(Keyring::parse(keys).unwrap())
        .catalog([scope("projects:read"), scope("projects:write")])
        .clock(clock.clone())
        .max_staleness(BOUND)
        .build()
        .await
        .unwrap()
}

/// A token with something in every column that may hold something, rotated once, with both its values working.
async fn service() -> Service {
    let file = Database::sqlite().await;
    let store = file.store().await;
    let keys = Keyring::generate("k1").unwrap().to_string();
    let clock = Arc::new(ManualClock::at("2027-01-31T12:00:00Z".parse().unwrap()));
    let (tokens, background) = build(store, &keys, &clock).await;
    let owner = Actor::owner(ActorId::new("ann").unwrap(), OwnerId::new("ann").unwrap(), Ceiling::Everything);
    let admin = Actor::admin(ActorId::new("root").unwrap(), Ceiling::Everything);
    let grants = Grants::new([Grant::all("projects:read").unwrap()]).unwrap();
    let request = NewToken {
        networks: Some(Networks::parse(["127.0.0.0/8"]).unwrap()),
        ..NewToken::new(TokenName::new("tampered").unwrap(), grants)
    };
    let old = tokens.manage(&owner).create(&request).await.unwrap();
    let new = tokens.manage(&owner).rotate(old.token.id, &Rotation::default()).await.unwrap();
    Service { file, keys, clock, tokens, _background: background, owner, admin, old, new }
}

impl Service {
    /// The service as another process starts it on the same file.
    async fn restart(&self) -> Tokens {
        build(self.file.store().await, &self.keys, &self.clock).await.0
    }

    async fn database(&self) -> SqliteConnection {
        let options: SqliteConnectOptions = self.file.url().parse().unwrap();
        // Whoever writes past the application does not keep to its constraints either.
        options
            .pragma("ignore_check_constraints", "ON")
            .foreign_keys(false)
            .synchronous(SqliteSynchronous::Off)
            .connect()
            .await
            .unwrap()
    }

    /// What is answered once the service has to look.
    async fn verify(&self, minted: &Minted) -> Result<(), Reason> {
        self.clock.advance(BOUND);
        let text = minted.text.as_ref().unwrap().expose_secret().as_bytes();
        let caller = Caller::at("127.0.0.1".parse().unwrap());
        let verified = self.tokens.authenticate(Ok(Credential::Borrowed(text)), caller).await;
        verified.map(drop).map_err(|refusal| refusal.reason())
    }

    async fn history(&self) -> Result<History, ManageError> {
        self.tokens.manage(&self.admin).verify_history(&Subject::Token(self.old.token.id)).await
    }
}

/// A value of a column, and every value that differs from it in one bit.
#[derive(Clone, Debug)]
enum Stored {
    Null,
    Integer(i64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Stored {
    fn flipped(&self) -> Vec<Stored> {
        let bits = |bytes: &[u8], bits: usize| -> Vec<Vec<u8>> {
            let flip = |at: usize| {
                let mut bytes = bytes.to_vec();
                bytes[at / bits] ^= 1 << (at % bits);
                bytes
            };
            (0..bytes.len() * bits).map(flip).collect()
        };
        match self {
            Stored::Null => vec![Stored::Integer(1)],
            Stored::Integer(number) => (0..63).map(|bit| Stored::Integer(number ^ (1 << bit))).collect(),
            // Seven bits: the text stays text, so that it is not the decoder that refuses it.
            Stored::Text(bytes) => bits(bytes, 7).into_iter().map(Stored::Text).collect(),
            Stored::Blob(bytes) => bits(bytes, 8).into_iter().map(Stored::Blob).collect(),
        }
    }

    fn sql(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match self {
            Stored::Null => "NULL".into(),
            Stored::Integer(number) => number.to_string(),
            Stored::Text(bytes) => format!("CAST(x'{}' AS TEXT)", hex(bytes)),
            Stored::Blob(bytes) => format!("x'{}'", hex(bytes)),
        }
    }
}

async fn columns(database: &mut SqliteConnection, table: &str) -> Vec<String> {
    let sql = format!("SELECT name FROM pragma_table_info('{table}')");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(database).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn read(database: &mut SqliteConnection, table: &str, column: &str, row: &str) -> Stored {
    let sql = format!("SELECT typeof({column}), {column}, CAST({column} AS BLOB) FROM {table} WHERE {row}");
    let found = sqlx::query(AssertSqlSafe(sql)).fetch_one(database).await.unwrap();
    match found.get::<String, _>(0).as_str() {
        "null" => Stored::Null,
        "integer" => Stored::Integer(found.get(1)),
        "text" => Stored::Text(found.get(2)),
        "blob" => Stored::Blob(found.get(2)),
        other => panic!("{table}.{column} is {other}"),
    }
}

/// Writes one column of one row, found by its place: its key may be what is changed.
async fn write(
    database: &mut SqliteConnection,
    table: &str,
    column: &str,
    before: &Stored,
    after: &Stored,
    row: &str,
) -> bool {
    let found = if row.contains(column) { format!("{column} IS {}", before.sql()) } else { row.to_owned() };
    let sql = format!("UPDATE {table} SET {column} = {} WHERE {found}", after.sql());
    // A type that the table is too strict for can't be written even so.
    sqlx::query(AssertSqlSafe(sql)).execute(database).await.is_ok_and(|done| done.rows_affected() == 1)
}

async fn every_bit(service: &Service, table: &str, row: &str, but: &[&str]) -> u32 {
    let mut database = service.database().await;
    let mut tampered = 0;
    for column in columns(&mut database, table).await {
        if but.contains(&column.as_str()) {
            continue;
        }
        let good = read(&mut database, table, &column, row).await;
        for bad in good.flipped() {
            if !write(&mut database, table, &column, &good, &bad, row).await {
                continue;
            }
            tampered += 1;
            let seen = service.verify(&service.new).await;
            assert!(seen.is_err(), "{table}.{column} as {bad:?} was believed");
            assert!(write(&mut database, table, &column, &bad, &good, row).await, "{table}.{column} was not put back");
        }
    }
    assert_eq!(service.verify(&service.new).await, Ok(()), "the row that was put back is good again");
    tampered
}

#[tokio::test]
async fn a_changed_bit_in_a_token_an_owner_or_a_secret_is_refused() {
    let service = service().await;
    assert_eq!((service.verify(&service.old).await, service.verify(&service.new).await), (Ok(()), Ok(())));
    let tampered = every_bit(&service, "api_tokens", "1 = 1", &[]).await;
    assert!(tampered > 1800, "{tampered}");
    let tampered = every_bit(&service, "api_token_owners", "1 = 1", &["touched"]).await;
    assert!(tampered > 600, "{tampered}");
    // The scheme has one value that is known; the others can't be read.
    let tampered = every_bit(&service, "api_token_secrets", "generation = 2", &[]).await;
    assert!(tampered > 500, "{tampered}");
}

#[tokio::test]
async fn a_secret_moved_to_another_token_or_generation_is_worthless() {
    let service = service().await;
    let mut database = service.database().await;
    let other = NewToken::new(TokenName::new("other").unwrap(), Grants::default());
    let other = service.tokens.manage(&service.owner).create(&other).await.unwrap();
    // The digest of a secret that the thief knows, put where the other token's is.
    sqlx::query(
        "UPDATE api_token_secrets SET digest = (SELECT digest FROM api_token_secrets WHERE selector = ?) WHERE token = ?",
    )
    .bind(service.new.token.current.selector.as_bytes().as_slice())
    .bind(other.token.id.as_bytes().as_slice())
    .execute(&mut database)
    .await
    .unwrap();
    assert_eq!(service.verify(&other).await, Err(Reason::WrongVerifier));
    sqlx::query("UPDATE api_token_secrets SET generation = generation + 10 WHERE selector = ?")
        .bind(service.new.token.current.selector.as_bytes().as_slice())
        .execute(&mut database)
        .await
        .unwrap();
    assert_eq!(service.verify(&service.new).await, Err(Reason::WrongVerifier));
}

#[tokio::test]
async fn a_changed_bit_in_an_event_is_named() {
    let service = service().await;
    let events = History::Intact { events: 2 };
    assert_eq!(service.history().await.unwrap(), events);
    let mut database = service.database().await;
    let mut tampered = 0;
    for seq in [1, 2] {
        let row = format!("seq = {seq} AND subject LIKE 'token:%'");
        for column in columns(&mut database, "api_token_events").await {
            let good = read(&mut database, "api_token_events", &column, &row).await;
            for bad in good.flipped() {
                let change = format!("UPDATE api_token_events SET {column} = {} WHERE rowid = {seq}", bad.sql());
                let Ok(done) = sqlx::query(AssertSqlSafe(change)).execute(&mut database).await else { continue };
                assert_eq!(done.rows_affected(), 1);
                tampered += 1;
                match service.history().await {
                    Ok(History::Broken { seq: named }) => assert!(named <= seq, "{column} of {seq}: named {named}"),
                    // What can't even be read is named by the store.
                    Err(ManageError::Store(_)) => {}
                    other => panic!("{column} of event {seq} as {bad:?}: {other:?}"),
                }
                let back = format!("UPDATE api_token_events SET {column} = {} WHERE rowid = {seq}", good.sql());
                sqlx::query(AssertSqlSafe(back)).execute(&mut database).await.unwrap();
            }
        }
    }
    assert!(tampered > 4000, "{tampered}");
    assert_eq!(service.history().await.unwrap(), events);
}

#[tokio::test]
async fn a_history_that_was_forged_with_care_is_named_all_the_same() {
    use sha2::{Digest, Sha256};

    let service = service().await;
    let manage = service.tokens.manage(&service.admin);
    let subject = Subject::Token(service.old.token.id);
    let mut last = manage.events(&subject, 1, 1).await.unwrap().remove(0);
    // The chain has no key: whoever knows the encoding can link an event to it. The sealed row knows where it ends.
    let mut encoded = Vec::new();
    let mut field = |bytes: &[u8]| {
        encoded.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
        encoded.extend(bytes);
    };
    last.seq += 1;
    field(b"api-tokens/event/v1");
    field(subject.to_string().as_bytes());
    field(&last.seq.to_be_bytes());
    field(&[1]);
    field(b"ann");
    field(&last.at.as_micros().to_be_bytes());
    field(last.actor.as_str().as_bytes());
    field(last.body.as_bytes());
    let hash = Sha256::new().chain_update(last.hash.as_bytes()).chain_update(&encoded).finalize();
    sqlx::query(
        "INSERT INTO api_token_events SELECT subject, 3, owner, at, actor, body, ? FROM api_token_events WHERE seq = 2",
    )
    .bind(hash.as_slice())
    .execute(&mut service.database().await)
    .await
    .unwrap();
    assert_eq!(service.history().await.unwrap(), History::Broken { seq: 3 });
    service.tokens.manage(&service.owner).revoke(service.old.token.id).await.unwrap();
    assert_eq!(service.verify(&service.new).await, Err(Reason::Revoked));
    let still = service.history().await.unwrap();
    assert!(matches!(still, History::Broken { .. }), "laundered by the revocation: {still:?}");
}

#[tokio::test]
async fn a_missing_or_forged_event_is_named_and_does_not_protect_a_token_from_revocation() {
    for forge in [
        "DELETE FROM api_token_events WHERE seq = 2",
        "DELETE FROM api_token_events WHERE seq = 1",
        "INSERT INTO api_token_events SELECT subject, 3, owner, at, actor, body, hash FROM api_token_events WHERE seq = 2",
        "UPDATE api_tokens SET grants = '[{\"scope\":\"projects:write\",\"resources\":\"all\"}]'",
        "UPDATE api_tokens SET head_seq = 9223372036854775807",
        "UPDATE api_tokens SET revoked_at = 1",
        "INSERT INTO api_token_events SELECT subject, 9223372036854775807, owner, at, actor, body, hash FROM api_token_events WHERE seq = 2",
        "INSERT INTO api_token_events SELECT subject, 3, '', at, actor, body, hash FROM api_token_events WHERE seq = 2",
    ] {
        let service = service().await;
        sqlx::query(forge).execute(&mut service.database().await).await.unwrap();
        let intact = matches!(service.history().await, Ok(History::Intact { .. }));
        assert!(!intact, "{forge}: not noticed");
        let revoked = service.tokens.manage(&service.owner).revoke(service.old.token.id).await.unwrap();
        assert!(revoked.revoked_at.is_some());
        assert_eq!(service.verify(&service.new).await, Err(Reason::Revoked), "{forge}");
        assert_eq!(service.verify(&service.old).await, Err(Reason::Revoked), "{forge}");
        let still = service.history().await;
        assert!(!matches!(still, Ok(History::Intact { .. })), "{forge}: laundered by the revocation: {still:?}");
    }
}

#[tokio::test]
async fn an_admin_reseals_a_row_and_the_log_says_so() {
    let service = service().await;
    let id = service.new.token.id;
    let manage = service.tokens.manage(&service.admin);
    assert!(matches!(manage.reseal(id).await, Err(ManageError::SealInOrder)));
    let tamper = "UPDATE api_tokens SET name = 'renamed by hand'";
    sqlx::query(tamper).execute(&mut service.database().await).await.unwrap();
    assert_eq!(service.verify(&service.new).await, Err(Reason::BrokenSeal));
    assert!(matches!(service.tokens.manage(&service.owner).reseal(id).await, Err(ManageError::Forbidden)));
    assert!(matches!(
        service.tokens.manage(&service.owner).rotate(id, &Rotation::default()).await,
        Err(ManageError::BrokenSeal(_))
    ));
    manage.reseal(id).await.unwrap();
    assert_eq!(service.verify(&service.new).await, Ok(()));
    assert_eq!(service.history().await.unwrap(), History::Intact { events: 3 });

    let owner = OwnerId::new("ann").unwrap();
    let tamper = "UPDATE api_token_owners SET head_at = head_at + 1";
    sqlx::query(tamper).execute(&mut service.database().await).await.unwrap();
    assert_eq!(service.verify(&service.new).await, Err(Reason::BrokenSeal));
    manage.reseal_owner(&owner).await.unwrap();
    assert_eq!(service.verify(&service.new).await, Ok(()));
}

#[tokio::test]
async fn an_admin_vouches_for_no_more_than_it_holds_and_for_nothing_that_was_revoked() {
    let service = service().await;
    let id = service.new.token.id;
    let narrow = Grants::new([Grant::all("projects:read").unwrap()]).unwrap();
    let limited = Actor::admin(ActorId::new("limited").unwrap(), Ceiling::Only(narrow));
    let widen = "UPDATE api_tokens SET grants = '[{\"scope\":\"projects:write\",\"resources\":\"all\"}]'";
    sqlx::query(widen).execute(&mut service.database().await).await.unwrap();
    let refused = service.tokens.manage(&limited).reseal(id).await;
    assert!(matches!(refused, Err(ManageError::ExceedsRights(_))), "{refused:?}");

    let manage = service.tokens.manage(&service.admin);
    manage.revoke(id).await.unwrap();
    let revive = "UPDATE api_tokens SET revoked_at = NULL";
    sqlx::query(revive).execute(&mut service.database().await).await.unwrap();
    assert_eq!(service.verify(&service.new).await, Err(Reason::BrokenSeal));
    assert!(matches!(manage.reseal(id).await, Err(ManageError::HistoryDisagrees)));
    manage.revoke(id).await.unwrap();
    assert_eq!(service.verify(&service.new).await, Err(Reason::Revoked));

    let owner = OwnerId::new("ann").unwrap();
    manage.suspend(&owner).await.unwrap();
    let resume = "UPDATE api_token_owners SET suspended_at = NULL";
    sqlx::query(resume).execute(&mut service.database().await).await.unwrap();
    assert!(matches!(manage.reseal_owner(&owner).await, Err(ManageError::HistoryDisagrees)));
    assert!(manage.suspend(&owner).await.unwrap().suspended_at.is_some());
}

#[tokio::test]
async fn a_policy_that_was_tampered_with_is_refused_until_an_admin_sets_one() {
    let service = service().await;
    let tamper = "UPDATE api_token_meta SET value = CAST(replace(CAST(value AS TEXT), '\"never_expires\":false', \
                  '\"never_expires\":true') AS BLOB) WHERE name = 'policy'";
    assert_eq!(sqlx::query(tamper).execute(&mut service.database().await).await.unwrap().rows_affected(), 1);
    let request = NewToken::new(TokenName::new("another").unwrap(), Grants::default());
    let refused = service.tokens.manage(&service.owner).create(&request).await;
    assert!(matches!(refused, Err(ManageError::BrokenSeal(_))), "{refused:?}");
    let manage = service.tokens.manage(&service.admin);
    assert!(matches!(manage.verify_history(&Subject::Policy).await, Err(ManageError::BrokenSeal(_))));
    manage.set_policy(&Policy::default()).await.unwrap();
    assert!(service.tokens.manage(&service.owner).create(&request).await.is_ok());
    assert!(matches!(manage.verify_history(&Subject::Policy).await.unwrap(), History::Broken { seq: 1 }));
}

#[tokio::test]
async fn deleting_the_row_of_a_suspended_owner_does_not_end_the_suspension() {
    for delete in [
        &["DELETE FROM api_token_owners"][..],
        &["DELETE FROM api_token_owners", "DELETE FROM api_token_events WHERE subject LIKE 'owner:%'"],
    ] {
        let service = service().await;
        let ann = OwnerId::new("ann").unwrap();
        let admin = service.tokens.manage(&service.admin);
        admin.suspend(&ann).await.unwrap();
        for statement in delete {
            sqlx::query(*statement).execute(&mut service.database().await).await.unwrap();
        }
        assert_eq!(service.verify(&service.new).await, Err(Reason::OwnerMissing));
        let request = NewToken::new(TokenName::new("another").unwrap(), Grants::default());
        let refused = service.tokens.manage(&service.owner).create(&request).await;
        assert!(matches!(refused, Err(ManageError::HistoryDisagrees)), "{refused:?}");
        assert_eq!(service.verify(&service.new).await, Err(Reason::OwnerMissing));
        // An admin puts it right, knowingly.
        assert!(admin.suspend(&ann).await.unwrap().suspended_at.is_some());
        assert_eq!(service.verify(&service.new).await, Err(Reason::OwnerSuspended));
        admin.resume(&ann).await.unwrap();
        assert_eq!(service.verify(&service.new).await, Ok(()));
    }
}

#[tokio::test]
async fn a_policy_that_was_taken_away_or_made_unreadable_stops_making_until_an_admin_sets_one() {
    for tamper in [
        "DELETE FROM api_token_meta WHERE name = 'policy'",
        "UPDATE api_token_meta SET value = x'00' WHERE name = 'policy'",
    ] {
        let service = service().await;
        let admin = service.tokens.manage(&service.admin);
        let strict = Policy { live_tokens_per_owner: 2, ..Policy::default() };
        admin.set_policy(&strict).await.unwrap();
        sqlx::query(tamper).execute(&mut service.database().await).await.unwrap();
        let request = NewToken::new(TokenName::new("another").unwrap(), Grants::default());
        // Now, and after a restart, which must not fall back to the policy that the host began with.
        let restarted = service.restart().await;
        for tokens in [&service.tokens, &restarted] {
            let refused = tokens.manage(&service.owner).create(&request).await;
            assert!(matches!(refused, Err(ManageError::BrokenSeal(_))), "{refused:?}");
        }
        assert_eq!(service.verify(&service.new).await, Ok(()), "what exists works on");
        restarted.manage(&service.admin).set_policy(&strict).await.unwrap();
        assert_eq!(admin.policy().await.unwrap(), strict);
        assert!(service.tokens.manage(&service.owner).create(&request).await.is_ok());
        assert!(matches!(admin.verify_history(&Subject::Policy).await.unwrap(), History::Broken { .. }));
    }
}

#[tokio::test]
async fn a_forged_event_blocks_no_change_and_stays_named() {
    let service = service().await;
    let forge = "INSERT INTO api_token_events SELECT subject, 3, owner, at, actor, body, hash FROM api_token_events WHERE seq = 2";
    sqlx::query(forge).execute(&mut service.database().await).await.unwrap();
    let manage = service.tokens.manage(&service.owner);
    let id = service.new.token.id;
    manage.end_overlap(id).await.unwrap();
    let next = manage.rotate(id, &Rotation::default()).await.unwrap();
    assert_eq!(service.verify(&next).await, Ok(()));
    assert!(matches!(service.history().await.unwrap(), History::Broken { seq: 3 }));

    let ann = OwnerId::new("ann").unwrap();
    let admin = service.tokens.manage(&service.admin);
    admin.suspend(&ann).await.unwrap();
    let forge = "INSERT INTO api_token_events SELECT subject, 2, owner, at, actor, body, hash FROM api_token_events WHERE subject LIKE 'owner:%'";
    sqlx::query(forge).execute(&mut service.database().await).await.unwrap();
    admin.resume(&ann).await.unwrap();
    assert_eq!(service.verify(&next).await, Ok(()));
}

#[tokio::test]
async fn a_resealed_row_does_not_keep_a_time_that_was_forged() {
    let service = service().await;
    let forge = "UPDATE api_tokens SET head_at = 253000000000000000";
    sqlx::query(forge).execute(&mut service.database().await).await.unwrap();
    service.tokens.manage(&service.admin).reseal(service.new.token.id).await.unwrap();
    assert_eq!(service.verify(&service.new).await, Ok(()));
}
