//! Deleting what is dead for long enough, with everything that belongs to it.

use async_trait::async_trait;
use token_core::{Subject, Time, TokenId};

use super::work::{CHUNK, End, Work, list};
use crate::dialect::{Rows, Session};
use crate::error::{BadColumn, Failure};
use crate::value::{Value, values};

pub(super) struct Purge {
    pub(super) before: Time,
    pub(super) keep_undelivered: bool,
    pub(super) limit: u32,
    pub(super) lock: &'static str,
}

/// What refers to a token by its id.
const OF_TOKEN: [&str; 5] = [
    "DELETE FROM api_token_secrets WHERE token IN",
    "DELETE FROM api_token_changes WHERE token IN",
    "DELETE FROM api_token_usage_last WHERE token IN",
    "DELETE FROM api_token_usage_hours WHERE token IN",
    "DELETE FROM api_token_refusals WHERE token IN",
];

impl Purge {
    /// Asks for tokens that may go. Two stretches of two indexes, so that the many that live are not read to find the few that
    /// are dead.
    fn dead(&self, condition: &str) -> String {
        let undelivered = if self.keep_undelivered {
            "NOT EXISTS (SELECT 1 FROM api_token_changes c WHERE c.token = t.id AND c.delivered_at IS NULL)"
        } else {
            "1 = 1"
        };
        format!(
            "SELECT t.id FROM (SELECT id FROM api_tokens WHERE revoked_at < ? \
             UNION SELECT id FROM api_tokens WHERE expires_at < ?) AS t WHERE {undelivered} {condition}"
        )
    }
}

#[async_trait]
impl Work for Purge {
    type Done = u64;

    async fn run(&self, session: &mut dyn Session) -> Result<End<u64>, Failure> {
        let dead = self.dead("ORDER BY t.id LIMIT ?");
        let found = session.query(dead.into(), &values![self.before, self.before, self.limit]).await?;
        let mut deleted = 0;
        for chunk in ids(&found)?.chunks(CHUNK) {
            deleted += self.delete(session, chunk).await?;
        }
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
        let mut values = Vec::from(values![self.before, self.before]);
        values.extend(ids_found);
        let dead = session.query(self.dead(&format!("AND t.id IN ({marks}) ORDER BY t.id")).into(), &values).await?;
        let dead = ids(&dead)?;
        if dead.is_empty() {
            return Ok(0);
        }
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
