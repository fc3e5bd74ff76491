//! Changing what a token is called, may do, and how long it lives.

use askama::Template;
use token_core::{Expiry, Listed, ManageError, Token, TokenState};

use crate::http::Response;
use crate::words as w;

use super::changing::{Redeemed, fault, nonce_fault};
use super::draft::{Choice, Draft};
use super::frame::{Faults, Frame, page};
use super::grant_form::{FIELDS, GrantForm};
use super::permissions::kinds;
use super::{Refused, Visit};

#[derive(Template)]
#[template(path = "edit.html", whitespace = "minimize")]
struct EditPage<'a> {
    frame: Frame<'a>,
    id: String,
    form: GrantForm,
    revision: u64,
    faults: Faults,
    nonce: String,
    sign_in_again: Option<Option<String>>,
}

pub(super) async fn answer(visit: &Visit<'_>) -> Result<Response, Refused> {
    let listed = visit.manage().token(visit.token_id()).await?;
    let kinds = kinds(visit.tokens().catalog());
    let action = format!("edit:{}", listed.token.id);
    if !visit.is_post() {
        visit.query()?.done()?;
        if !visit.fresh {
            return Err(Refused::SignInAgain);
        }
        match listed.token.state(visit.dates.now) {
            TokenState::Live => {}
            state => return Err(ManageError::NotLive(state).into()),
        }
        let draft = Draft::of(&listed.token, &kinds, &visit.dates);
        return show(visit, &listed, (draft, listed.token.revision), Faults::default(), visit.nonce(&action)?).await;
    }
    let (mut form, nonce) = visit.sent()?;
    let revision: u64 = form.text("revision")?.parse().map_err(|_| Refused::Unreadable)?;
    let draft = Draft::read(&mut form, &kinds)?;
    form.done()?;
    if !visit.fresh {
        return show(visit, &listed, (draft, revision), Faults::default(), visit.nonce(&action)?).await;
    }
    let redeemed = match visit.redeem(nonce, &action) {
        Ok(redeemed) => redeemed,
        Err(error) => {
            return show(visit, &listed, (draft, revision), nonce_fault(error), visit.nonce(&action)?).await;
        }
    };
    match save(visit, &listed, &draft, revision, &redeemed).await? {
        Saved::Done => Ok(Response::see(visit.url(&format!("/{}", listed.token.id)))),
        Saved::Refused(faults) => show(visit, &listed, (draft, revision), faults, redeemed.into_text()).await,
        Saved::Spent => {
            let faults = Faults::one("form", w::CHANGED_MEANWHILE);
            show(visit, &listed, (draft, revision), faults, visit.nonce(&action)?).await
        }
    }
}

/// What became of a form.
enum Saved {
    /// The token is as it was asked for.
    Done,
    /// Nothing was changed.
    Refused(Faults),
    /// Its nonce was used before, and the token is not as it was asked for.
    Spent,
}

async fn save(
    visit: &Visit<'_>,
    listed: &Listed,
    draft: &Draft,
    revision: u64,
    redeemed: &Redeemed,
) -> Result<Saved, Refused> {
    let id = listed.token.id;
    let edit = match draft.edit(&listed.token, &kinds(visit.tokens().catalog()), &visit.dates) {
        Ok(edit) => edit,
        Err(faults) => return Ok(Saved::Refused(faults)),
    };
    // What someone else has done since the form was opened is not undone by it.
    let present = match redeemed.manage(visit).if_revision(revision).edit(id, &edit).await {
        Ok(token) => token,
        Err(ManageError::ChangeIdReused) => visit.manage().token(id).await?.token,
        Err(ManageError::StaleRevision { .. }) => {
            return Ok(Saved::Refused(Faults::one("form", w::CHANGED_MEANWHILE)));
        }
        Err(error) => return fault(error, &FIELDS).map(Saved::Refused),
    };
    // A form that was sent before makes no second change: what it asks for is so already, or it is not done.
    Ok(if is_so(visit, draft, &present, redeemed).await? { Saved::Done } else { Saved::Spent })
}

/// Whether a token is as a form asks for it, where the form's nonce was used.
async fn is_so(visit: &Visit<'_>, draft: &Draft, token: &Token, redeemed: &Redeemed) -> Result<bool, Refused> {
    let Ok(edit) = draft.edit(token, &kinds(visit.tokens().catalog()), &visit.dates) else { return Ok(false) };
    let ends = match edit.expiry {
        None => true,
        Some(Expiry::Never) => token.expires_at.is_none(),
        Some(Expiry::At(end)) => token.expires_at == Some(end),
        // Counted from when the nonce was used.
        Some(Expiry::After(span)) => {
            let end = redeemed.used_at(visit).await?.checked_add(span);
            end.is_some() && token.expires_at == end
        }
    };
    Ok(ends && edit.name.is_none() && edit.grants.is_none() && edit.networks.is_none())
}

async fn show(
    visit: &Visit<'_>,
    listed: &Listed,
    (draft, revision): (Draft, u64),
    faults: Faults,
    nonce: String,
) -> Result<Response, Refused> {
    let policy = visit.manage().policy().await?;
    let day = listed.token.expires_at.map(|at| visit.dates.day(at));
    let keep = Choice { key: "keep".to_owned(), label: w::AS_IT_IS.to_owned(), day: day.or(Some(w::NEVER.to_owned())) };
    // An admin edits within the owner's ceiling, whoever it is.
    let draft = Draft { owner: listed.token.owner.to_string(), ..draft };
    let is_stale = !visit.fresh;
    let status = match (is_stale, faults.is_empty()) {
        (true, _) => 403,
        (false, false) => 422,
        (false, true) => 200,
    };
    let template = EditPage {
        frame: visit.frame(w::edit_title(listed.token.name.as_str())),
        id: listed.token.id.to_string(),
        form: GrantForm::new(visit, draft, &policy, Some((&listed.token.grants, keep))).await?,
        revision,
        faults,
        nonce,
        sign_in_again: is_stale.then(|| visit.sign_in_again()),
    };
    page(status, &template)
}
