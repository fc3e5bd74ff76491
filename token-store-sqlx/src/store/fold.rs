//! Old usage: hours become parts of days, and what is older still is forgotten. In batches, each a transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use token_core::{Fault, Forget, StoreError, Time, TokenId};

use super::usage::{add, kept};
use super::work::{CHUNK, End, Work};
use crate::dialect::{Row, Session, Tally};
use crate::error::{BadColumn, Failure};
use crate::value::{Value, list, values};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// So many rows are named in one statement, each by its whole key.
const KEYS: usize = 100;

pub(super) struct Fold {
    pub(super) before: Time,
    pub(super) limit: u32,
    pub(super) lock: &'static str,
}

#[async_trait]
impl Work for Fold {
    type Done = u64;

    async fn run(&self, session: &mut dyn Session) -> Result<End<u64>, Failure> {
        // One day at a time, the oldest first: however much there is to do, what one batch does is bounded.
        let Some(before) = self.end_of_oldest(session).await? else { return Ok(End::Undo(0)) };
        let found = "SELECT token FROM (\
            SELECT token FROM (SELECT DISTINCT token FROM api_token_usage_hours WHERE hour < ? LIMIT ?) AS used UNION \
            SELECT token FROM (SELECT DISTINCT token FROM api_token_refusals WHERE hour < ? LIMIT ?) AS refused\
            ) AS old ORDER BY token LIMIT ?";
        let values = values![before, self.limit, before, self.limit, self.limit];
        let found = session.query(found.into(), &values).await?;
        let tokens: Vec<TokenId> = found.iter().map(|row| row.need_id("token")).collect::<Result<_, _>>()?;
        for chunk in tokens.chunks(CHUNK) {
            self.fold(session, chunk, before).await?;
        }
        Ok(if tokens.is_empty() { End::Undo(0) } else { End::Keep(tokens.len() as u64) })
    }
}

impl Fold {
    async fn end_of_oldest(&self, session: &mut dyn Session) -> Result<Option<Time>, Failure> {
        let oldest = "SELECT min(hour) AS hour FROM (SELECT min(hour) AS hour FROM api_token_usage_hours UNION ALL \
                      SELECT min(hour) AS hour FROM api_token_refusals) AS oldest";
        let rows = session.query(oldest.into(), &[]).await?;
        let oldest = rows.first().map(|row| row.time("hour")).transpose()?.flatten();
        let end = oldest.filter(|oldest| *oldest < self.before).map(|oldest| oldest.day().checked_add(DAY));
        Ok(end.map(|end| end.unwrap_or(Time::MAX).min(self.before)))
    }

    async fn fold(&self, session: &mut dyn Session, tokens: &[TokenId], before: Time) -> Result<(), Failure> {
        let (marks, mut arguments) = list(tokens.iter().map(|token| Value::from(*token)));
        arguments.push(before.into());
        let lock = self.lock;
        let mut days: BTreeMap<(TokenId, Time, u32), u64> = BTreeMap::new();
        let hours = format!(
            "SELECT token, hour, uses FROM api_token_usage_hours WHERE token IN ({marks}) AND hour < ? \
             ORDER BY token, hour, generation{lock}"
        );
        let hours = session.query(hours.into(), &arguments).await?;
        for row in &hours {
            let (token, day, count) = (row.need_id("token")?, row.need_time("hour")?.day(), row.need("uses")?);
            add(days.entry((token, day, 0)).or_default(), count);
        }
        let refusals = format!(
            "SELECT token, hour, reason, refusals FROM api_token_refusals WHERE token IN ({marks}) AND hour < ? \
             ORDER BY token, hour, reason{lock}"
        );
        let refusals = session.query(refusals.into(), &arguments).await?;
        for row in &refusals {
            let (token, day, count) = (row.need_id("token")?, row.need_time("hour")?.day(), row.need("refusals")?);
            add(days.entry((token, day, row.need("reason")?)).or_default(), count);
        }
        let days = days.iter().map(|((token, day, reason), count)| values![*token, *day, *reason, kept(*count)]);
        session.tally(&[(Tally::Days, days.flatten().collect())]).await?;
        for (table, read) in [("api_token_usage_hours", hours.len()), ("api_token_refusals", refusals.len())] {
            let delete = format!("DELETE FROM {table} WHERE token IN ({marks}) AND hour < ?");
            let deleted = session.execute(delete.into(), &arguments).await?;
            // A flush that was late by days may have come in between: what was not read is not to go.
            if deleted != read as u64 {
                return Err(StoreError::from(Fault::Serialization).into());
            }
        }
        Ok(())
    }
}

