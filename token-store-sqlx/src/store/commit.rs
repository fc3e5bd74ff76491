//! One change: its rows, its event and its id, all or nothing.

use async_trait::async_trait;
use token_core::{
    Change, Committed, Event, LongerLife, Owner, OwnerGuard, OwnerId, Sealed, Secret, Standing, StoreError, Subject,
    Time, Token, Write,
};

use super::SqlStore;
use super::list::live;
use super::read::{FACT, OUTCOME, fact};
use super::work::{End, Work};
use crate::dialect::Session;
use crate::error::{BadColumn, Failure};
use crate::rows::{self, OWNER_STATE, TOKEN_STATE};
use crate::value::{number, values};

impl SqlStore {
    pub(super) async fn commit_change(&self, change: &Change) -> Result<Committed, StoreError> {
        match self.transact(&Commit(change)).await? {
            Committed::Done => {
                self.bell.notify_waiters();
                Ok(Committed::Done)
            }
            // What was in the way may have been this very change, sent twice.
            refused @ (Committed::Conflict | Committed::CapReached) => {
                Ok(self.outcome_of(&change.id).await?.map_or(refused, Committed::Repeat))
            }
            repeat => Ok(repeat),
        }
    }
}

struct Commit<'a>(&'a Change);

/// Why a change is not written.
enum Stop {
    Conflict,
    CapReached,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        match failure {
            // A selector, an id, an owner, a fact or an event that exists already.
            Failure::Duplicate(_) => Stop::Conflict,
            failure => Stop::Failed(failure),
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Failed(error.into())
    }
}

impl From<BadColumn> for Stop {
    fn from(error: BadColumn) -> Stop {
        Stop::Failed(error.into())
    }
}

/// A guarded write that finds no row has lost a race.
fn found(rows: u64) -> Result<(), Stop> {
    if rows == 1 { Ok(()) } else { Err(Stop::Conflict) }
}

#[async_trait]
impl Work for Commit<'_> {
    type Done = Committed;

    async fn run(&self, session: &mut dyn Session) -> Result<End<Committed>, Failure> {
        let Commit(change) = self;
        let stored = session.query(OUTCOME.into(), &values![change.id.as_bytes()]).await?;
        if let Some(row) = stored.first() {
            return Ok(End::Undo(Committed::Repeat(rows::outcome(&**row)?)));
        }
        match write(session, change).await {
            Ok(()) => Ok(End::Keep(Committed::Done)),
            Err(Stop::Conflict) => Ok(End::Undo(Committed::Conflict)),
            Err(Stop::CapReached) => Ok(End::Undo(Committed::CapReached)),
            Err(Stop::Failed(failure)) => Err(failure),
        }
    }
}

async fn write(session: &mut dyn Session, change: &Change) -> Result<(), Stop> {
    match &change.write {
        Write::CreateToken { token, secret, owner, cap, now } => {
            // The owner's row first: from here on, other creations and a suspension of this owner come after.
            match owner {
                OwnerGuard::New(owner) => insert_owner(session, owner).await?,
                OwnerGuard::At { owner, revision } => touch_owner(session, owner, *revision).await?,
            }
            below_cap(session, token.unverified(), *cap, *now).await?;
            insert_token(session, token).await?;
            insert_secret(session, secret).await?;
        }
        Write::UpdateToken { token, secret, longer } => {
            if longer.is_some() {
                take_owner(session, &token.unverified().owner).await?;
            }
            update_token(session, token).await?;
            if let Some(LongerLife { cap, now }) = longer {
                below_cap(session, token.unverified(), *cap, *now).await?;
            }
            if let Some(secret) = secret {
                insert_secret(session, secret).await?;
            }
        }
        Write::PutOwner { owner, expected: None } => insert_owner(session, owner).await?,
        Write::PutOwner { owner, expected: Some(revision) } => update_owner(session, owner, *revision).await?,
        Write::PutMeta { key, expected: None, value } => insert_fact(session, key, value).await?,
        Write::PutMeta { key, expected: Some(expected), value } => {
            let sql = "UPDATE api_token_meta SET value = ? WHERE name = ? AND value = ?";
            let values = values![value.as_slice(), key.as_str(), expected.as_slice()];
            found(session.execute(sql.into(), &values).await?)?;
        }
        Write::Nothing(standing) => {
            stand(session, standing).await?;
            // The event is stored, and told to whom it concerns.
            return log(session, change, Some(change.event.at)).await;
        }
    }
    append(session, &change.event).await?;
    log(session, change, None).await
}

