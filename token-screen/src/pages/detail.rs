//! Everything about one token.

use askama::Template;
use token_core::{Event, EventDetail, History, Listed, ManageError, Subject, TokenFormat, UsageDetail};

use crate::dates::{Dates, Moment};
use crate::http::Response;
use crate::words as w;

use super::activity::Activity;
use super::attention::of_signal;
use super::frame::{Frame, page};
use super::list::row_of;
use super::row::Row;
use super::usage::{self, Bars};
use super::{Refused, Visit, reveal};

/// The chart shows a token's life, within these days.
const CHART: std::ops::RangeInclusive<u64> = 30..=365;
/// Calls, and events, shown of one token.
const SHOWN: u32 = 20;

#[derive(Template)]
#[template(path = "detail.html", whitespace = "minimize")]
struct DetailPage<'a> {
    frame: Frame<'a>,
    environment: &'a str,
    is_production: bool,
    row: Row,
    networks: Option<String>,
    secrets: Vec<SecretRow>,
    usage: Option<Usage>,
    signals: Vec<String>,
    events: Vec<EventRow>,
    /// Whether there are earlier ones.
    has_earlier: bool,
    chain: Chain,
}

/// What the page shows of usage.
#[derive(Debug)]
struct Usage {
    chart: Bars,
    chart_says: String,
    sources: Vec<SourceRow>,
    scopes: Vec<ScopeRow>,
    refusals: Vec<(&'static str, String)>,
    activity: Activity,
}

#[derive(Debug)]
struct SourceRow {
    network: String,
    is_new: bool,
    first: Moment,
    last: Moment,
    uses: String,
    refusals: String,
}

#[derive(Debug)]
struct ScopeRow {
    scope: String,
    says: &'static str,
    last: Option<Moment>,
    is_granted: bool,
}

#[derive(Debug)]
struct SecretRow {
    generation: u32,
    masked: String,
    state: String,
    is_live: bool,
    last: Option<String>,
}

#[derive(Debug)]
struct EventRow {
    at: Moment,
    actor: String,
    says: String,
}

/// Whether the history is what was written.
#[derive(Debug)]
struct Chain {
    says: String,
    is_intact: bool,
}

pub(super) async fn show(visit: &Visit<'_>) -> Result<Response, Refused> {
    visit.query()?.done()?;
    let listed = visit.manage().token(visit.token_id()).await?;
    let subject = Subject::Token(listed.token.id);
    // The latest, at the end of the chain.
    let before = listed.token.head.seq.saturating_sub(u64::from(SHOWN));
    let events = visit.manage().events(&subject, before, SHOWN).await?;
    let detail = match visit.manage().usage_detail(listed.token.id).await {
        Ok(detail) => Some(detail),
        Err(error) => {
            usage::note(&error);
            None
        }
    };
    let (environment, is_production) = &visit.screen.look.environment;
    let format = visit.tokens().format();
    let signals = detail.iter().flat_map(|detail| &detail.usage.signals);
    let template = DetailPage {
        frame: visit.frame(listed.token.name.as_str()),
        environment,
        is_production: *is_production,
        row: row_of(visit, &listed).await,
        networks: reveal::networks(&listed.token),
        secrets: secrets(&listed, detail.as_ref(), visit),
        signals: signals
            .filter_map(|signal| of_signal(signal, &visit.dates))
            .map(|says| w::capitalized(&says))
            .collect(),
        usage: detail.as_ref().map(|detail| usage_of(&listed, detail, visit)),
        events: events.iter().rev().map(|event| event_row(event, format, &visit.dates)).collect(),
        has_earlier: before > 0,
        chain: chain(visit, &subject).await?,
    };
    page(200, &template)
}

async fn chain(visit: &Visit<'_>, subject: &Subject) -> Result<Chain, Refused> {
    match visit.manage().verify_history(subject).await {
        Ok(History::Intact { events }) => Ok(Chain { says: w::chain_intact(events), is_intact: true }),
        Ok(History::Broken { seq }) => Ok(Chain { says: w::chain_broken(seq), is_intact: false }),
        Err(ManageError::BrokenSeal(_)) => Ok(Chain { says: w::CHAIN_UNKNOWN.to_owned(), is_intact: false }),
        Err(error) => Err(error.into()),
    }
}

fn secrets(listed: &Listed, detail: Option<&UsageDetail>, visit: &Visit<'_>) -> Vec<SecretRow> {
    let (token, format, dates) = (&listed.token, visit.tokens().format(), &visit.dates);
    let is_live = token.state(dates.now) == token_core::TokenState::Live;
    let last = |generation| {
        let last = usage::last(&detail?.usage, Some(generation), dates);
        Some(
            last.map_or_else(|| w::NEVER_USED.to_owned(), |last| w::last_used(&last.at.relative, last.from.as_deref())),
        )
    };
    let current = SecretRow {
        generation: token.current.generation.number(),
        masked: format.masked(&token.current.selector),
        state: if is_live { w::CURRENT_VALUE.to_owned() } else { w::NO_LONGER_WORKS.to_owned() },
        is_live,
        last: last(token.current.generation),
    };
    let old = token.superseded.map(|old| {
        let works = is_live && dates.now < old.until;
        SecretRow {
            generation: old.secret.generation.number(),
            masked: format.masked(&old.secret.selector),
            state: if works { w::works_until(&dates.exact(old.until)) } else { w::NO_LONGER_WORKS.to_owned() },
            is_live: works,
            last: last(old.secret.generation),
        }
    });
    std::iter::once(current).chain(old).collect()
}

fn usage_of(listed: &Listed, detail: &UsageDetail, visit: &Visit<'_>) -> Usage {
    let dates = &visit.dates;
    let source = |seen: &token_core::SourceSeen| SourceRow {
        network: seen.source.network.to_string(),
        is_new: seen.is_new,
        first: dates.moment(seen.source.first_seen),
        last: dates.moment(seen.source.last_seen),
        uses: w::number(seen.source.uses),
        refusals: w::number(seen.source.refusals),
    };
    let defs = visit.tokens().catalog().scopes();
    let scopes = defs.iter().filter_map(|def| {
        let is_granted = listed.token.grants.iter().any(|(scope, _)| scope.as_str() == def.name);
        let used = detail.usage.scopes.iter().find(|used| used.scope.as_str() == def.name);
        let last = used.map(|used| dates.moment(used.last));
        (is_granted || used.is_some()).then(|| ScopeRow {
            scope: def.name.to_owned(),
            says: def.says,
            last,
            is_granted,
        })
    });
    let shown = usize::try_from(SHOWN).unwrap_or(usize::MAX);
    let life = dates.now.since(listed.token.created_at).as_secs() / (24 * 60 * 60) + 1;
    let days = u32::try_from(life.clamp(*CHART.start(), *CHART.end())).unwrap_or(u32::MAX);
    let calls = &detail.calls[..detail.calls.len().min(shown)];
    Usage {
        chart: Bars::of(&usage::days(&detail.usage, dates.now, days)),
        chart_says: w::last_days(days),
        sources: detail.sources.iter().map(source).collect(),
        scopes: scopes.collect(),
        refusals: detail
            .usage
            .refusals
            .iter()
            .map(|(reason, count)| (w::reason(*reason).0, w::number(*count)))
            .collect(),
        activity: Activity::of(calls, dates, false),
    }
}

fn event_row(event: &Event, format: &TokenFormat, dates: &Dates) -> EventRow {
    let says = match event.detail() {
        Ok(EventDetail::Created { secret, .. }) => w::created_event(&format.masked(&secret.selector)),
        Ok(EventDetail::Edited { name, grants, networks, expires_at }) => {
            w::edited_event([name.is_some(), grants.is_some(), networks.is_some(), expires_at.is_some()])
        }
        Ok(EventDetail::Rotated { secret, superseded, .. }) => {
            w::rotated_event(&format.masked(&secret.selector), superseded.map(|old| dates.exact(old.until)))
        }
        Ok(EventDetail::OverlapEnded { secret }) => w::overlap_ended_event(&format.masked(&secret.selector)),
        Ok(EventDetail::Revoked) => w::REVOKED_EVENT.to_owned(),
        Ok(EventDetail::Resealed { .. }) => w::RESEALED_EVENT.to_owned(),
        Ok(other) => w::capitalized(&other.kind().replace('_', " ")),
        Err(_) => w::UNREADABLE_EVENT.to_owned(),
    };
    EventRow { at: dates.moment(event.at), actor: event.actor.to_string(), says }
}
