//! The list: everything that matters of many tokens, without a click.

use askama::Template;
use token_core::{ListFilter, Listed, OwnerId, Position, Time, TokenList, TokenName, TokenState};

use crate::cursor;
use crate::http::Response;
use crate::percent;
use crate::words as w;

use super::activity::{Activity, activity};
use super::attention::{Needed, needed};
use super::frame::{Frame, page};
use super::permissions::kinds;
use super::row::{Row, SOON};
use super::usage::{self, DAYS};
use super::{Refused, Visit};

/// Tokens on a page.
const PAGE: usize = 25;
/// What is counted, at most.
const COUNTED: usize = 100;

/// A selection of tokens, as its link shows it.
#[derive(Debug)]
struct Filter {
    label: &'static str,
    url: String,
    count: String,
    is_current: bool,
}

/// An order, as the head of its column shows it.
#[derive(Debug)]
struct Sort {
    url: String,
    is_current: bool,
}

/// What is asked for, all of it in the URL.
#[derive(Debug, Clone, Default)]
struct Asked {
    state: &'static str,
    sort: &'static str,
    q: String,
    owner: Option<OwnerId>,
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "list.html", whitespace = "minimize")]
struct ListPage<'a> {
    frame: Frame<'a>,
    environment: &'a str,
    is_production: bool,
    rows: Vec<Row>,
    /// Whether usage can't be read.
    is_blind: bool,
    /// What should be looked into; on the first page, where it can be read.
    needed: Option<Needed>,
    activity: Option<Activity>,
    filters: Vec<Filter>,
    by_name: Sort,
    by_created: Sort,
    by_expiry: Sort,
    q: String,
    asked: Asked,
    owner: Option<String>,
    next: Option<String>,
    first: Option<String>,
    /// Whether there are no tokens at all, whatever is asked for.
    is_empty: bool,
    shows_owners: bool,
    new_url: String,
    curl: String,
}

const STATES: [(&str, &str); 6] = [
    ("live", w::STATE_LIVE),
    ("expiring", w::STATE_EXPIRING),
    ("unused", w::STATE_UNUSED),
    ("expired", w::STATE_EXPIRED),
    ("revoked", w::STATE_REVOKED),
    ("any", w::STATE_ANY),
];

fn filter(state: &str, now: Time) -> ListFilter {
    match state {
        "expiring" => ListFilter::ExpiringBefore(now.checked_add(SOON).unwrap_or(Time::MAX)),
        "unused" => ListFilter::NeverUsed,
        "expired" => ListFilter::Expired,
        "revoked" => ListFilter::Revoked,
        "any" => ListFilter::Any,
        _ => ListFilter::Live,
    }
}

fn start(sort: &str) -> Position {
    match sort {
        "name" => Position::Name(None),
        "expires" => Position::Expiry(None),
        _ => Position::Created(None),
    }
}

impl Asked {
    fn read(visit: &Visit<'_>) -> Result<Asked, Refused> {
        let mut query = visit.query()?;
        let state = query.take("state").unwrap_or_else(|| "live".to_owned());
        let sort = query.take("sort").unwrap_or_else(|| "created".to_owned());
        let q = query.take("q").unwrap_or_default();
        let owner = query.take("owner").filter(|owner| !owner.is_empty());
        let cursor = query.take("cursor");
        query.done()?;
        if !q.is_empty() && TokenName::new(q.as_str()).is_err() {
            return Err(Refused::Unreadable);
        }
        if owner.is_some() && !visit.actor.is_admin() {
            return Err(Refused::Forbidden);
        }
        Ok(Asked {
            state: STATES.iter().find(|(key, _)| *key == state).ok_or(Refused::Unreadable)?.0,
            sort: ["created", "name", "expires"].into_iter().find(|key| *key == sort).ok_or(Refused::Unreadable)?,
            q,
            owner: owner.map(OwnerId::new).transpose().map_err(|_| Refused::Unreadable)?,
            cursor,
        })
    }

