//! Usage as pages show it: bars of days, with a sentence that says the same.

use std::time::Duration;

use token_core::{Generation, Listed, ManageError, Time, TokenUsage};

use crate::dates::{Dates, Moment};
use crate::words as w;

use super::Visit;
use super::revoke::Impact;
use super::row::Row;

/// How many days the bars of a list show.
pub(super) const DAYS: u32 = 30;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Requests of one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

/// A chart of days, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Bars {
    /// One path for all of it.
    pub(crate) path: String,
    pub(crate) width: usize,
    /// What it shows, for those who don't see it.
    pub(crate) sentence: String,
    pub(crate) total: String,
    pub(crate) refused: Option<String>,
}

/// When and from where a value was last used.
#[derive(Debug, Clone)]
pub(crate) struct LastUsed {
    pub(crate) at: Moment,
    pub(crate) from: Option<String>,
    pub(crate) client: Option<String>,
}

/// What a row shows of usage.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) bars: Bars,
    /// The last use of any of its values.
    pub(crate) last: Option<LastUsed>,
}

/// The height of a chart, and the room of a day in it.
const HEIGHT: u64 = 24;
const STEP: usize = 5;

impl Bars {
    pub(crate) fn of(days: &[Day]) -> Bars {
        let highest = days.iter().map(|day| day.accepted + day.refused).max().unwrap_or(0).max(1);
        let mut path = String::new();
        for (index, day) in days.iter().enumerate() {
            let count = day.accepted + day.refused;
            if count > 0 {
                // What was used at all is seen.
                let height = (count * HEIGHT / highest).max(2);
                path.push_str(&format!("M{} {HEIGHT}v-{height}", index * STEP + 2));
            }
        }
        let accepted = days.iter().map(|day| day.accepted).sum();
        let refused = days.iter().map(|day| day.refused).sum();
        Bars {
            path,
            width: days.len() * STEP,
            sentence: w::usage_sentence(days.len(), accepted, refused),
            total: w::short_number(accepted + refused),
            refused: (refused > 0).then(|| w::short_number(refused)),
        }
    }
}

/// So many days up to the present one, oldest first, with nothing where nothing happened.
pub(super) fn days(usage: &TokenUsage, now: Time, count: u32) -> Vec<Day> {
    let today = now.as_micros() / micros(DAY);
    let mut days = vec![Day::default(); usize::try_from(count).unwrap_or(0)];
    for of in &usage.days {
        let ago = usize::try_from(today - of.day.as_micros() / micros(DAY)).unwrap_or(usize::MAX);
        let index = days.len().checked_sub(1).and_then(|last| last.checked_sub(ago));
        if let Some(day) = index.and_then(|index| days.get_mut(index)) {
            day.accepted += of.uses;
            day.refused += of.refusals;
        }
    }
    days
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// The last use of one secret, or of all of them.
pub(super) fn last(usage: &TokenUsage, of: Option<Generation>, dates: &Dates) -> Option<LastUsed> {
    let uses = usage.last.iter().filter(|(generation, _)| of.is_none_or(|of| of == *generation));
    let (_, last) = uses.max_by_key(|(_, last)| last.at)?;
    Some(LastUsed {
        at: dates.moment(last.at),
        from: last.address.map(|address| address.to_string()),
        client: last.client.as_ref().map(|client| client.as_str().to_owned()),
    })
}

impl Row {
    /// The row with what is known of its token's usage.
    pub(super) fn with_usage(mut self, usage: &TokenUsage, listed: &Listed, dates: &Dates) -> Row {
        let old = listed.token.superseded.map(|old| old.secret.generation);
        self.old_use = self.old.is_some().then(|| match last(usage, old, dates) {
            Some(last) => w::last_used(&last.at.relative, last.from.as_deref()),
            None => w::NEVER_USED.to_owned(),
        });
        self.use_of = Some(Shown { bars: Bars::of(&days(usage, dates.now, DAYS)), last: last(usage, None, dates) });
        self
    }
}

/// Who will be turned away by a revocation. What can't be known now is not taken for nobody.
pub(super) async fn impact(visit: &Visit<'_>, listed: &Listed) -> Impact {
    if listed.token.state(visit.dates.now) != token_core::TokenState::Live {
        return Impact { says: w::IMPACT_DEAD.to_owned(), is_used: false };
    }
    match visit.manage().usage_detail(listed.token.id).await {
        Ok(detail) => {
            let lately = detail.usage.last_used().is_some_and(|last| visit.dates.now.since(last) < DAY);
            let hour = detail.last_hour;
            let says = match (hour.uses, lately) {
                (0, false) => w::IMPACT_NONE.to_owned(),
                (0, true) => w::IMPACT_LATELY.to_owned(),
                (uses, _) => w::impact(uses, hour.sources),
            };
            Impact { says, is_used: lately || hour.uses > 0 }
        }
        Err(error) => {
            note(&error);
            Impact { says: w::IMPACT_UNKNOWN.to_owned(), is_used: true }
        }
    }
}

/// The page goes on without usage, and says so; why is for the operator.
pub(super) fn note(error: &ManageError) {
    tracing::error!(%error, "a page is shown without usage, which can't be read");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_one_path_and_a_sentence() {
        let day = |accepted, refused| Day { accepted, refused };
        let bars = Bars::of(&[day(0, 0), day(31_000, 236), day(1, 0)]);
        assert_eq!(bars.path, "M7 24v-24M12 24v-2");
        assert_eq!(bars.sentence, "Last 3 days: 31,001 accepted, 236 refused");
        assert_eq!((bars.total.as_str(), bars.refused.as_deref()), ("31.2k", Some("236")));
        assert_eq!(Bars::of(&[day(0, 0)]).path, "");
    }
}
