//! How tokens are used, and what about it should be looked into.

use token_core::OwnerId;

use crate::cursor;
use crate::http::Response;
use crate::problem::Problem;

use super::asked::{Asked, Query, json};
use super::tokens;
use super::wire::{self, ActivityBody, AttentionBody, CallList, UsagePage, UsageSummaryBody};

/// The usage of the tokens that a list of tokens names, in its order.
pub(super) async fn list(asked: &Asked<'_>) -> Result<Response, Problem> {
    let known = ["state", "within_days", "owner", "q", "sort", "cursor", "limit", "days"];
    let mut query = asked.query(&known)?;
    let days = query.integer("days", 1..=366)?.unwrap_or(30);
    let page = tokens::page(asked, query).await?;
    let overviews = asked.manage().overview(&page.tokens, u32::try_from(days).unwrap_or(u32::MAX)).await?;
    let usage = overviews.iter().map(|overview| UsageSummaryBody::of(&overview.usage, &overview.advice)).collect();
    json(200, &UsagePage { usage, next: page.next.as_ref().map(cursor::write) })
}

pub(super) async fn activity(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.nothing()?;
    json(200, &ActivityBody::of(&asked.manage().usage_detail(asked.token_id()).await?))
}

pub(super) async fn calls(asked: &Asked<'_>) -> Result<Response, Problem> {
    let mut query = asked.query(&["owner", "limit"])?;
    let limit = query.limit()?;
    let owner = owner(asked, &mut query)?;
    json(200, &CallList::of(&asked.manage().recent_calls(owner.as_ref(), limit).await?))
}

pub(super) async fn attention(asked: &Asked<'_>) -> Result<Response, Problem> {
    let mut query = asked.query(&["owner"])?;
    let owner = owner(asked, &mut query)?;
    json(200, &AttentionBody::of(&asked.manage().attention(owner.as_ref()).await?))
}

/// Whose tokens are meant: an admin may name anyone.
pub(super) fn owner(asked: &Asked<'_>, query: &mut Query) -> Result<Option<OwnerId>, Problem> {
    let owner = query.checked("owner", wire::owner)?;
    if owner.is_some() && !asked.actor.is_admin() {
        return Err(Problem::forbidden());
    }
    // An id that is too long for an owner is no owner's, and so has no tokens.
    owner.map(OwnerId::new).transpose().map_err(|_| Problem::not_found())
}
