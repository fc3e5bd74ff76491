//! Tokens: listing, making, changing, revoking, and looking into them.

use std::time::Duration;

use token_core::{
    ChangeId, ListFilter, ManageError, Minted, Position, Subject, Time, Token, TokenId, TokenList, TokenName, Tokens,
};

use crate::cursor;
use crate::http::Response;
use crate::problem::Problem;
use crate::strict::{Fields, list as items, text};

use super::asked::{Asked, Changing, Query, json};
use super::usage;
use super::wire::{self, HistoryBody, MintedBody, RevocationBody, Revocations, TokenBody, TokenPage, UsageBody};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn list(asked: &Asked<'_>) -> Result<Response, Problem> {
    let query = asked.query(&["state", "within_days", "owner", "q", "sort", "cursor", "limit"])?;
    let page = page(asked, query).await?;
    let tokens = page.tokens.iter().map(|listed| TokenBody::of_listed(listed, asked.tokens())).collect();
    json(200, &TokenPage { tokens, next: page.next.as_ref().map(cursor::write) })
}

/// The page of tokens that these parameters ask for.
pub(super) async fn page(asked: &Asked<'_>, mut query: Query) -> Result<TokenList, Problem> {
    let now = asked.tokens().now();
    let days = query.integer("within_days", 1..=365)?.unwrap_or(14);
    let within = DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX));
    let filter = query.checked("state", |state| filter(state, now, within))?.unwrap_or(ListFilter::Any);
    let wanted = query.checked("q", |text| (text.is_empty() || is_part_of_name(text)).then(|| text.to_owned()))?;
    let start = query.checked("sort", start_of)?.unwrap_or(Position::Created(None));
    let cursor = query.checked("cursor", |text| is_cursor(text).then(|| text.to_owned()))?;
    let limit = query.limit()?;
    // What can't be read is told of before who may ask.
    let owner = usage::owner(asked, &mut query)?;

    let nowhere = || Problem::new(404, "unknown_cursor", "The cursor is none that a page of this order ended with.");
    let from = match cursor {
        None => start,
        Some(cursor) => cursor::read(&cursor, &start).ok_or_else(nowhere)?,
    };
    Ok(asked.manage().list(owner.as_ref(), filter, wanted.as_deref(), from, limit).await?)
}

fn filter(state: &str, now: Time, within: Duration) -> Option<ListFilter> {
    Some(match state {
        "any" => ListFilter::Any,
        "live" => ListFilter::Live,
        "expired" => ListFilter::Expired,
        "revoked" => ListFilter::Revoked,
        "expiring" => ListFilter::ExpiringBefore(now.checked_add(within).unwrap_or(Time::MAX)),
        "unused" => ListFilter::NeverUsed,
        _ => return None,
    })
}

fn start_of(sort: &str) -> Option<Position> {
    Some(match sort {
        "created" => Position::Created(None),
        "name" => Position::Name(None),
        "expires" => Position::Expiry(None),
        _ => return None,
    })
}

fn is_part_of_name(text: &str) -> bool {
    TokenName::new(text).is_ok()
}

