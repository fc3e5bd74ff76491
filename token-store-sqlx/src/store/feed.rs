//! The log of changes: followed by caches, delivered to a sink.

use std::time::Duration;

use async_trait::async_trait;
use token_core::{Cursor, Delivery, Feed, StoreError, Subject, Time};
use tokio::time::{Instant, timeout};

use super::work::{CHUNK, End, Work};
use super::{Listener, SqlStore};
use crate::dialect::{Row, Session};
use crate::error::{BadColumn, Failure};
use crate::rows::{self, event_columns};
use crate::value::{Value, list, values};

/// At most so many changes are answered at once.
const STRETCH: u32 = 1000;

impl SqlStore {
    pub(super) async fn changes_after(&self, cursor: Option<Cursor>, max_wait: Duration) -> Result<Feed, StoreError> {
        let Some(cursor) = cursor else {
            let end = "SELECT coalesce(max(id), 0) AS id FROM api_token_changes";
            let end = self.all(end.into(), &[], |row| row.need_int("id").map(Cursor)).await?;
            return Ok(Feed { changes: Vec::new(), cursor: end.first().copied().unwrap_or(Cursor(0)) });
        };
        self.listener.get_or_init(|| {
            let (dialect, bell) = (self.dialect.clone(), self.bell.clone());
            Listener(tokio::spawn(async move { dialect.listen(&bell).await }))
        });
        let started = Instant::now();
        let mut rung = false;
        loop {
            // Listened for before it is looked, so that no commit falls in between.
            let mut bell = std::pin::pin!(self.bell.notified());
            bell.as_mut().enable();
            let sql = "SELECT id, subject FROM api_token_changes WHERE id > ? ORDER BY id LIMIT ?";
            let changes = self.all(sql.into(), &values![cursor, STRETCH], change).await?;
            let left = max_wait.saturating_sub(started.elapsed());
            match changes.last() {
                // Something was committed, and not after the cursor: its number is from before.
                None if rung || left.is_zero() => return Ok(Feed { changes: Vec::new(), cursor }),
                // Told or not, it looks again.
                None => rung = timeout(left.min(self.dialect.poll()), bell).await.is_ok(),
                Some((cursor, _)) => return Ok(Feed { cursor: *cursor, changes }),
            }
        }
    }
}

fn change(row: &dyn Row) -> Result<(Cursor, Subject), BadColumn> {
    Ok((Cursor(row.need_int("id")?), row.need_parsed("subject")?))
}

/// Takes events for delivery.
pub(super) struct Claim {
    pub(super) now: Time,
    pub(super) until: Time,
    /// A lease that ends later than this is none.
    pub(super) longest: Time,
    pub(super) limit: u32,
    pub(super) lock: &'static str,
}

/// Events of one subject are delivered in order: none is taken while an earlier one is someone else's.
const CLAIMABLE: &str = concat!(
    "SELECT c.id AS cursor_id, ",
    event_columns!(),
    " FROM api_token_changes c JOIN api_token_events e ON e.subject = c.subject AND e.seq = c.seq",
    " WHERE c.delivered_at IS NULL AND (c.claimed_until IS NULL OR c.claimed_until <= ? OR c.claimed_until > ?)",
    " AND NOT EXISTS (SELECT 1 FROM api_token_changes p WHERE p.subject = c.subject AND p.id < c.id",
    " AND p.delivered_at IS NULL AND p.claimed_until > ? AND p.claimed_until <= ?)",
    " ORDER BY c.id LIMIT ?"
);

#[async_trait]
impl Work for Claim {
    type Done = Vec<Delivery>;

    async fn run(&self, session: &mut dyn Session) -> Result<End<Vec<Delivery>>, Failure> {
        // One claim after the other, so that each sees what those before it took. The row is there for nothing else.
        let turn = format!("SELECT value FROM api_token_meta WHERE name = 'turn:claim'{}", self.lock);
        session.query(turn.into(), &[]).await?;
        let (now, longest) = (self.now, self.longest);
        let found = session.query(CLAIMABLE.into(), &values![now, longest, now, longest, self.limit]).await?;
        // One that can't be read is taken too, and delivered to nobody: it neither takes the place of others, nor is it overtaken
        // within its subject.
        let cursors: Vec<i64> = found.iter().map(|row| row.need_int("cursor_id")).collect::<Result<_, _>>()?;
        for chunk in cursors.chunks(CHUNK) {
            let (marks, ids) = list(chunk.iter().map(|cursor| Value::from(*cursor)));
            let sql = format!("UPDATE api_token_changes SET claimed_until = ? WHERE id IN ({marks})");
            let mut values = Vec::from(values![self.until]);
            values.extend(ids);
            session.execute(sql.into(), &values).await?;
        }
        let claimed: Vec<Delivery> = found.iter().filter_map(|row| delivery(&**row)).collect();
        Ok(if cursors.is_empty() { End::Undo(claimed) } else { End::Keep(claimed) })
    }
}

/// One event that was tampered with keeps none of another subject from being delivered. Its history names it.
fn delivery(row: &dyn Row) -> Option<Delivery> {
    let read = || Ok(Delivery { cursor: Cursor(row.need_int("cursor_id")?), event: rows::event(row)? });
    read().map_err(|error: BadColumn| tracing::error!(%error, "an event can't be read, and is not delivered")).ok()
}

/// Marks events as delivered.
pub(super) struct Ack<'a> {
    pub(super) delivered: &'a [Cursor],
    pub(super) at: Time,
}

#[async_trait]
impl Work for Ack<'_> {
    type Done = ();

    async fn run(&self, session: &mut dyn Session) -> Result<End<()>, Failure> {
        for chunk in self.delivered.chunks(CHUNK) {
            let (marks, ids) = list(chunk.iter().map(|cursor| Value::from(*cursor)));
            let sql =
                format!("UPDATE api_token_changes SET delivered_at = ? WHERE delivered_at IS NULL AND id IN ({marks})");
            let mut values = Vec::from(values![self.at]);
            values.extend(ids);
            session.execute(sql.into(), &values).await?;
        }
        Ok(End::Keep(()))
    }
}
