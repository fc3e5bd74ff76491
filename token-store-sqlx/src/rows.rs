//! Between columns and the values of the domain: the one place that knows both.

use std::error::Error;
use std::net::IpAddr;

use token_core::{
    Client, Digest, Event, EventHash, EventHead, Fault, Fingerprint, Generation, Grants, LastUse, Loaded, Outcome,
    Owner, OwnerId, Scheme, Seal, Sealed, Secret, SecretRef, Selector, StoreError, Superseded, Time, Token, TokenId,
};

use crate::dialect::Row;
use crate::error::BadColumn;
use crate::value::{Value, number, values};

/// The columns that [`token`] reads, of a table called `t`.
macro_rules! token_columns {
    () => {
        "t.id, t.owner, t.name, t.grants, t.networks, t.created_at, t.created_by, t.expires_at, t.revoked_at, \
         t.current_generation, t.current_selector, t.old_generation, t.old_selector, t.old_until, \
         t.revision, t.head_seq, t.head_hash, t.head_at, t.seal, t.seal_key"
    };
}
/// The columns that [`owner`] reads, of a table called `o`.
macro_rules! owner_columns {
    () => {
        "o.owner AS owner_id, o.suspended_at, o.revision AS owner_revision, o.head_seq AS owner_head_seq, \
         o.head_hash AS owner_head_hash, o.head_at AS owner_head_at, o.seal AS owner_seal, o.seal_key AS owner_seal_key"
    };
}
/// The columns that [`event`] reads, of a table called `e`.
macro_rules! event_columns {
    () => {
        "e.subject, e.seq, e.owner, e.at, e.actor, e.body, e.hash"
    };
}
pub(crate) use {event_columns, owner_columns, token_columns};