fn is_cursor(text: &str) -> bool {
    (1..=1024).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

pub(super) async fn create(asked: &Asked<'_>) -> Result<Response, Problem> {
    let request = wire::new_token(asked.fields()?)?;
    let changing = asked.changing().await?;
    let minted = changing.manage.create(&request).await.map_err(|error| changing.problem(error))?;
    let location = format!("{}/tokens/{}", asked.management.base, minted.token.id);
    let status = if minted.text.is_some() { 201 } else { 200 };
    Ok(shown_once(status, &minted, asked.tokens(), &changing)?.with("location", location))
}

/// The one response that holds the text of a token; or, if the first one is repeated, the token without it.
pub(super) fn shown_once(
    status: u16,
    minted: &Minted,
    tokens: &Tokens,
    changing: &Changing<'_>,
) -> Result<Response, Problem> {
    let body = MintedBody {
        token: TokenBody::of(&minted.token, tokens),
        text: minted.text.as_ref().map(|text| text.expose_secret()),
    };
    let response = tagged(json(status, &body)?, &minted.token);
    Ok(changing.noted(response, minted.text.is_none()))
}

fn tagged(response: Response, token: &Token) -> Response {
    response.with("etag", format!("\"{}\"", token.revision))
}

pub(super) async fn read(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.nothing()?;
    one(asked, asked.token_id()).await
}

pub(super) async fn one(asked: &Asked<'_>, id: TokenId) -> Result<Response, Problem> {
    let listed = asked.manage().token(id).await?;
    Ok(tagged(json(200, &TokenBody::of_listed(&listed, asked.tokens()))?, &listed.token))
}

pub(super) async fn edit(asked: &Asked<'_>) -> Result<Response, Problem> {
    let edit = wire::edit(asked.fields()?)?;
    let changing = asked.changing_revision().await?;
    let done = changing.manage.edit(asked.token_id(), &edit).await;
    changed(asked, &changing, done)
}

pub(super) async fn rotate(asked: &Asked<'_>) -> Result<Response, Problem> {
    let mut fields = asked.optional_fields()?;
    let expiry = wire::optional_expiry(&mut fields)?;
    let rotation = token_core::Rotation { replace: wire::replace(fields)?, expiry };
    let changing = asked.changing_revision().await?;
    let minted = changing.manage.rotate(asked.token_id(), &rotation).await.map_err(|error| changing.problem(error))?;
    shown_once(200, &minted, asked.tokens(), &changing)
}

pub(super) async fn end_overlap(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.nothing()?;
    let changing = asked.changing_revision().await?;
    let done = changing.manage.end_overlap(asked.token_id()).await;
    changed(asked, &changing, done)
}

pub(super) async fn revoke(asked: &Asked<'_>) -> Result<Response, Problem> {
    revoke_one(asked, asked.token_id()).await
}

pub(super) async fn revoke_one(asked: &Asked<'_>, id: TokenId) -> Result<Response, Problem> {
    asked.nothing()?;
    let changing = asked.changing_revision().await?;
    let done = changing.manage.revoke(id).await;
    changed(asked, &changing, done)
}

fn changed(asked: &Asked<'_>, changing: &Changing<'_>, done: Result<Token, ManageError>) -> Result<Response, Problem> {
    let token = done.map_err(|error| changing.problem(error))?;
    let response = tagged(json(200, &TokenBody::of(&token, asked.tokens()))?, &token);
    Ok(changing.noted(response, false))
}

/// Revokes each of many, whatever becomes of the others. Sent again, it revokes what is left.
pub(super) async fn revoke_many(asked: &Asked<'_>) -> Result<Response, Problem> {
    let mut fields = asked.fields()?;
    let ids = token_ids(&mut fields)?;
    fields.done()?;
    let key = asked.idempotency_key()?;
    let mut results = Vec::with_capacity(ids.len());
    for id in ids {
        let mut manage = asked.manage();
        if let Some(key) = key {
            // One id for each change. No key of a client holds a space.
            manage = manage.change_id(ChangeId::from_key(asked.actor.id(), &format!("{key} {id}")));
        }
        let outcome = match manage.revoke(id).await {
            Ok(_) => "revoked",
            Err(error) => Problem::from(error).code(),
        };
        results.push(RevocationBody { id, outcome });
    }
    json(200, &Revocations { results })
}

fn token_ids(fields: &mut Fields) -> Result<Vec<TokenId>, Problem> {
    let invalid = || Problem::from(crate::strict::Invalid);
    let ids = items(fields.required("ids")?)?;
    if !(1..=100).contains(&ids.len()) {
        return Err(invalid());
    }
    ids.into_iter().map(|id| text(id)?.parse().map_err(|_| invalid())).collect()
}

pub(super) async fn hours(asked: &Asked<'_>) -> Result<Response, Problem> {
    let mut query = asked.query(&["since"])?;
    let month_ago = asked.tokens().now().saturating_sub(DAY * 30);
    let since = query.time("since")?.unwrap_or(month_ago);
    let usage = asked.manage().usage(asked.token_id(), since).await?;
    json(200, &UsageBody::of(&usage, since))
}

pub(super) async fn events(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.events(|| Ok(Subject::Token(asked.token_id()))).await
}

pub(super) async fn history(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.nothing()?;
    let history = asked.manage().verify_history(&Subject::Token(asked.token_id())).await?;
    json(200, &HistoryBody::of(&history))
}
