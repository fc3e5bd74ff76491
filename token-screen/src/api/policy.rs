//! The policy: read, rehearsed before it is set, set, and its history.

use token_core::{ManageError, Subject, UsageRules};

use crate::http::Response;
use crate::problem::Problem;

use super::asked::{Asked, json};
use super::wire::{self, PolicyBody, RehearsalBody};

pub(super) async fn read(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.nothing()?;
    json(200, &PolicyBody::of(&asked.manage().policy().await?))
}

pub(super) async fn set(asked: &Asked<'_>) -> Result<Response, Problem> {
    let policy = wire::policy(asked.fields()?, usage_rules(asked).await?)?;
    let changing = asked.changing().await?;
    let policy = changing.manage.set_policy(&policy).await.map_err(|error| changing.problem(error))?;
    Ok(changing.noted(json(200, &PolicyBody::of(&policy))?, false))
}

pub(super) async fn rehearse(asked: &Asked<'_>) -> Result<Response, Problem> {
    let policy = wire::policy(asked.fields()?, usage_rules(asked).await?)?;
    let rehearsal = asked.manage().rehearse(&policy).await?;
    json(200, &RehearsalBody { live: rehearsal.live, refused: rehearsal.refused })
}

/// Those of the policy in force. One that can't be believed is replaced whole.
async fn usage_rules(asked: &Asked<'_>) -> Result<UsageRules, Problem> {
    match asked.manage().policy().await {
        Ok(policy) => Ok(policy.usage),
        Err(ManageError::BrokenSeal(_)) => Ok(UsageRules::default()),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn events(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.events(|| Ok(Subject::Policy)).await
}