impl dyn Row + '_ {
    pub(crate) fn need_int(&self, column: &'static str) -> Result<i64, BadColumn> {
        present(column, self.int(column)?)
    }

    pub(crate) fn need_text(&self, column: &'static str) -> Result<&str, BadColumn> {
        present(column, self.text(column)?)
    }

    pub(crate) fn need_bytes(&self, column: &'static str) -> Result<&[u8], BadColumn> {
        present(column, self.bytes(column)?)
    }

    pub(crate) fn need_time(&self, column: &'static str) -> Result<Time, BadColumn> {
        present(column, self.time(column)?)
    }

    pub(crate) fn need_id(&self, column: &'static str) -> Result<TokenId, BadColumn> {
        present(column, self.id(column)?)
    }

    /// A number of a narrower kind, such as one that is never negative.
    pub(crate) fn need<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, BadColumn> {
        T::try_from(self.need_int(column)?).map_err(|_| BadColumn::new(column, "the number is out of range"))
    }

    /// A text that is written as a value of the domain.
    pub(crate) fn need_parsed<T>(&self, column: &'static str) -> Result<T, BadColumn>
    where
        T: std::str::FromStr<Err: Error + Send + Sync + 'static>,
    {
        self.need_text(column)?.parse().map_err(|error| BadColumn::new(column, error))
    }

    pub(crate) fn generation(&self, column: &'static str) -> Result<Generation, BadColumn> {
        present(column, Generation::new(self.need(column)?))
    }

    fn array<const N: usize>(&self, column: &'static str) -> Result<[u8; N], BadColumn> {
        let bytes = self.need_bytes(column)?;
        bytes.try_into().map_err(|_| BadColumn::new(column, format!("not {N} bytes")))
    }

    fn selector(&self, column: &'static str) -> Result<Selector, BadColumn> {
        Selector::from_bytes(self.need_bytes(column)?).ok_or_else(|| BadColumn::new(column, "not a selector"))
    }

    fn head(&self, [seq, hash, at]: [&'static str; 3]) -> Result<EventHead, BadColumn> {
        Ok(EventHead { seq: self.need(seq)?, hash: EventHash::from_bytes(self.array(hash)?), at: self.need_time(at)? })
    }

    fn seal(&self, [seal, key]: [&'static str; 2]) -> Result<Seal, BadColumn> {
        Ok(Seal { key: self.need_parsed(key)?, mac: self.array(seal)? })
    }
}

fn present<T>(column: &'static str, value: Option<T>) -> Result<T, BadColumn> {
    value.ok_or_else(|| BadColumn::new(column, "it is empty"))
}

/// What the row before was granted, and the text that says so: of many tokens, most are granted what others are.
pub(crate) type Granted = Option<(Box<str>, Grants)>;

pub(crate) fn token(row: &dyn Row) -> Result<Sealed<Token>, BadColumn> {
    token_after(row, None)
}

fn token_after(row: &dyn Row, granted: Option<&mut Granted>) -> Result<Sealed<Token>, BadColumn> {
    let json = |column, error| BadColumn::new(column, Box::<dyn Error + Send + Sync>::from(error));
    let networks = |text: Option<&str>| text.map(serde_json::from_str).transpose();
    // In the order of the columns.
    let token = Token {
        id: row.need_id("id")?,
        owner: row.need_parsed("owner")?,
        name: row.need_parsed("name")?,
        grants: grants(row.need_text("grants")?, granted).map_err(|error| json("grants", error))?,
        networks: networks(row.text("networks")?).map_err(|error| json("networks", error))?,
        created_at: row.need_time("created_at")?,
        created_by: row.need_parsed("created_by")?,
        expires_at: row.time("expires_at")?,
        revoked_at: row.time("revoked_at")?,
        current: SecretRef {
            generation: row.generation("current_generation")?,
            selector: row.selector("current_selector")?,
        },
        superseded: superseded(row)?,
        revision: row.need("revision")?,
        head: row.head(["head_seq", "head_hash", "head_at"])?,
    };
    Ok(Sealed::from_parts(token, row.seal(["seal", "seal_key"])?))
}

fn grants(text: &str, granted: Option<&mut Granted>) -> Result<Grants, serde_json::Error> {
    let Some(before) = granted else { return serde_json::from_str(text) };
    if let Some((same, grants)) = before
        && **same == *text
    {
        return Ok(grants.clone());
    }
    let grants: Grants = serde_json::from_str(text)?;
    *before = Some((text.into(), grants.clone()));
    Ok(grants)
}

fn superseded(row: &dyn Row) -> Result<Option<Superseded>, BadColumn> {
    let Some(until) = row.time("old_until")? else { return Ok(None) };
    let secret = SecretRef { generation: row.generation("old_generation")?, selector: row.selector("old_selector")? };
    Ok(Some(Superseded { secret, until }))
}

/// What [`TOKEN_STATE`] names, in its order.
pub(crate) fn token_state(sealed: &Sealed<Token>) -> Result<Vec<Value<'_>>, StoreError> {
    let (token, seal) = (sealed.unverified(), sealed.seal());
    let json = |error| StoreError::new(Fault::Other, error);
    let old = token.superseded.as_ref();
    Ok(Vec::from(values![
        token.name.as_str(),
        serde_json::to_string(&token.grants).map_err(json)?,
        token.networks.as_ref().map(serde_json::to_string).transpose().map_err(json)?,
        token.expires_at,
        token.revoked_at,
        token.current.generation.number(),
        token.current.selector.as_bytes(),
        old.map(|old| old.secret.generation.number()),
        old.map(|old| old.secret.selector.as_bytes()),
        old.map(|old| old.until),
        number(token.revision)?,
        number(token.head.seq)?,
        token.head.hash.as_bytes(),
        token.head.at,
        &seal.mac,
        seal.key.as_str(),
    ]))
}

/// The columns of a token that a change may write.
pub(crate) const TOKEN_STATE: [&str; 16] = [
    "name",
    "grants",
    "networks",
    "expires_at",
    "revoked_at",
    "current_generation",
    "current_selector",
    "old_generation",
    "old_selector",
    "old_until",
    "revision",
    "head_seq",
    "head_hash",
    "head_at",
    "seal",
    "seal_key",
];

pub(crate) fn owner(row: &dyn Row) -> Result<Sealed<Owner>, BadColumn> {
    let owner = Owner {
        id: row.need_parsed("owner_id")?,
        suspended_at: row.time("suspended_at")?,
        revision: row.need("owner_revision")?,
        head: row.head(["owner_head_seq", "owner_head_hash", "owner_head_at"])?,
    };
    Ok(Sealed::from_parts(owner, row.seal(["owner_seal", "owner_seal_key"])?))
}

/// What [`OWNER_STATE`] names, in its order.
pub(crate) fn owner_state(sealed: &Sealed<Owner>) -> Result<Vec<Value<'_>>, StoreError> {
    let (owner, seal) = (sealed.unverified(), sealed.seal());
    Ok(Vec::from(values![
        owner.suspended_at,
        number(owner.revision)?,
        number(owner.head.seq)?,
        owner.head.hash.as_bytes(),
        owner.head.at,
        &seal.mac,
        seal.key.as_str(),
    ]))
}

