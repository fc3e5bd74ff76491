//! Ending several tokens: selected in the list, looked at together, revoked.

use std::collections::BTreeMap;

use askama::Template;
use token_core::{ManageError, TokenId};

use crate::form::Form;
use crate::http::Response;
use crate::words as w;

use super::changing::nonce_fault;
use super::frame::{Faults, Frame, page};
use super::list::row_of;
use super::row::Row;
use super::{Refused, Visit};

const ACTION: &str = "revoke-many";
/// A page of the list has fewer.
const MAX: usize = 100;

#[derive(Template)]
#[template(path = "revoke_many.html", whitespace = "minimize")]
struct RevokeManyPage<'a> {
    frame: Frame<'a>,
    rows: Vec<Row>,
    bound: String,
    faults: Faults,
    nonce: String,
}

#[derive(Template)]
#[template(path = "revoked_many.html", whitespace = "minimize")]
struct RevokedManyPage<'a> {
    frame: Frame<'a>,
    /// What became of each, by its name.
    outcomes: Vec<Outcome>,
    bound: String,
}

#[derive(Debug)]
struct Outcome {
    id: TokenId,
    name: String,
    /// Why it is not revoked.
    fault: Option<String>,
}

pub(super) async fn answer(visit: &Visit<'_>) -> Result<Response, Refused> {
    if !visit.is_post() {
        let (ids, form) = selected(visit.query()?)?;
        form.done()?;
        return review(visit, &ids, Faults::default()).await;
    }
    let (form, nonce) = visit.sent()?;
    let (ids, form) = selected(form)?;
    form.done()?;
    let redeemed = match visit.redeem(nonce, ACTION) {
        Ok(redeemed) => redeemed,
        Err(error) => return review(visit, &ids, nonce_fault(error)).await,
    };
    let mut outcomes = Vec::with_capacity(ids.len());
    for id in ids {
        // Whatever becomes of the others.
        outcomes.push(match redeemed.manage_part(visit, id).revoke(id).await {
            Ok(token) => Outcome { id, name: token.name.to_string(), fault: None },
            Err(error) => Outcome { id, name: id.to_string(), fault: Some(says(error)) },
        });
    }
    let done = outcomes.iter().filter(|outcome| outcome.fault.is_none()).count();
    let template = RevokedManyPage {
        frame: visit.frame(w::revoked_many(done)),
        outcomes,
        bound: w::bound(visit.tokens().max_staleness()),
    };
    page(200, &template)
}

fn says(error: ManageError) -> String {
    match Refused::from(error) {
        Refused::Says(says) => says,
        Refused::NotFound => w::NOT_FOUND_SAYS.to_owned(),
        Refused::OutcomeUnknown => w::OUTCOME_UNKNOWN_SAYS.to_owned(),
        _ => w::UNAVAILABLE_SAYS.to_owned(),
    }
}

fn selected(mut form: Form) -> Result<(Vec<TokenId>, Form), Refused> {
    let ids = form.all_ticked("t.")?;
    if ids.len() > MAX {
        return Err(Refused::Unreadable);
    }
    let ids = ids.iter().map(|id| id.parse().map_err(|_| Refused::Unreadable)).collect::<Result<_, _>>()?;
    Ok((ids, form))
}

async fn review(visit: &Visit<'_>, ids: &[TokenId], faults: Faults) -> Result<Response, Refused> {
    let mut rows = BTreeMap::new();
    for id in ids {
        match visit.manage().token(*id).await {
            Ok(listed) => {
                let row = row_of(visit, &listed).await;
                rows.insert((row.name.clone(), *id), row);
            }
            // Told when it is tried; it is nobody's business here.
            Err(ManageError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let rows: Vec<Row> = rows.into_values().filter(|row| row.revoked.is_none()).collect();
    let status = if faults.is_empty() { 200 } else { 422 };
    let template = RevokeManyPage {
        frame: visit.frame(w::revoke_many(rows.len())),
        rows,
        bound: w::bound(visit.tokens().max_staleness()),
        faults,
        nonce: visit.nonce(ACTION)?,
    };
    page(status, &template)
}