    /// The URL of the page that is asked for so. What is as usual is left out.
    fn url(&self, base: &str) -> String {
        let owner = self.owner.as_ref().map(OwnerId::as_str);
        let parameters = [
            ("owner", owner),
            ("state", Some(self.state).filter(|state| *state != "live")),
            ("sort", Some(self.sort).filter(|sort| *sort != "created")),
            ("q", Some(self.q.as_str()).filter(|q| !q.is_empty())),
            ("cursor", self.cursor.as_deref()),
        ];
        let mut url = base.to_owned();
        for (name, value) in parameters.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            url.push(if url.len() == base.len() { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(&percent::encode(value));
        }
        url
    }
}

pub(super) async fn show(visit: &Visit<'_>) -> Result<Response, Refused> {
    let asked = Asked::read(visit)?;
    let base = visit.screen.base();
    let some = Some(asked.q.as_str());
    let from = match &asked.cursor {
        None => start(asked.sort),
        Some(cursor) => cursor::read(cursor, &start(asked.sort)).ok_or(Refused::Unreadable)?,
    };
    let (owner, now) = (asked.owner.as_ref(), visit.dates.now);
    let limit = u32::try_from(PAGE).unwrap_or(u32::MAX);
    let list = visit.manage().list(owner, filter(asked.state, now), some, from, limit).await?;
    let (filters, is_empty) = filters(visit, &asked, &list).await?;

    let sort = |key: &'static str| Sort {
        url: Asked { sort: key, cursor: None, ..asked.clone() }.url(base),
        is_current: asked.sort == key,
    };
    let next = list.next.as_ref().map(|next| Asked { cursor: Some(cursor::write(next)), ..asked.clone() }.url(base));
    let new_url = match (&asked.owner, visit.actor.is_admin()) {
        (Some(owner), _) => visit.url(&format!("/new?owner={}", percent::encode(owner.as_str()))),
        _ => visit.url("/new"),
    };
    let (rows, is_blind) = rows(visit, &list.tokens).await;
    let is_first = asked.cursor.is_none();
    let (environment, is_production) = &visit.screen.look.environment;
    let template = ListPage {
        frame: visit.frame(w::API_TOKENS),
        environment,
        is_production: *is_production,
        rows,
        is_blind,
        needed: if is_first && !is_empty { needed(visit, owner).await } else { None },
        activity: if is_first && !is_empty { activity(visit, owner).await } else { None },
        filters,
        by_name: sort("name"),
        by_created: sort("created"),
        by_expiry: sort("expires"),
        q: asked.q.clone(),
        owner: asked.owner.as_ref().map(ToString::to_string),
        next,
        first: asked.cursor.is_some().then(|| Asked { cursor: None, ..asked.clone() }.url(base)),
        is_empty,
        shows_owners: visit.actor.is_admin(),
        new_url,
        curl: w::curl(visit.screen, w::CURL_PLACEHOLDER),
        asked,
    };
    page(200, &template)
}

/// The rows of these tokens, and whether their usage can't be read.
async fn rows(visit: &Visit<'_>, tokens: &[Listed]) -> (Vec<Row>, bool) {
    let kinds = kinds(visit.tokens().catalog());
    let row = |listed| Row::of(listed, visit.tokens().format(), &kinds, &visit.dates);
    match visit.manage().overview(tokens, DAYS).await {
        Ok(overviews) => {
            let rows = tokens.iter().zip(overviews);
            (rows.map(|(listed, of)| row(listed).with_usage(&of.usage, listed, &visit.dates)).collect(), false)
        }
        Err(error) => {
            usage::note(&error);
            (tokens.iter().map(row).collect(), true)
        }
    }
}

/// The row of one token.
pub(super) async fn row_of(visit: &Visit<'_>, listed: &Listed) -> Row {
    let (mut rows, _) = rows(visit, std::slice::from_ref(listed)).await;
    rows.remove(0)
}

/// The selections with their counts, and whether there is nothing to select from. Of few tokens one statement tells all of it.
async fn filters(visit: &Visit<'_>, asked: &Asked, shown: &TokenList) -> Result<(Vec<Filter>, bool), Refused> {
    let base = visit.screen.base();
    let all = first(visit, asked, "any").await?;
    let mut filters = Vec::new();
    for (key, label) in STATES {
        let count = match key {
            "any" => all.len(),
            // Of these it is not the token that tells.
            "unused" => first(visit, asked, key).await?.len(),
            _ if all.len() <= COUNTED => all.iter().filter(|listed| is_in(key, listed, visit.dates.now)).count(),
            _ => first(visit, asked, key).await?.len(),
        };
        filters.push(Filter {
            label,
            url: Asked { state: key, cursor: None, ..asked.clone() }.url(base),
            count: if count > COUNTED { w::at_least(COUNTED) } else { count.to_string() },
            is_current: asked.state == key,
        });
    }
    Ok((filters, all.is_empty() && shown.tokens.is_empty()))
}

/// Whether a token is in a selection that its own row decides.
fn is_in(state: &str, listed: &Listed, now: Time) -> bool {
    let token = &listed.token;
    match (filter(state, now), token.state(now)) {
        (ListFilter::Live, state) => state == TokenState::Live,
        (ListFilter::Expired, state) => state == TokenState::Expired,
        (ListFilter::Revoked, state) => state == TokenState::Revoked,
        (ListFilter::ExpiringBefore(end), TokenState::Live) => token.expires_at.is_some_and(|at| at < end),
        _ => false,
    }
}

/// Of a selection one more than is counted.
async fn first(visit: &Visit<'_>, asked: &Asked, state: &str) -> Result<Vec<Listed>, Refused> {
    let limit = u32::try_from(COUNTED + 1).unwrap_or(u32::MAX);
    let filter = filter(state, visit.dates.now);
    let list = visit.manage().list(asked.owner.as_ref(), filter, Some(&asked.q), start("created"), limit).await?;
    Ok(list.tokens)
}