pub(super) struct Forgetting {
    pub(super) forget: Forget,
    pub(super) limit: u32,
}

/// Old rows of one table: its key, and the column that says how old they are.
struct Old {
    table: &'static str,
    key: &'static [&'static str],
    age: &'static str,
}

const DAYS: Old = Old { table: "api_token_usage_days", key: &["token", "day", "reason"], age: "day" };
const SOURCES: Old = Old { table: "api_token_usage_sources", key: &["token", "network"], age: "last_day" };
const CALLS: Old = Old { table: "api_token_usage_calls", key: &["token", "slot"], age: "at" };
const SIGNALS: Old = Old { table: "api_token_signals", key: &["token", "kind", "subject"], age: "last_at" };

#[async_trait]
impl Work for Forgetting {
    type Done = u64;

    async fn run(&self, session: &mut dyn Session) -> Result<End<u64>, Failure> {
        let Forget { days, sources, calls, signals } = self.forget;
        let mut deleted = 0;
        for (old, before) in [(DAYS, days), (SOURCES, sources.day()), (CALLS, calls), (SIGNALS, signals)] {
            deleted += old.delete(session, before, self.limit).await?;
        }
        Ok(if deleted == 0 { End::Undo(0) } else { End::Keep(deleted) })
    }
}

impl Old {
    async fn delete(&self, session: &mut dyn Session, before: Time, limit: u32) -> Result<u64, Failure> {
        let Old { table, key, age } = self;
        let find = format!("SELECT {} FROM {table} WHERE {age} < ? ORDER BY {age} LIMIT ?", key.join(", "));
        let found = session.query(find.into(), &values![before, limit]).await?;
        let mut keys = found.iter().map(|row| self.key_of(&**row)).collect::<Result<Vec<_>, _>>()?;
        keys.sort_unstable();
        let mut deleted = 0;
        for chunk in keys.chunks(KEYS) {
            let one = key.iter().map(|column| format!("{column} = ?")).collect::<Vec<_>>().join(" AND ");
            let any = vec![format!("({one})"); chunk.len()].join(" OR ");
            // Asked again: one may have been seen since.
            let delete = format!("DELETE FROM {table} WHERE {age} < ? AND ({any})");
            let mut arguments = vec![Value::from(before)];
            arguments.extend(chunk.iter().flatten().map(Part::value));
            deleted += session.execute(delete.into(), &arguments).await?;
        }
        Ok(deleted)
    }

    fn key_of(&self, row: &dyn Row) -> Result<Vec<Part>, BadColumn> {
        self.key
            .iter()
            .map(|column| {
                Ok(match *column {
                    "token" => Part::Id(row.need_id(column)?),
                    "day" => Part::Time(row.need_time(column)?),
                    "network" | "subject" => Part::Text(row.need_text(column)?.to_owned()),
                    _ => Part::Int(row.need_int(column)?),
                })
            })
            .collect()
    }
}

/// A part of a key.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Id(TokenId),
    Time(Time),
    Text(String),
    Int(i64),
}

impl Part {
    fn value(&self) -> Value<'_> {
        match self {
            Part::Id(id) => (*id).into(),
            Part::Time(time) => (*time).into(),
            Part::Text(text) => text.as_str().into(),
            Part::Int(number) => (*number).into(),
        }
    }
}
