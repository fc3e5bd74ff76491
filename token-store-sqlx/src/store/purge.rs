//! Deleting what is dead for long enough, with everything that belongs to it.

use async_trait::async_trait;
use token_core::{Subject, Time, TokenId};

use super::work::{CHUNK, End, Work, list};
use crate::dialect::Session;
use crate::error::Failure;
use crate::value::{Value, values};

pub(super) struct Purge {
    pub(super) before: Time,
    pub(super) keep_undelivered: bool,
    pub(super) limit: u32,
}

/// What refers to a token by its id.
const OF_TOKEN: [&str; 5] = [
    "DELETE FROM api_token_secrets WHERE token IN",
    "DELETE FROM api_token_changes WHERE token IN",
    "DELETE FROM api_token_usage_last WHERE token IN",
    "DELETE FROM api_token_usage_hours WHERE token IN",
    "DELETE FROM api_token_refusals WHERE token IN",
];

#[async_trait]
impl Work for Purge {
    type Done = u64;

    async fn run(&self, session: &mut dyn Session) -> Result<End<u64>, Failure> {
        let undelivered = if self.keep_undelivered {
            "WHERE NOT EXISTS (SELECT 1 FROM api_token_changes c WHERE c.token = t.id AND c.delivered_at IS NULL)"
        } else {
            ""
        };
        // Two stretches of two indexes, so that the many that live are not read to find the few that are dead.
        let dead = format!(
            "SELECT t.id FROM (SELECT id FROM api_tokens WHERE revoked_at < ? \
             UNION SELECT id FROM api_tokens WHERE expires_at < ?) AS t {undelivered} ORDER BY t.id LIMIT ?"
        );
        let found = session.query(dead.into(), &values![self.before, self.before, self.limit]).await?;
        let dead: Vec<TokenId> = found.iter().map(|row| row.need_id("id")).collect::<Result<_, _>>()?;
        let mut deleted = 0;
        for chunk in dead.chunks(CHUNK) {
            let (marks, subjects) = list(chunk.iter().map(|id| Subject::Token(*id).to_string().into()));
            session
                .execute(format!("DELETE FROM api_token_events WHERE subject IN ({marks})").into(), &subjects)
                .await?;
            let (marks, ids) = list(chunk.iter().map(|id| Value::from(*id)));
            for delete in OF_TOKEN {
                session.execute(format!("{delete} ({marks})").into(), &ids).await?;
            }
            deleted += session.execute(format!("DELETE FROM api_tokens WHERE id IN ({marks})").into(), &ids).await?;
        }
        Ok(if dead.is_empty() { End::Undo(0) } else { End::Keep(deleted) })
    }
}