/// The row must be as it was read, and stay so until the end: written as it is, it is locked on every database.
async fn stand(session: &mut dyn Session, standing: &Standing) -> Result<(), Stop> {
    let (sql, values) = match standing {
        Standing::Token { id, revision } => {
            let sql = "UPDATE api_tokens SET revision = revision WHERE id = ? AND revision = ?";
            (sql, values![*id, number(*revision)?])
        }
        Standing::Owner { id, revision } => {
            let sql = "UPDATE api_token_owners SET revision = revision WHERE owner = ? AND revision = ?";
            (sql, values![id.as_str(), number(*revision)?])
        }
        Standing::Meta { key, value } => {
            let sql = "UPDATE api_token_meta SET value = value WHERE name = ? AND value = ?";
            (sql, values![key.as_str(), value.as_slice()])
        }
    };
    found(session.execute(sql.into(), &values).await?)
}

async fn insert_owner(session: &mut dyn Session, owner: &Sealed<Owner>) -> Result<(), Stop> {
    let sql =
        format!("INSERT INTO api_token_owners (owner, {}) VALUES (?{})", OWNER_STATE.join(", "), marks(OWNER_STATE));
    let mut values = Vec::from(values![owner.unverified().id.as_str()]);
    values.extend(rows::owner_state(owner)?);
    found(session.execute(sql.into(), &values).await?)
}

async fn update_owner(session: &mut dyn Session, owner: &Sealed<Owner>, expected: u64) -> Result<(), Stop> {
    let sql =
        format!("UPDATE api_token_owners SET {} = ? WHERE owner = ? AND revision = ?", OWNER_STATE.join(" = ?, "));
    let mut values = rows::owner_state(owner)?;
    values.extend(values![owner.unverified().id.as_str(), number(expected)?]);
    found(session.execute(sql.into(), &values).await?)
}

async fn touch_owner(session: &mut dyn Session, owner: &OwnerId, revision: u64) -> Result<(), Stop> {
    let sql = "UPDATE api_token_owners SET touched = touched + 1 WHERE owner = ? AND revision = ?";
    found(session.execute(sql.into(), &values![owner.as_str(), number(revision)?]).await?)
}

/// As [`touch_owner`], however the owner stands; one whose row is gone has nobody to collide with.
async fn take_owner(session: &mut dyn Session, owner: &OwnerId) -> Result<(), Stop> {
    let sql = "UPDATE api_token_owners SET touched = touched + 1 WHERE owner = ?";
    session.execute(sql.into(), &values![owner.as_str()]).await?;
    Ok(())
}

/// The token's owner has fewer other tokens that are live.
async fn below_cap(session: &mut dyn Session, token: &Token, cap: u32, now: Time) -> Result<(), Stop> {
    // Counts no further than it needs to.
    let sql = concat!(
        "SELECT count(*) AS live FROM (SELECT 1 AS one FROM api_tokens WHERE owner = ? AND id <> ? AND ",
        live!(),
        " LIMIT ?) AS few"
    );
    let rows = session.query(sql.into(), &values![token.owner.as_str(), token.id, now, cap]).await?;
    let live = rows.first().map_or(Ok(0), |row| row.need_int("live"))?;
    if live < i64::from(cap) { Ok(()) } else { Err(Stop::CapReached) }
}

async fn insert_token(session: &mut dyn Session, sealed: &Sealed<Token>) -> Result<(), Stop> {
    let token = sealed.unverified();
    let sql = format!(
        "INSERT INTO api_tokens (id, owner, created_at, created_by, {}) VALUES (?, ?, ?, ?{})",
        TOKEN_STATE.join(", "),
        marks(TOKEN_STATE)
    );
    let mut values = Vec::from(values![token.id, token.owner.as_str(), token.created_at, token.created_by.as_str()]);
    values.extend(rows::token_state(sealed)?);
    found(session.execute(sql.into(), &values).await?)
}

