//! Tallies: added in a few sorted statements, whose rows fall on tokens that exist.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use token_core::{
    CallTally, Fault, Generation, HourOfUse, LastUse, Reason, Redigest, RefusalTally, Selector, SignalTally,
    SourceTally, StoreError, Tallies, Time, TokenId, Usage,
};
use tracing::Instrument as _;

use super::SqlStore;
use super::work::{End, Work, transact};
use crate::dialect::{Dialect, Row, Session, Tally};
use crate::error::{BadColumn, Failure};
use crate::rows;
use crate::value::values;

impl SqlStore {
    pub(super) async fn record_tallies(&self, tallies: &Tallies) -> Result<(), StoreError> {
        if tallies.is_empty() {
            return Ok(());
        }
        // By a task: a caller who gives up may come back for the answer, and holds no locks until then.
        let (dialect, tallies) = (Arc::clone(&self.dialect), tallies.clone());
        let recording = tokio::spawn(async move { record(&*dialect, &tallies).await }.in_current_span());
        // It panicked, or its runtime ended.
        recording.await.unwrap_or_else(|error| Err(StoreError::new(Fault::OutcomeUnknown, error)))
    }

    pub(super) async fn usage_of(&self, token: TokenId, since: Time) -> Result<Usage, StoreError> {
        let last = "SELECT generation, at, address, client FROM (\
                    SELECT generation, at, address, client FROM api_token_usage_last WHERE token = ? \
                    ORDER BY generation DESC LIMIT 100) AS latest ORDER BY generation";
        let hours = "SELECT hour, generation, uses FROM api_token_usage_hours WHERE token = ? AND hour >= ? \
                     ORDER BY hour, generation";
        let refusals = "SELECT token, hour, reason, refusals FROM api_token_refusals WHERE token = ? AND hour >= ? \
                        ORDER BY hour, reason";
        Ok(Usage {
            last: self.all(last.into(), &values![token], rows::last_use).await?,
            hours: self.all(hours.into(), &values![token, since], hour_of_use).await?,
            refusals: self.all(refusals.into(), &values![token, since], refusal).await?,
        })
    }
}

async fn record(dialect: &dyn Dialect, tallies: &Tallies) -> Result<(), StoreError> {
    let sorted = Sorted::of(tallies);
    // By themselves: a secret's row that was locked to be counted for, and then to be written, is one that a purge stands
    // between. First, since they may be written twice and counts may not.
    if !sorted.redigests.is_empty() {
        let written = transact(dialect, &Remake(&sorted)).await;
        written.map_err(|error| match error.fault() {
            Fault::OutcomeUnknown => StoreError::new(Fault::ConnectionLost, error),
            _ => error,
        })?;
    }
    transact(dialect, &Record(sorted)).await
}

fn hour_of_use(row: &dyn Row) -> Result<HourOfUse, BadColumn> {
    Ok(HourOfUse { generation: row.generation("generation")?, hour: row.need_time("hour")?, count: row.need("uses")? })
}

pub(super) fn reason(code: u8) -> Result<Reason, BadColumn> {
    Reason::from_code(code).ok_or_else(|| BadColumn::new("reason", "this version does not know the reason"))
}

fn refusal(row: &dyn Row) -> Result<RefusalTally, BadColumn> {
    Ok(RefusalTally {
        token: row.need_id("token")?,
        reason: reason(row.need("reason")?)?,
        hour: row.need_time("hour")?,
        count: row.need("refusals")?,
    })
}

