//! What is asked of stored usage: each answer takes a statement or two, whose rows are bounded by what was asked for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use token_core::{
    Busy, BusyQuery, DayOfUse, NovelSource, Reason, RecentCall, ScopeName, ScopeUse, Signal, SignalKind, Source,
    StoreError, Time, TokenId, TokenName, TokenUsage, Whose,
};

use super::SqlStore;
use super::usage::{add, reason};
use super::work::CHUNK;
use crate::dialect::Row;
use crate::error::BadColumn;
use crate::rows;
use crate::value::{Value, list, values};

/// Marks of a list of tokens, and the arguments.
fn tokens_in(tokens: &[TokenId]) -> (String, Vec<Value<'static>>) {
    list(tokens.iter().map(|token| Value::from(*token)))
}

/// A column of the last uses of the two latest secrets that were used of each token, whose ids come twice: those that can be in use are
/// among them. A token that is rotated each hour has thousands of others, so these are come to one by one, from the end of an index.
fn latest(column: &str, marks: &str) -> String {
    let one = |later: u32| {
        format!(
            "SELECT t.id AS token, (SELECT l.{column} FROM api_token_usage_last l WHERE l.token = t.id \
             ORDER BY l.generation DESC LIMIT 1 OFFSET {later}) AS {column} FROM api_tokens t WHERE t.id IN ({marks})"
        )
    };
    format!("({} UNION ALL {}) AS latest", one(0), one(1))
}

impl SqlStore {
    pub(super) async fn summaries_of(
        &self,
        tokens: &[TokenId],
        since: Time,
        signals_since: Time,
    ) -> Result<Vec<TokenUsage>, StoreError> {
        let mut summaries = HashMap::new();
        for chunk in tokens.chunks(CHUNK) {
            self.read_days(chunk, since, &mut summaries).await?;
            self.read_marks(chunk, signals_since, &mut summaries).await?;
        }
        Ok(summaries.into_values().collect())
    }

    /// Days, with the hours that were not folded into one yet, by reason.
    async fn read_days(
        &self,
        tokens: &[TokenId],
        since: Time,
        into: &mut HashMap<TokenId, TokenUsage>,
    ) -> Result<(), StoreError> {
        let (marks, ids) = tokens_in(tokens);
        let (day, uses, refusals) = (self.dialect.day("hour"), self.dialect.sum("uses"), self.dialect.sum("refusals"));
        let sql = format!(
            "SELECT token, day, reason, requests FROM api_token_usage_days WHERE token IN ({marks}) AND day >= ? \
             UNION ALL SELECT token, {day} AS day, 0 AS reason, {uses} AS requests FROM api_token_usage_hours \
             WHERE token IN ({marks}) AND hour >= ? GROUP BY token, {day} \
             UNION ALL SELECT token, {day} AS day, reason, {refusals} AS requests FROM api_token_refusals \
             WHERE token IN ({marks}) AND hour >= ? GROUP BY token, {day}, reason"
        );
        let mut arguments = Vec::with_capacity(3 * (ids.len() + 1));
        for _ in 0..3 {
            arguments.extend(ids.iter().cloned());
            arguments.push(since.into());
        }
        let (mut days, mut reasons) = (BTreeMap::new(), BTreeMap::new());
        for (token, day, reason, count) in self.all(sql.into(), &arguments, requests_of_day).await? {
            let sums = days.entry((token, day)).or_insert(DayOfUse { day, uses: 0, refusals: 0 });
            match reason {
                None => add(&mut sums.uses, count),
                Some(reason) => {
                    add(&mut sums.refusals, count);
                    add(reasons.entry((token, reason)).or_default(), count);
                }
            }
        }
        for ((token, _), day) in days {
            of(into, token).days.push(day);
        }
        for ((token, reason), count) in reasons {
            of(into, token).refusals.push((reason, count));
        }
        Ok(())
    }

