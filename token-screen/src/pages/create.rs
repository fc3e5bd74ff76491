//! Making a token.

use askama::Template;
use token_core::{ManageError, NewToken};

use crate::http::Response;
use crate::screen::Preset;
use crate::words as w;

use super::changing::{Redeemed, fault, nonce_fault};
use super::draft::Draft;
use super::frame::{Faults, Frame, page};
use super::grant_form::{FIELDS, GrantForm};
use super::permissions::{Kind, kinds};
use super::reveal;
use super::{Refused, Visit};

const ACTION: &str = "create";

#[derive(Template)]
#[template(path = "create.html", whitespace = "minimize")]
struct CreatePage<'a> {
    frame: Frame<'a>,
    form: GrantForm,
    faults: Faults,
    nonce: String,
    presets: Vec<Preset>,
    /// Where to sign in again, if that is to be done first.
    sign_in_again: Option<Option<String>>,
}

pub(super) async fn answer(visit: &Visit<'_>) -> Result<Response, Refused> {
    if visit.is_post() { create(visit).await } else { open(visit).await }
}

async fn open(visit: &Visit<'_>) -> Result<Response, Refused> {
    if !visit.fresh {
        return Err(Refused::SignInAgain);
    }
    let kinds = kinds(visit.tokens().catalog());
    let mut query = visit.query()?;
    let preset = query.take("preset");
    let mut draft = Draft::read(&mut query, &kinds)?;
    query.done()?;
    if let Some(preset) = preset {
        let presets = presets(visit, &kinds);
        draft.choose(presets.iter().find(|known| known.key == preset).ok_or(Refused::Unreadable)?, &kinds);
    }
    show(visit, draft, Faults::default(), visit.nonce(ACTION)?, false).await
}

async fn create(visit: &Visit<'_>) -> Result<Response, Refused> {
    let (mut form, nonce) = visit.sent()?;
    let kinds = kinds(visit.tokens().catalog());
    let draft = Draft::read(&mut form, &kinds)?;
    form.done()?;
    if !visit.fresh {
        return show(visit, draft, Faults::default(), visit.nonce(ACTION)?, true).await;
    }
    let redeemed = match visit.redeem(nonce, ACTION) {
        Ok(redeemed) => redeemed,
        Err(error) => return show(visit, draft, nonce_fault(error), visit.nonce(ACTION)?, false).await,
    };
    let faults = match draft.new_token(&visit.dates, visit.actor.is_admin()) {
        Ok(request) => match made(visit, &redeemed, &request).await? {
            Ok(response) => return Ok(response),
            Err(faults) => faults,
        },
        Err(faults) => faults,
    };
    // Nothing was made, so the nonce is still good.
    show(visit, draft, faults, redeemed.into_text(), false).await
}

/// The page with the value; or, of a form that was sent before, where that was shown.
async fn made(visit: &Visit<'_>, redeemed: &Redeemed, request: &NewToken) -> Result<Result<Response, Faults>, Refused> {
    match redeemed.manage(visit).create(request).await {
        Ok(minted) => match &minted.text {
            Some(text) => Ok(Ok(reveal::created(visit, &minted.token, text)?)),
            None => Ok(Ok(reveal::shown_before(visit, &minted.token)?)),
        },
        Err(ManageError::ChangeIdReused) => {
            let id = redeemed.used_for(visit).await?;
            Ok(Ok(reveal::shown_before(visit, &visit.manage().token(id).await?.token)?))
        }
        // Whose it is, admins say alone.
        Err(error) if visit.actor.is_admin() => Ok(Err(fault(error, &[&FIELDS[..], &["owner"]].concat())?)),
        Err(error) => Ok(Err(fault(error, &FIELDS)?)),
    }
}

async fn show(
    visit: &Visit<'_>,
    draft: Draft,
    faults: Faults,
    nonce: String,
    is_stale: bool,
) -> Result<Response, Refused> {
    let policy = visit.manage().policy().await?;
    let form = GrantForm::new(visit, draft, &policy, None).await?;
    let status = match (is_stale, faults.is_empty()) {
        (true, _) => 403,
        (false, false) => 422,
        (false, true) => 200,
    };
    let template = CreatePage {
        frame: visit.frame(w::CREATE_TOKEN),
        presets: presets(visit, &kinds(visit.tokens().catalog())),
        form,
        faults,
        nonce,
        sign_in_again: is_stale.then(|| visit.sign_in_again()),
    };
    page(status, &template)
}

/// The host's presets, behind those that every catalog has.
fn presets(visit: &Visit<'_>, kinds: &[Kind]) -> Vec<Preset> {
    let reads = |name: &&str| super::permissions::split(name).1 == "read";
    let names = kinds.iter().flat_map(|kind| &kind.scopes).map(|def| def.name);
    let read: Vec<String> = names.filter(reads).map(str::to_owned).collect();
    let read = Preset { key: "read".to_owned(), label: w::READ_ONLY_PRESET.to_owned(), scopes: read };
    let own = visit.screen.presets.iter().cloned();
    std::iter::once(read).filter(|read| !read.scopes.is_empty()).chain(own).collect()
}
