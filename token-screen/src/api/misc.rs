//! What is about no one token: scopes, receipts, and what became of a change.

use token_core::{ChangeId, ManageError};

use crate::http::Response;
use crate::problem::Problem;

use super::asked::{Asked, is_key, json};
use super::wire::{ChangeBody, ReceiptBody, ScopeBody, ScopeList};

pub(super) fn scopes(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.nothing()?;
    let scopes = asked.tokens().catalog().scopes().iter().map(ScopeBody::of).collect();
    json(200, &ScopeList { scopes })
}

pub(super) async fn receipt(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.nothing()?;
    let receipt = asked.segment().ok_or_else(Problem::not_found)?;
    json(200, &ReceiptBody::of(&asked.manage().receipt(&receipt).await?))
}

/// The change of a key of the caller's own, or of the name that it was told when it had given none.
pub(super) async fn change(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.nothing()?;
    let key = asked.segment().filter(|key| is_key(key)).ok_or_else(Problem::not_found)?;
    let manage = asked.manage();
    let event = match manage.outcome(&ChangeId::from_key(asked.actor.id(), &key)).await {
        Err(ManageError::NotFound) => manage.outcome(&told(&key).ok_or_else(Problem::not_found)?).await?,
        found => found?,
    };
    json(200, &ChangeBody::of(&event, asked.tokens().format()))
}

/// The id in `change-{32 hexadecimal digits}`, as an unknown outcome tells it. Whose it is decides who may see it.
fn told(key: &str) -> Option<ChangeId> {
    let hex = key.strip_prefix("change-").filter(|hex| hex.len() == 32)?;
    let number = u128::from_str_radix(hex, 16).ok()?;
    (format!("{number:032x}") == hex).then(|| ChangeId::from_bytes(number.to_be_bytes()))
}
