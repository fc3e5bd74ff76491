//! What was called lately: a sample, and said to be one.

use token_core::{OwnerId, RecentCall};

use crate::dates::{Dates, Moment};
use crate::words as w;

use super::{Visit, usage};

/// Calls, the latest first.
#[derive(Debug)]
pub(crate) struct Activity {
    pub(crate) calls: Vec<CallRow>,
    /// Whether each is to say whose it is.
    pub(crate) names: bool,
}

#[derive(Debug)]
pub(crate) struct CallRow {
    pub(crate) at: Moment,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) route: Option<String>,
    /// Why it was refused.
    pub(crate) refused: Option<&'static str>,
    pub(crate) address: Option<String>,
}

/// Of all tokens, so many.
const SHOWN: u32 = 10;

impl Activity {
    pub(super) fn of(calls: &[RecentCall], dates: &Dates, names: bool) -> Activity {
        let row = |call: &RecentCall| CallRow {
            at: dates.moment(call.at),
            id: call.token.to_string(),
            name: call.name.to_string(),
            method: call.method.clone(),
            route: call.route.clone(),
            refused: call.refused.map(|reason| w::reason(reason).0),
            address: call.address.map(|address| address.to_string()),
        };
        Activity { calls: calls.iter().map(row).collect(), names }
    }
}

/// `None` if it can't be read: then the page says so elsewhere.
pub(super) async fn activity(visit: &Visit<'_>, owner: Option<&OwnerId>) -> Option<Activity> {
    let calls = visit.manage().recent_calls(owner, SHOWN).await.map_err(|error| usage::note(&error)).ok()?;
    Some(Activity::of(&calls, &visit.dates, true))
}