async fn update_token(session: &mut dyn Session, sealed: &Sealed<Token>) -> Result<(), Stop> {
    let token = sealed.unverified();
    let before = token.revision.checked_sub(1).ok_or(Stop::Conflict)?;
    let sql = format!("UPDATE api_tokens SET {} = ? WHERE id = ? AND revision = ?", TOKEN_STATE.join(" = ?, "));
    let mut values = rows::token_state(sealed)?;
    values.extend(values![token.id, number(before)?]);
    found(session.execute(sql.into(), &values).await?)
}

async fn insert_secret(session: &mut dyn Session, secret: &Secret) -> Result<(), Stop> {
    let sql =
        "INSERT INTO api_token_secrets (selector, token, generation, scheme, digest, key_id) VALUES (?, ?, ?, ?, ?, ?)";
    let values = values![
        secret.selector.as_bytes(),
        secret.token,
        secret.generation.number(),
        u32::from(secret.scheme.code()),
        secret.digest.as_bytes(),
        secret.key.as_str(),
    ];
    found(session.execute(sql.into(), &values).await?)
}

async fn insert_fact(session: &mut dyn Session, key: &str, value: &[u8]) -> Result<(), Failure> {
    let sql = "INSERT INTO api_token_meta (name, value) VALUES (?, ?)";
    session.execute(sql.into(), &values![key, value]).await.map(|_| ())
}

/// The event. One of its number that is there already is a duplicate, and so a conflict.
async fn append(session: &mut dyn Session, event: &Event) -> Result<(), Stop> {
    let sql = "INSERT INTO api_token_events (subject, seq, owner, at, actor, body, hash) VALUES (?, ?, ?, ?, ?, ?, ?)";
    let values = values![
        event.subject.to_string(),
        number(event.seq)?,
        event.owner.as_ref().map(OwnerId::as_str),
        event.at,
        event.actor.as_str(),
        event.body.as_str(),
        event.hash.as_bytes(),
    ];
    found(session.execute(sql.into(), &values).await?)
}

/// The change's own row, by which it is known again, fed to caches and delivered.
async fn log(session: &mut dyn Session, change: &Change, delivered: Option<Time>) -> Result<(), Stop> {
    let event = &change.event;
    let token = match event.subject {
        Subject::Token(id) => Some(id),
        Subject::Owner(_) | Subject::Policy => None,
    };
    let sql = "INSERT INTO api_token_changes (change_id, fingerprint, subject, owner, token, seq, at, delivered_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let values = values![
        change.id.as_bytes(),
        change.fingerprint.as_bytes(),
        event.subject.to_string(),
        event.owner.as_ref().map(OwnerId::as_str),
        token,
        number(event.seq)?,
        event.at,
        delivered,
    ];
    match session.execute(sql.into(), &values).await {
        Ok(rows) => found(rows),
        // The same change, sent twice at once: done again from its start, it finds what the other has stored.
        Err(failure) => Err(Stop::Failed(failure)),
    }
}

/// A mark for each column, after those before them.
fn marks<const N: usize>(_columns: [&str; N]) -> String {
    ", ?".repeat(N)
}

/// A fact that is written unless it is there.
pub(super) struct FirstFact<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a [u8],
}

#[async_trait]
impl Work for FirstFact<'_> {
    type Done = Vec<u8>;

    async fn run(&self, session: &mut dyn Session) -> Result<End<Vec<u8>>, Failure> {
        let stored = session.query(FACT.into(), &values![self.key]).await?;
        if let Some(row) = stored.first() {
            return Ok(End::Undo(fact(&**row)?));
        }
        // Lost to another at this point, the work is done again, and finds the other's.
        insert_fact(session, self.key, self.value).await?;
        Ok(End::Keep(self.value.to_vec()))
    }
}
