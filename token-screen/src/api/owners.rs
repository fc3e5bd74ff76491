//! Owners: their standing and their history.

use token_core::{ManageError, Owner, Subject};

use crate::http::Response;
use crate::problem::Problem;

use super::asked::{Asked, Changing, json};
use super::wire::OwnerBody;

pub(super) async fn read(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.nothing()?;
    let listed = asked.manage().owner(&asked.owner_id()?).await?;
    json(200, &OwnerBody::of(&listed.owner, listed.seal.is_ok()))
}

pub(super) async fn suspend(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.nothing()?;
    let changing = asked.changing().await?;
    let done = changing.manage.suspend(&asked.owner_id()?).await;
    changed(&changing, done)
}

pub(super) async fn resume(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.nothing()?;
    let changing = asked.changing().await?;
    let done = changing.manage.resume(&asked.owner_id()?).await;
    changed(&changing, done)
}

fn changed(changing: &Changing<'_>, done: Result<Owner, ManageError>) -> Result<Response, Problem> {
    let owner = match done {
        Ok(owner) => owner,
        Err(ManageError::OwnerUnknown) => return Err(Problem::not_found()),
        Err(error) => return Err(changing.problem(error)),
    };
    Ok(changing.noted(json(200, &OwnerBody::of(&owner, true))?, false))
}

pub(super) async fn events(asked: &Asked<'_>) -> Result<Response, Problem> {
    asked.events(|| Ok(Subject::Owner(asked.owner_id()?))).await
}
