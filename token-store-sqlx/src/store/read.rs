//! Single rows, the hot lookup first.

use token_core::{
    ChangeId, Event, KeyId, Loaded, Outcome, Owner, OwnerId, Sealed, Selector, StoreError, Subject, Time, Token,
    TokenId,
};

use super::SqlStore;
use super::list::live;
use super::work::{ATTEMPTS, CHUNK, persist};
use crate::dialect::{Row, Sql};
use crate::error::BadColumn;
use crate::rows::{self, event_columns, owner_columns, token_columns};
use crate::value::{Value, number, values};

macro_rules! loaded_where {
    ($condition:literal) => {
        concat!(
            "SELECT s.selector, s.generation, s.scheme, s.digest, s.key_id, ",
            token_columns!(),
            ", ",
            owner_columns!(),
            " FROM api_token_secrets s JOIN api_tokens t ON t.id = s.token",
            " LEFT JOIN api_token_owners o ON o.owner = t.owner WHERE ",
            $condition
        )
    };
}

const LOAD_ONE: &str = loaded_where!("s.selector = ?");
const LOAD_KEYS: &str = loaded_where!("s.selector");

const TOKEN: &str = concat!("SELECT ", token_columns!(), " FROM api_tokens t WHERE t.id = ?");
const OWNER: &str = concat!("SELECT ", owner_columns!(), " FROM api_token_owners o WHERE o.owner = ?");
const EVENTS: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM api_token_events e WHERE e.subject = ? AND e.seq > ? ORDER BY e.seq LIMIT ?"
);
pub(super) const OUTCOME: &str = concat!(
    "SELECT c.fingerprint, ",
    event_columns!(),
    " FROM api_token_changes c LEFT JOIN api_token_events e ON e.subject = c.subject AND e.seq = c.seq",
    " WHERE c.change_id = ?"
);
pub(super) const FACT: &str = "SELECT value FROM api_token_meta WHERE name = ?";

impl SqlStore {
    pub(super) async fn load_selectors(&self, selectors: &[Selector]) -> Result<Vec<Loaded>, StoreError> {
        if let [one] = selectors {
            let found = self.first(LOAD_ONE.into(), &values![one.as_bytes()], rows::loaded).await?;
            return Ok(found.into_iter().collect());
        }
        let mut distinct = selectors.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let (mut found, mut granted) = (Vec::with_capacity(distinct.len()), None);
        for chunk in distinct.chunks(CHUNK) {
            let keys: Vec<&[u8]> = chunk.iter().map(|selector| selector.as_bytes().as_slice()).collect();
            let rows = persist(ATTEMPTS, || self.dialect.query_keys(LOAD_KEYS, &keys)).await?;
            for row in &rows {
                found.push(rows::loaded_after(&**row, &mut granted)?);
            }
        }
        Ok(found)
    }

    pub(super) async fn token_of(&self, id: TokenId) -> Result<Option<Sealed<Token>>, StoreError> {
        self.first(TOKEN.into(), &values![id], rows::token).await
    }

    pub(super) async fn owner_of(&self, id: &OwnerId) -> Result<Option<Sealed<Owner>>, StoreError> {
        self.first(OWNER.into(), &values![id.as_str()], rows::owner).await
    }

    pub(super) async fn outcome_of(&self, change: &ChangeId) -> Result<Option<Outcome>, StoreError> {
        self.first(OUTCOME.into(), &values![change.as_bytes()], rows::outcome).await
    }

    pub(super) async fn fact(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.first(FACT.into(), &values![key], fact).await
    }

    pub(super) async fn events_of(&self, subject: &Subject, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        // No event has a number that a database can't hold.
        let Ok(after) = number(after) else { return Ok(Vec::new()) };
        self.all(EVENTS.into(), &values![subject.to_string(), after, limit], rows::event).await
    }

    /// Steps from key to key through the indexes, so that the cost is in the number of keys and not of rows; a key of tokens and of
    /// secrets is then looked for among those that are live.
    pub(super) async fn key_ids(&self, now: Time) -> Result<Vec<KeyId>, StoreError> {
        const OF_OWNERS: &str = "SELECT min(seal_key) AS key_id FROM api_token_owners WHERE seal_key > ?";
        const OF_TOKENS: &str = "SELECT min(seal_key) AS key_id FROM api_tokens WHERE seal_key > ?";
        const OF_SECRETS: &str = "SELECT min(key_id) AS key_id FROM api_token_secrets WHERE key_id > ?";
        const LIVE_TOKEN: &str =
            concat!("SELECT seal_key AS key_id FROM api_tokens WHERE seal_key = ? AND ", live!(), " LIMIT 1");
        const LIVE_SECRET: &str = concat!(
            "SELECT s.key_id FROM api_token_secrets s JOIN api_tokens t ON t.id = s.token WHERE s.key_id = ? AND ",
            live!(),
            " AND (s.generation = current_generation OR (s.generation = old_generation AND old_until > ?)) LIMIT 1"
        );
        let mut keys = self.distinct_keys(OF_OWNERS).await?;
        for key in self.distinct_keys(OF_TOKENS).await? {
            keys.extend(self.first(LIVE_TOKEN.into(), &values![key.as_str(), now], key_id).await?.flatten());
        }
        for key in self.distinct_keys(OF_SECRETS).await? {
            keys.extend(self.first(LIVE_SECRET.into(), &values![key.as_str(), now, now], key_id).await?.flatten());
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    async fn distinct_keys(&self, next: &'static str) -> Result<Vec<KeyId>, StoreError> {
        let mut keys: Vec<KeyId> = Vec::new();
        let mut last = String::new();
        while let Some(key) = self.first(next.into(), &values![last.as_str()], key_id).await?.flatten() {
            key.as_str().clone_into(&mut last);
            keys.push(key);
        }
        Ok(keys)
    }

    /// All rows that a statement answers.
    pub(super) async fn all<T>(
        &self,
        sql: Sql,
        values: &[Value<'_>],
        read: fn(&dyn Row) -> Result<T, BadColumn>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.read(sql, values).await?;
        Ok(rows.iter().map(|row| read(&**row)).collect::<Result<_, _>>()?)
    }

    /// The row that a statement answers, of which there is one or none.
    async fn first<T>(
        &self,
        sql: Sql,
        values: &[Value<'_>],
        read: fn(&dyn Row) -> Result<T, BadColumn>,
    ) -> Result<Option<T>, StoreError> {
        let row = self.read_first(sql, values).await?;
        Ok(row.map(|row| read(&*row)).transpose()?)
    }
}

fn key_id(row: &dyn Row) -> Result<Option<KeyId>, BadColumn> {
    if row.text("key_id")?.is_some() { row.need_parsed("key_id").map(Some) } else { Ok(None) }
}

pub(super) fn fact(row: &dyn Row) -> Result<Vec<u8>, BadColumn> {
    row.need_bytes("value").map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_hot_lookup_reads_no_table_from_end_to_end() {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        for statement in [LOAD_ONE.to_owned(), format!("{LOAD_KEYS} IN (?, ?)"), OUTCOME.to_owned(), EVENTS.to_owned()]
        {
            let rows = store.read(format!("EXPLAIN QUERY PLAN {statement}").into(), &[]).await.unwrap();
            let plan: Vec<&str> = rows.iter().map(|row| row.need_text("detail").unwrap()).collect();
            assert!(!plan.is_empty());
            assert!(plan.iter().all(|step| step.starts_with("SEARCH") && step.contains("USING")), "{plan:?}");
        }
    }
}