/// The columns of an owner that a change may write.
pub(crate) const OWNER_STATE: [&str; 7] =
    ["suspended_at", "revision", "head_seq", "head_hash", "head_at", "seal", "seal_key"];

/// A secret with its token and owner, as the hot lookup reads them.
pub(crate) fn loaded(row: &dyn Row) -> Result<Loaded, BadColumn> {
    read_loaded(row, None)
}

/// The same, of a row that follows others.
pub(crate) fn loaded_after(row: &dyn Row, granted: &mut Granted) -> Result<Loaded, BadColumn> {
    read_loaded(row, Some(granted))
}

fn read_loaded(row: &dyn Row, granted: Option<&mut Granted>) -> Result<Loaded, BadColumn> {
    // In the order of the columns.
    let (selector, generation) = (row.selector("selector")?, row.generation("generation")?);
    let scheme = Scheme::from_code(row.need("scheme")?);
    let scheme = scheme.ok_or_else(|| BadColumn::new("scheme", "this version does not know the scheme"))?;
    let digest = Digest::from_bytes(row.array("digest")?);
    let key = row.need_parsed("key_id")?;
    let token = token_after(row, granted)?;
    let secret = Secret { selector, token: token.unverified().id, generation, scheme, digest, key };
    let owner = if row.text("owner_id")?.is_some() { Some(owner(row)?) } else { None };
    Ok(Loaded { secret, token, owner })
}

pub(crate) fn event(row: &dyn Row) -> Result<Event, BadColumn> {
    let owner = row.text("owner")?.map(OwnerId::new).transpose();
    Ok(Event {
        subject: row.need_parsed("subject")?,
        seq: row.need("seq")?,
        owner: owner.map_err(|error| BadColumn::new("owner", error))?,
        at: row.need_time("at")?,
        actor: row.need_parsed("actor")?,
        body: row.need_text("body")?.to_owned(),
        hash: EventHash::from_bytes(row.array("hash")?),
    })
}

pub(crate) fn outcome(row: &dyn Row) -> Result<Outcome, BadColumn> {
    Ok(Outcome { fingerprint: Fingerprint::from_bytes(row.array("fingerprint")?), event: event(row)? })
}

pub(crate) fn last_use(row: &dyn Row) -> Result<(Generation, LastUse), BadColumn> {
    let client = row.text("client")?.and_then(|client| Client::of(client.as_bytes()));
    let last = LastUse { at: row.need_time("at")?, address: address(row, "address")?, client };
    Ok((row.generation("generation")?, last))
}

pub(crate) fn address(row: &dyn Row, column: &'static str) -> Result<Option<IpAddr>, BadColumn> {
    let address = row.text(column)?.map(str::parse).transpose();
    address.map_err(|error| BadColumn::new(column, Box::<dyn Error + Send + Sync>::from(error)))
}
