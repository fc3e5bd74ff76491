//! Tallies: added in a few sorted statements, whose rows fall on tokens that exist.

use std::collections::BTreeMap;

use async_trait::async_trait;
use token_core::{
    Generation, HourOfUse, LastUse, Reason, Redigest, RefusalTally, Selector, StoreError, Tallies, Time, TokenId, Usage,
};

use super::SqlStore;
use super::work::{End, Work};
use crate::dialect::{Row, Session, Tally};
use crate::error::{BadColumn, Failure};
use crate::rows;
use crate::value::{Value, values};

/// Rows of one statement.
const ROWS: usize = 1000;

impl SqlStore {
    pub(super) async fn record_tallies(&self, tallies: &Tallies) -> Result<(), StoreError> {
        if tallies.is_empty() {
            return Ok(());
        }
        self.transact(&Record(Sorted::of(tallies))).await
    }

    pub(super) async fn usage_of(&self, token: TokenId, since: Time) -> Result<Usage, StoreError> {
        let last = "SELECT generation, at, address FROM api_token_usage_last WHERE token = ? ORDER BY generation";
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

fn hour_of_use(row: &dyn Row) -> Result<HourOfUse, BadColumn> {
    Ok(HourOfUse { generation: row.generation("generation")?, hour: row.need_time("hour")?, count: row.need("uses")? })
}

fn refusal(row: &dyn Row) -> Result<RefusalTally, BadColumn> {
    let reason = Reason::from_code(row.need("reason")?);
    Ok(RefusalTally {
        token: row.need_id("token")?,
        reason: reason.ok_or_else(|| BadColumn::new("reason", "this version does not know the reason"))?,
        hour: row.need_time("hour")?,
        count: row.need("refusals")?,
    })
}

/// Tallies with one row for each key, in the order of the keys: two flushes that meet lock in the same order, and no
/// statement writes a row twice.
struct Sorted<'a> {
    last: BTreeMap<(TokenId, Generation), LastUse>,
    hours: BTreeMap<(TokenId, Time, Generation), u64>,
    refusals: BTreeMap<(TokenId, Time, u8), u64>,
    redigests: BTreeMap<(Selector, &'a str), &'a Redigest>,
}

impl<'a> Sorted<'a> {
    fn of(tallies: &'a Tallies) -> Sorted<'a> {
        let mut sorted = Sorted {
            last: BTreeMap::new(),
            hours: BTreeMap::new(),
            refusals: BTreeMap::new(),
            redigests: BTreeMap::new(),
        };
        for tally in &tallies.uses {
            let last = sorted.last.entry((tally.token, tally.generation)).or_insert(tally.last);
            if tally.last.at > last.at {
                *last = tally.last;
            }
            add(sorted.hours.entry((tally.token, tally.hour, tally.generation)).or_default(), tally.count);
        }
        for tally in &tallies.refusals {
            add(sorted.refusals.entry((tally.token, tally.hour, tally.reason.code())).or_default(), tally.count);
        }
        for redigest in &tallies.redigests {
            sorted.redigests.insert((redigest.selector, redigest.from.as_str()), redigest);
        }
        sorted
    }
}

fn add(count: &mut u64, more: u64) {
    *count = count.saturating_add(more);
}

/// A count as it is kept: at the largest number it stays.
fn kept(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

struct Record<'a>(Sorted<'a>);

#[async_trait]
impl Work for Record<'_> {
    type Done = ();

    async fn run(&self, session: &mut dyn Session) -> Result<End<()>, Failure> {
        let Record(Sorted { last, hours, refusals, redigests }) = self;
        let last = last.iter().map(|((token, generation), last)| {
            [(*token).into(), generation.number().into(), last.at.into(), last.address.map(|ip| ip.to_string()).into()]
        });
        let hours = hours.iter().map(|((token, hour, generation), count)| {
            [(*token).into(), (*hour).into(), generation.number().into(), kept(*count).into()]
        });
        let refusals = refusals.iter().map(|((token, hour, reason), count)| {
            [(*token).into(), (*hour).into(), u32::from(*reason).into(), kept(*count).into()]
        });
        let redigests = redigests.iter().map(|((selector, from), redigest)| {
            [selector.as_bytes().into(), (*from).into(), redigest.to.as_str().into(), redigest.digest.as_bytes().into()]
        });
        write(session, Tally::LastUses, last.collect()).await?;
        write(session, Tally::Hours, hours.collect()).await?;
        write(session, Tally::Refusals, refusals.collect()).await?;
        write(session, Tally::Digests, redigests.collect()).await?;
        Ok(End::Keep(()))
    }
}

async fn write(session: &mut dyn Session, kind: Tally, rows: Vec<[Value<'_>; 4]>) -> Result<(), Failure> {
    for chunk in rows.chunks(ROWS) {
        session.tally(kind, chunk).await?;
    }
    Ok(())
}
