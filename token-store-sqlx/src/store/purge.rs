//! Deleting what is dead for long enough, with everything that belongs to it.

use async_trait::async_trait;
use token_core::{Fault, StoreError, Subject, Time, TokenId};

use super::SqlStore;
use super::work::{End, Work};
use crate::dialect::{Rows, Session};
use crate::error::{BadColumn, Failure};
use crate::value::{Value, list, values};

/// Tokens of one transaction: a statement that deletes their rows has a limit, and one of them may have a great many.
const AT_ONCE: usize = 20;

pub(super) struct Purge {
    pub(super) before: Time,
    pub(super) keep_undelivered: bool,
    pub(super) limit: u32,
    pub(super) lock: &'static str,
    /// By which secrets are come to in the order of their tokens.
    pub(super) by_token: String,
}

/// What refers to a token by its id.
const OF_TOKEN: [&str; 10] = [
    "DELETE FROM api_token_secrets WHERE token IN",
    "DELETE FROM api_token_changes WHERE token IN",
    "DELETE FROM api_token_usage_last WHERE token IN",
    "DELETE FROM api_token_usage_hours WHERE token IN",
    "DELETE FROM api_token_refusals WHERE token IN",
    "DELETE FROM api_token_usage_days WHERE token IN",
    "DELETE FROM api_token_usage_sources WHERE token IN",
    "DELETE FROM api_token_usage_scopes WHERE token IN",
    "DELETE FROM api_token_usage_calls WHERE token IN",
    "DELETE FROM api_token_signals WHERE token IN",
];

impl Purge {
    /// Asks for tokens that may go: each of the two starts at one end of an index, and goes no further than it must, however many
    /// live or are dead.
    fn dead(&self) -> String {
        let undelivered = self.but_undelivered();
        format!(
            "SELECT id FROM (\
             SELECT id FROM (SELECT t.id FROM api_tokens t WHERE t.revoked_at < ? {undelivered} \
             ORDER BY t.revoked_at LIMIT ?) AS revoked UNION \
             SELECT id FROM (SELECT t.id FROM api_tokens t WHERE t.expires_at < ? {undelivered} \
             ORDER BY t.expires_at LIMIT ?) AS expired) AS dead ORDER BY id LIMIT ?"
        )
    }

    fn but_undelivered(&self) -> &'static str {
        if self.keep_undelivered {
            "AND NOT EXISTS (SELECT 1 FROM api_token_changes c WHERE c.token = t.id AND c.delivered_at IS NULL)"
        } else {
            ""
        }
    }
}

impl SqlStore {
    /// Deletes what may go, a few tokens in each transaction, and fewer where that takes too long: else the same would be tried
    /// again for ever.
    pub(super) async fn purge_dead(&self, purge: &Purge) -> Result<u64, StoreError> {
        let values = values![purge.before, purge.limit, purge.before, purge.limit, purge.limit];
        let found = ids(&self.read(purge.dead().into(), &values).await?)?;
        let (mut rest, mut at_once, mut deleted, mut failed) = (found.as_slice(), AT_ONCE, 0, None);
        while !rest.is_empty() {
            let (tokens, later) = rest.split_at(at_once.min(rest.len()));
            match self.transact(&Deleting { purge, tokens }).await {
                Ok(more) => (deleted, rest) = (deleted + more, later),
                Err(error) if error.fault() == Fault::TimedOut && tokens.len() > 1 => at_once = tokens.len() / 2,
                // One that takes too long by itself is in the way of no other. With two of them it is the database that is slow.
                Err(error) if error.fault() == Fault::TimedOut && failed.is_none() => {
                    (failed, rest) = (Some(error), later)
                }
                Err(error) => return Err(error),
            }
        }
        match failed {
            Some(error) if deleted == 0 => Err(error),
            _ => Ok(deleted),
        }
    }
}

/// The deletion of tokens that were found to be dead, and of those only that still are.
struct Deleting<'a> {
    purge: &'a Purge,
    tokens: &'a [TokenId],
}

#[async_trait]
impl Work for Deleting<'_> {
    type Done = u64;

    async fn run(&self, session: &mut dyn Session) -> Result<End<u64>, Failure> {
        let deleted = self.purge.delete(session, self.tokens).await?;
        Ok(if deleted == 0 { End::Undo(0) } else { End::Keep(deleted) })
    }
}

impl Purge {
    async fn delete(&self, session: &mut dyn Session, found: &[TokenId]) -> Result<u64, Failure> {
        // Their rows first: whatever is changed of them or counted for them from here on waits, and then finds nothing. What was
        // so until now is seen when it is asked again which of them may go.
        let (marks, ids_found) = list(found.iter().map(|id| Value::from(*id)));
        let lock = format!("SELECT id FROM api_tokens WHERE id IN ({marks}) ORDER BY id{}", self.lock);
        session.query(lock.into(), &ids_found).await?;
        // And what tallies lock, by the index that they do it by: a delete may begin at another, where they come later.
        let lock = format!(
            "SELECT token FROM api_token_secrets WHERE token IN ({marks}) AND generation = 1 ORDER BY token{}",
            self.lock
        );
        session.query(lock.into(), &ids_found).await?;
        let mut values = Vec::from(values![self.before, self.before]);
        values.extend(ids_found);
        let undelivered = self.but_undelivered();
        let dead = format!(
            "SELECT t.id FROM api_tokens t WHERE (t.revoked_at < ? OR t.expires_at < ?) AND t.id IN ({marks}) {undelivered} \
             ORDER BY t.id"
        );
        let dead = session.query(dead.into(), &values).await?;
        let dead = ids(&dead)?;
        if dead.is_empty() {
            return Ok(0);
        }
        // In the order in which tallies lock them, before any is deleted in another.
        let (marks, ids_dead) = list(dead.iter().map(|id| Value::from(*id)));
        let secrets = format!(
            "SELECT generation FROM api_token_secrets{} WHERE token IN ({marks}) ORDER BY token, generation{}",
            self.by_token, self.lock
        );
        session.query(secrets.into(), &ids_dead).await?;
        let (marks, subjects) = list(dead.iter().map(|id| Subject::Token(*id).to_string().into()));
        session.execute(format!("DELETE FROM api_token_events WHERE subject IN ({marks})").into(), &subjects).await?;
        let (marks, ids) = list(dead.iter().map(|id| Value::from(*id)));
        for delete in OF_TOKEN {
            session.execute(format!("{delete} ({marks})").into(), &ids).await?;
        }
        session.execute(format!("DELETE FROM api_tokens WHERE id IN ({marks})").into(), &ids).await
    }
}

fn ids(rows: &Rows) -> Result<Vec<TokenId>, BadColumn> {
    rows.iter().map(|row| row.need_id("id")).collect()
}