/// Tallies with one row for each key, in the order of the keys: two flushes that meet lock in the same order, and no
/// statement writes a row twice.
#[derive(Default)]
struct Sorted<'a> {
    last: BTreeMap<(TokenId, Generation), &'a LastUse>,
    hours: BTreeMap<(TokenId, Time, Generation), u64>,
    refusals: BTreeMap<(TokenId, Time, u8), u64>,
    sources: BTreeMap<(TokenId, String), SourceTally>,
    scopes: BTreeMap<(TokenId, &'a str), Time>,
    calls: BTreeMap<(TokenId, u8), &'a CallTally>,
    signals: BTreeMap<(TokenId, u8, &'a str), SignalTally>,
    redigests: BTreeMap<(Selector, &'a str), &'a Redigest>,
}

impl<'a> Sorted<'a> {
    fn of(tallies: &'a Tallies) -> Sorted<'a> {
        let mut sorted = Sorted::default();
        for tally in &tallies.uses {
            let last = sorted.last.entry((tally.token, tally.generation)).or_insert(&tally.last);
            if tally.last.at > last.at {
                *last = &tally.last;
            }
            add(sorted.hours.entry((tally.token, tally.hour, tally.generation)).or_default(), tally.count);
        }
        for tally in &tallies.refusals {
            add(sorted.refusals.entry((tally.token, tally.hour, tally.reason.code())).or_default(), tally.count);
        }
        for tally in &tallies.sources {
            let key = (tally.token, tally.network.to_string());
            let none = || SourceTally { uses: 0, refusals: 0, ..tally.clone() };
            let source = sorted.sources.entry(key).or_insert_with(none);
            source.first = source.first.min(tally.first);
            source.last = source.last.max(tally.last);
            add(&mut source.uses, tally.uses);
            add(&mut source.refusals, tally.refusals);
        }
        for tally in &tallies.scopes {
            let last = sorted.scopes.entry((tally.token, tally.scope.as_str())).or_insert(tally.last);
            *last = tally.last.max(*last);
        }
        for tally in &tallies.calls {
            let call = sorted.calls.entry((tally.token, tally.slot)).or_insert(tally);
            if tally.at > call.at {
                *call = tally;
            }
        }
        for tally in &tallies.signals {
            let key = (tally.token, tally.kind.code(), tally.subject.as_str());
            let signal = sorted.signals.entry(key).or_insert_with(|| SignalTally { count: 0, ..tally.clone() });
            signal.first = signal.first.min(tally.first);
            signal.last = signal.last.max(tally.last);
            if tally.kind.adds_up() {
                add(&mut signal.count, tally.count);
            } else {
                signal.count = signal.count.max(tally.count);
            }
        }
        for redigest in &tallies.redigests {
            sorted.redigests.insert((redigest.selector, redigest.from.as_str()), redigest);
        }
        sorted
    }
}

pub(super) fn add(count: &mut u64, more: u64) {
    *count = count.saturating_add(more);
}

/// A count as it is kept: at the largest number it stays.
pub(super) fn kept(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

struct Remake<'a>(&'a Sorted<'a>);

#[async_trait]
impl Work for Remake<'_> {
    type Done = ();

    async fn run(&self, session: &mut dyn Session) -> Result<End<()>, Failure> {
        let redigests = self.0.redigests.iter().map(|((selector, from), redigest)| {
            values![selector.as_bytes(), *from, redigest.to.as_str(), redigest.digest.as_bytes()]
        });
        session.tally(&[(Tally::Digests, redigests.flatten().collect())]).await?;
        Ok(End::Keep(()))
    }
}

struct Record<'a>(Sorted<'a>);

#[async_trait]
impl Work for Record<'_> {
    type Done = ();

    async fn run(&self, session: &mut dyn Session) -> Result<End<()>, Failure> {
        let Record(Sorted { last, hours, refusals, sources, scopes, calls, signals, redigests: _ }) = self;
        let last = last.iter().map(|((token, generation), last)| {
            let client = last.client.as_ref().map(token_core::Client::as_str);
            values![*token, generation.number(), last.at, last.address.map(|ip| ip.to_string()), client]
        });
        let hours = hours
            .iter()
            .map(|((token, hour, generation), count)| values![*token, *hour, generation.number(), kept(*count)]);
        let refusals = refusals
            .iter()
            .map(|((token, hour, reason), count)| values![*token, *hour, u32::from(*reason), kept(*count)]);
        let sources = sources.iter().map(|((token, network), source)| {
            let SourceTally { first, last, uses, refusals, .. } = source;
            values![*token, network.as_str(), *first, *last, last.day(), kept(*uses), kept(*refusals)]
        });
        let scopes = scopes.iter().map(|((token, scope), last)| values![*token, *scope, *last]);
        let calls = calls.iter().map(|((token, slot), call)| {
            let CallTally { at, method, route, refused, address, .. } = call;
            let reason = refused.map(|reason| u32::from(reason.code()));
            let address = address.map(|ip| ip.to_string());
            values![*token, u32::from(*slot), *at, method.as_str(), route.as_deref(), reason, address]
        });
        let signals = signals.iter().map(|((token, kind, subject), signal)| {
            values![*token, u32::from(*kind), *subject, signal.first, signal.last, kept(signal.count)]
        });
        // In this order everywhere, for the same reason as the keys are.
        let kinds = [
            (Tally::LastUses, last.flatten().collect()),
            (Tally::Hours, hours.flatten().collect()),
            (Tally::Refusals, refusals.flatten().collect()),
            (Tally::Sources, sources.flatten().collect()),
            (Tally::Scopes, scopes.flatten().collect()),
            (Tally::Calls, calls.flatten().collect()),
            (Tally::Signals, signals.flatten().collect::<Vec<_>>()),
        ];
        let kinds: Vec<_> = kinds.into_iter().filter(|(_, rows)| !rows.is_empty()).collect();
        session.tally(&kinds).await?;
        Ok(End::Keep(()))
    }
}