    /// Last uses, scopes and signals: told apart by the sign of a number.
    async fn read_marks(
        &self,
        tokens: &[TokenId],
        signals_since: Time,
        into: &mut HashMap<TokenId, TokenUsage>,
    ) -> Result<(), StoreError> {
        let (marks, ids) = tokens_in(tokens);
        let latest = latest("generation", &marks);
        let sql = format!(
            "SELECT u.token, u.generation, u.generation AS times, u.address, u.client, u.at, u.at AS began \
             FROM {latest} \
             JOIN api_token_usage_last u ON u.token = latest.token AND u.generation = latest.generation \
             UNION ALL SELECT token, 0, 0, scope, scope, last_at, last_at \
             FROM api_token_usage_scopes WHERE token IN ({marks}) \
             UNION ALL SELECT s.token, -s.kind, s.times, s.subject, t.name, s.last_at, s.first_at \
             FROM api_token_signals s JOIN api_tokens t ON t.id = s.token WHERE s.token IN ({marks}) AND s.last_at >= ?"
        );
        let mut arguments = [ids.clone(), ids.clone(), ids.clone(), ids].concat();
        arguments.push(signals_since.into());
        for (token, mark) in self.all(sql.into(), &arguments, mark).await? {
            let summary = of(into, token);
            match mark {
                Mark::Last(last) => summary.last.push(last),
                Mark::Scope(scope) => summary.scopes.push(scope),
                Mark::Signal(signal) => summary.signals.push(signal),
            }
        }
        for summary in into.values_mut() {
            summary.last.sort_by_key(|(generation, _)| *generation);
            summary.scopes.sort_by(|a, b| a.scope.cmp(&b.scope));
            summary.signals.sort_by(|a, b| (b.last, b.kind, &b.subject).cmp(&(a.last, a.kind, &a.subject)));
        }
        Ok(())
    }

    pub(super) async fn sources_of(&self, token: TokenId, limit: u32) -> Result<Vec<Source>, StoreError> {
        let sql = "SELECT network, first_seen, last_seen, uses, refusals FROM api_token_usage_sources \
                   WHERE token = ? ORDER BY last_seen DESC, network LIMIT ?";
        self.all(sql.into(), &values![token, limit], source).await
    }

    pub(super) async fn calls_of(&self, whose: &Whose, limit: u32) -> Result<Vec<RecentCall>, StoreError> {
        let (condition, mut arguments) = condition(whose);
        // The latest by an index alone, and then what they are: MariaDB would else read and sort them all.
        let sql = format!(
            "SELECT c.token, c.at, c.method, c.route, c.reason, c.address, t.name FROM (\
             SELECT at, token, slot FROM api_token_usage_calls {condition} \
             ORDER BY at DESC, token DESC, slot DESC LIMIT ?) AS latest \
             JOIN api_token_usage_calls c ON c.token = latest.token AND c.slot = latest.slot \
             JOIN api_tokens t ON t.id = c.token ORDER BY latest.at DESC, latest.token DESC, latest.slot DESC"
        );
        arguments.push(limit.into());
        self.all(sql.into(), &arguments, call).await
    }

    pub(super) async fn signals_of(&self, whose: &Whose, since: Time, limit: u32) -> Result<Vec<Signal>, StoreError> {
        let (condition, mut arguments) = condition(whose);
        let and = if condition.is_empty() { "WHERE" } else { "AND" };
        let sql = format!(
            "SELECT s.token, s.kind, s.times, s.subject, s.last_at AS at, s.first_at AS began, \
             (SELECT t.name FROM api_tokens t WHERE t.id = s.token) AS name FROM (\
             SELECT last_at, token, kind, subject FROM api_token_signals {condition} {and} last_at >= ? \
             ORDER BY last_at DESC, token DESC, kind DESC, subject DESC LIMIT ?) AS latest \
             JOIN api_token_signals s ON s.token = latest.token AND s.kind = latest.kind AND s.subject = latest.subject \
             ORDER BY latest.last_at DESC, latest.token DESC, latest.kind DESC, latest.subject DESC"
        );
        arguments.extend(values![since, limit]);
        let read = |row: &dyn Row| signal(row, row.need("kind")?, "subject", "name");
        self.all(sql.into(), &arguments, read).await
    }

