//! What needs attention: a sentence and one thing to do about it.

use token_core::{Advice, Concern, ConcernKind, OwnerId, Signal, SignalKind};

use crate::dates::{Dates, duration};
use crate::words as w;

use super::{Visit, usage};

/// What should be looked into, by all that is known.
#[derive(Debug)]
pub(crate) struct Needed {
    pub(crate) heading: String,
    pub(crate) items: Vec<Item>,
    /// What is shown when it is asked for, and how much that is.
    pub(crate) rest: Vec<Item>,
    pub(crate) rest_says: String,
}

#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) says: String,
    /// Whether someone else may have a hand in it.
    pub(crate) is_serious: bool,
    pub(crate) url: String,
    pub(crate) action: &'static str,
}

/// So many are shown at once; of those that are suspicious, all.
const SHOWN: usize = 4;

/// `None` if nothing does, or if that can't be known: then the page says so elsewhere.
pub(super) async fn needed(visit: &Visit<'_>, owner: Option<&OwnerId>) -> Option<Needed> {
    let attention = visit.manage().attention(owner).await.map_err(|error| usage::note(&error)).ok()?;
    if attention.items.is_empty() {
        return None;
    }
    let count = attention.items.len();
    let mut items: Vec<Item> = attention.items.iter().filter_map(|concern| item(visit, concern)).collect();
    let serious = items.iter().filter(|item| item.is_serious).count();
    let rest = items.split_off(items.len().min(SHOWN.max(serious)));
    let heading = w::needs_attention(if attention.more { w::at_least(count) } else { count.to_string() });
    Some(Needed { heading, items, rest_says: w::more(rest.len()), rest })
}

fn item(visit: &Visit<'_>, concern: &Concern) -> Option<Item> {
    let (says, action, page) = match &concern.kind {
        ConcernKind::Signal(signal) => (of_signal(signal, &visit.dates)?, w::LOOK, ""),
        ConcernKind::Advice(advice) => of_advice(advice, &visit.dates)?,
    };
    // Whoever may change nothing is shown where to look.
    let (action, page) = if visit.actor.may_manage() { (action, page) } else { (w::LOOK, "") };
    Some(Item {
        name: concern.name.to_string(),
        says,
        is_serious: matches!(concern.kind, ConcernKind::Signal(_)),
        url: visit.url(&format!("/{}{page}", concern.token)),
        action,
    })
}

/// `None` for a kind that this version has no words for.
pub(super) fn of_signal(signal: &Signal, dates: &Dates) -> Option<String> {
    let ago = dates.moment(signal.last).relative;
    let count = w::number(signal.count);
    Some(match signal.kind {
        SignalKind::UsedAfterRevoke => w::used_after(&count, w::AFTER_REVOKE, &ago),
        SignalKind::UsedAfterExpiry => w::used_after(&count, w::AFTER_EXPIRY, &ago),
        SignalKind::UsedAfterOverlap => w::used_after(&count, w::AFTER_OVERLAP, &ago),
        SignalKind::BrokenSeal => w::used_after(&count, w::BROKEN_ROW, &ago),
        SignalKind::NewNetwork => w::new_network(&signal.subject, &dates.moment(signal.first).relative),
        SignalKind::Burst => w::burst(&count, &ago),
        SignalKind::DormantAwake => {
            let before = signal.subject.parse().map(|at| dates.day(at)).unwrap_or_default();
            w::awake(&before, &ago)
        }
        SignalKind::RefusalSpike => w::spike(&count, &ago),
        _ => return None,
    })
}

fn of_advice(advice: &Advice, dates: &Dates) -> Option<(String, &'static str, &'static str)> {
    let relative = |at| dates.moment(at).relative;
    Some(match advice {
        Advice::Expiring { at } => (w::expiring(&relative(*at)), w::EXTEND, "/edit"),
        Advice::NeverUsed { since } => (w::never_used(&relative(*since)), w::REVOKE, "/revoke"),
        Advice::Idle { since } => (w::idle(&duration(dates.now.since(*since))), w::REVOKE, "/revoke"),
        Advice::NeverExpires => (w::NEVER_EXPIRES.to_owned(), w::SET_AN_END, "/edit"),
        Advice::ScopeUnused { scope, last, instead } => {
            let instead: Vec<&str> = instead.iter().map(|scope| scope.as_str()).collect();
            (w::unused(scope.as_str(), last.map(relative), &instead.join(", ")), w::NARROW, "/edit")
        }
        Advice::OldValueInUse { last, until } => (w::old_in_use(&relative(*last), &relative(*until)), w::LOOK, ""),
        Advice::OldValueSilent { last, .. } => {
            let silent = last.map(|last| duration(dates.now.since(last)));
            (w::old_silent(silent), w::END_NOW, "/end-overlap")
        }
        _ => return None,
    })
}