    pub(super) async fn last_used_of(&self, tokens: &[TokenId]) -> Result<Vec<(TokenId, Time)>, StoreError> {
        let mut found = Vec::new();
        for chunk in tokens.chunks(CHUNK) {
            let (marks, ids) = tokens_in(chunk);
            // Of both, since the old value may have been used after the new one.
            let latest = latest("at", &marks);
            let sql = format!("SELECT token, max(at) AS at FROM {latest} GROUP BY token HAVING max(at) IS NOT NULL");
            let read = |row: &dyn Row| Ok((row.need_id("token")?, row.need_time("at")?));
            found.extend(self.all(sql.into(), &[ids.clone(), ids].concat(), read).await?);
        }
        Ok(found)
    }

    pub(super) async fn novel_sources_of(
        &self,
        tokens: &[TokenId],
        since: Time,
        limit: u32,
    ) -> Result<Vec<NovelSource>, StoreError> {
        let mut found = Vec::new();
        for chunk in tokens.chunks(CHUNK) {
            let (marks, ids) = tokens_in(chunk);
            // When a token began is looked up once, and not for each source of one that comes from everywhere.
            let sql = format!(
                "SELECT s.token, s.network, s.first_seen, s.last_seen, s.uses, s.refusals, b.began \
                 FROM api_token_usage_sources s JOIN (SELECT token, min(first_seen) AS began \
                 FROM api_token_usage_sources WHERE token IN ({marks}) GROUP BY token) AS b ON b.token = s.token \
                 WHERE s.token IN ({marks}) AND s.first_seen >= ? ORDER BY s.last_seen DESC LIMIT ?"
            );
            let mut arguments = [ids.clone(), ids].concat();
            arguments.extend(values![since, limit]);
            let read = |row: &dyn Row| {
                Ok(NovelSource { token: row.need_id("token")?, began: row.need_time("began")?, source: source(row)? })
            };
            found.extend(self.all(sql.into(), &arguments, read).await?);
        }
        // Each statement answered its own latest.
        found.sort_by_key(|novel| Reverse(novel.source.last_seen));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    pub(super) async fn busy_of(&self, query: &BusyQuery<'_>) -> Result<Vec<Busy>, StoreError> {
        let (uses, refusals) = (self.dialect.sum("uses"), self.dialect.sum("refusals"));
        let BusyQuery { tokens, hour, since, uses: least_uses, refusals: least_refusals } = *query;
        let mut found = Vec::new();
        for chunk in tokens.chunks(CHUNK) {
            let (marks, ids) = tokens_in(chunk);
            let sql = format!(
                "SELECT * FROM (SELECT t.id AS token, t.created_at, \
                 coalesce((SELECT {uses} FROM api_token_usage_hours WHERE token = t.id AND hour = ?), 0) AS uses, \
                 coalesce((SELECT {refusals} FROM api_token_refusals WHERE token = t.id AND hour = ?), 0) AS refusals, \
                 coalesce((SELECT max(uses) FROM api_token_usage_hours \
                 WHERE token = t.id AND hour >= ? AND hour < ?), 0) AS uses_before, \
                 coalesce((SELECT max(refusals) FROM api_token_refusals \
                 WHERE token = t.id AND hour >= ? AND hour < ?), 0) AS refusals_before \
                 FROM api_tokens t WHERE t.id IN ({marks})) AS b WHERE b.uses >= ? OR b.refusals >= ?"
            );
            let mut arguments = Vec::from(values![hour, hour, since, hour, since, hour]);
            arguments.extend(ids);
            arguments.extend(values![super::usage::kept(least_uses), super::usage::kept(least_refusals)]);
            found.extend(self.all(sql.into(), &arguments, busy).await?);
        }
        Ok(found)
    }
}

fn of(summaries: &mut HashMap<TokenId, TokenUsage>, token: TokenId) -> &mut TokenUsage {
    summaries.entry(token).or_insert_with(|| TokenUsage::none(token))
}

/// The rows that are asked for.
fn condition(whose: &Whose) -> (&'static str, Vec<Value<'_>>) {
    match whose {
        Whose::Everyone => ("", Vec::new()),
        Whose::Owner(owner) => ("WHERE owner = ?", vec![owner.as_str().into()]),
        Whose::Token(token) => ("WHERE token = ?", vec![(*token).into()]),
    }
}

fn requests_of_day(row: &dyn Row) -> Result<(TokenId, Time, Option<Reason>, u64), BadColumn> {
    let reason = match row.need("reason")? {
        0 => None,
        code => Some(reason(code)?),
    };
    Ok((row.need_id("token")?, row.need_time("day")?, reason, row.need("requests")?))
}

enum Mark {
    Last((token_core::Generation, token_core::LastUse)),
    Scope(ScopeUse),
    Signal(Signal),
}

fn mark(row: &dyn Row) -> Result<(TokenId, Mark), BadColumn> {
    let number = row.need_int("generation")?;
    let mark = match number {
        1.. => Mark::Last(rows::last_use(row)?),
        0 => {
            let scope = ScopeName::new(row.need_text("address")?).map_err(|error| BadColumn::new("scope", error))?;
            Mark::Scope(ScopeUse { scope, last: row.need_time("at")? })
        }
        _ => {
            let kind = number.checked_neg().and_then(|code| u8::try_from(code).ok()).unwrap_or(0);
            Mark::Signal(signal(row, kind, "address", "client")?)
        }
    };
    Ok((row.need_id("token")?, mark))
}

fn signal(row: &dyn Row, kind: u8, subject: &'static str, name: &'static str) -> Result<Signal, BadColumn> {
    let kind = SignalKind::from_code(kind)
        .ok_or_else(|| BadColumn::new("kind", "this version does not know the kind of signal"))?;
    Ok(Signal {
        token: row.need_id("token")?,
        name: TokenName::new(row.need_text(name)?).map_err(|error| BadColumn::new("name", error))?,
        kind,
        subject: row.need_text(subject)?.to_owned(),
        first: row.need_time("began")?,
        last: row.need_time("at")?,
        count: row.need("times")?,
    })
}

fn source(row: &dyn Row) -> Result<Source, BadColumn> {
    Ok(Source {
        network: row.need_text("network")?.parse().map_err(|error| BadColumn::new("network", error))?,
        first_seen: row.need_time("first_seen")?,
        last_seen: row.need_time("last_seen")?,
        uses: row.need("uses")?,
        refusals: row.need("refusals")?,
    })
}

fn call(row: &dyn Row) -> Result<RecentCall, BadColumn> {
    let code = row.int("reason")?.map(|code| u8::try_from(code).unwrap_or(0));
    Ok(RecentCall {
        at: row.need_time("at")?,
        token: row.need_id("token")?,
        name: TokenName::new(row.need_text("name")?).map_err(|error| BadColumn::new("name", error))?,
        method: row.need_text("method")?.to_owned(),
        route: row.text("route")?.map(str::to_owned),
        refused: code.map(reason).transpose()?,
        address: rows::address(row, "address")?,
    })
}

fn busy(row: &dyn Row) -> Result<Busy, BadColumn> {
    Ok(Busy {
        token: row.need_id("token")?,
        created_at: row.need_time("created_at")?,
        uses: row.need("uses")?,
        refusals: row.need("refusals")?,
        uses_before: row.need("uses_before")?,
        refusals_before: row.need("refusals_before")?,
    })
}
