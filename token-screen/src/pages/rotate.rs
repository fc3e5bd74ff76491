//! Giving a token a new value, and ending the one before.

use std::time::Duration;

use askama::Template;
use token_core::{Listed, ManageError, Overlap, Policy, Replace, Rotation, TokenId, TokenState};

use crate::form::{Form, Unreadable};
use crate::http::Response;
use crate::words as w;

use super::changing::{Redeemed, fault, nonce_fault};
use super::frame::{Faults, Frame, page};
use super::list::row_of;
use super::reveal;
use super::row::Row;
use super::{Refused, Visit};

/// What the nonce of a rotation is for.
pub(super) fn action(id: TokenId) -> String {
    format!("rotate:{id}")
}

/// How long the replaced value may work on.
#[derive(Debug)]
struct Span {
    seconds: u64,
    label: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "rotate.html", whitespace = "minimize")]
struct RotatePage<'a> {
    frame: Frame<'a>,
    row: Row,
    spans: Vec<Span>,
    /// Which of the values that are live is to end, as it was chosen.
    replace: &'a str,
    faults: Faults,
    nonce: String,
    sign_in_again: Option<Option<String>>,
}

#[derive(Template)]
#[template(path = "end_overlap.html", whitespace = "minimize")]
struct EndOverlapPage<'a> {
    frame: Frame<'a>,
    row: Row,
    faults: Faults,
    nonce: String,
}

/// A rotation as its form has it.
#[derive(Debug)]
struct Wish {
    replace: String,
    overlap: Option<u64>,
}

impl Wish {
    fn read(mut form: Form) -> Result<Wish, Unreadable> {
        let replace = form.take("replace").unwrap_or_else(|| "current".to_owned());
        let overlap = form.take("overlap").map(|seconds| seconds.parse().map_err(|_| Unreadable)).transpose()?;
        form.done()?;
        if matches!(replace.as_str(), "current" | "old" | "lost") {
            Ok(Wish { replace, overlap })
        } else {
            Err(Unreadable)
        }
    }

    fn rotation(&self) -> Rotation {
        let overlap = match self.overlap {
            None => Overlap::Default,
            Some(0) => Overlap::Now,
            Some(seconds) => Overlap::For(Duration::from_secs(seconds)),
        };
        let replace = match self.replace.as_str() {
            "old" => Replace::EndingSuperseded(overlap),
            "lost" => Replace::EndingCurrent,
            _ => Replace::Current(overlap),
        };
        Rotation { replace, expiry: None }
    }
}

pub(super) async fn answer(visit: &Visit<'_>) -> Result<Response, Refused> {
    let listed = visit.manage().token(visit.token_id()).await?;
    if !visit.is_post() {
        visit.query()?.done()?;
        if !visit.fresh {
            return Err(Refused::SignInAgain);
        }
        check_live(visit, &listed)?;
        return show(visit, &listed, None, Faults::default(), None).await;
    }
    let (form, nonce) = visit.sent()?;
    let wish = Wish::read(form)?;
    if !visit.fresh {
        return show(visit, &listed, Some(wish), Faults::default(), None).await;
    }
    let redeemed = match visit.redeem(nonce, &action(listed.token.id)) {
        Ok(redeemed) => redeemed,
        Err(error) => return show(visit, &listed, Some(wish), nonce_fault(error), None).await,
    };
    match redeemed.manage(visit).rotate(listed.token.id, &wish.rotation()).await {
        Ok(minted) => match &minted.text {
            Some(text) => reveal::rotated(visit, &minted.token, text),
            None => reveal::shown_before(visit, &minted.token),
        },
        Err(ManageError::ChangeIdReused) => reveal::shown_before(visit, &listed.token),
        Err(error) => {
            let may_end_one = listed.token.overlap(visit.dates.now).is_some();
            let fields: &[&str] = if may_end_one { &["replace", "overlap"] } else { &["overlap"] };
            show(visit, &listed, Some(wish), fault(error, fields)?, Some(redeemed)).await
        }
    }
}

fn check_live(visit: &Visit<'_>, listed: &Listed) -> Result<(), Refused> {
    match listed.token.state(visit.dates.now) {
        TokenState::Live => Ok(()),
        state => Err(ManageError::NotLive(state).into()),
    }
}

async fn show(
    visit: &Visit<'_>,
    listed: &Listed,
    wish: Option<Wish>,
    faults: Faults,
    redeemed: Option<Redeemed>,
) -> Result<Response, Refused> {
    let policy = visit.manage().policy().await?;
    let is_stale = !visit.fresh;
    let status = match (is_stale, faults.is_empty()) {
        (true, _) => 403,
        (false, false) => 422,
        (false, true) => 200,
    };
    let chosen = wish.as_ref().and_then(|wish| wish.overlap).unwrap_or(policy.default_overlap.as_secs());
    let template = RotatePage {
        frame: visit.frame(w::rotate_title(listed.token.name.as_str())),
        row: row_of(visit, listed).await,
        spans: spans(&policy, chosen),
        replace: wish.as_ref().map_or("", |wish| &wish.replace),
        faults,
        nonce: match redeemed {
            Some(redeemed) => redeemed.into_text(),
            None => visit.nonce(&action(listed.token.id))?,
        },
        sign_in_again: is_stale.then(|| visit.sign_in_again()),
    };
    page(status, &template)
}

/// The spans that the policy allows, its default among them.
fn spans(policy: &Policy, chosen: u64) -> Vec<Span> {
    let mut seconds = vec![0, 15 * 60, 60 * 60, 24 * 60 * 60, 7 * 24 * 60 * 60, policy.default_overlap.as_secs()];
    seconds.retain(|seconds| *seconds <= policy.max_overlap.as_secs());
    seconds.sort_unstable();
    seconds.dedup();
    let span = |seconds: u64| Span {
        seconds,
        label: crate::dates::exact_duration(Duration::from_secs(seconds)),
        is_chosen: seconds == chosen,
    };
    seconds.into_iter().map(span).collect()
}

/// Ending the value that a rotation left working. It takes power away, so it never waits for a sign-in.
pub(super) async fn end_overlap(visit: &Visit<'_>) -> Result<Response, Refused> {
    let listed = visit.manage().token(visit.token_id()).await?;
    let action = format!("end-overlap:{}", listed.token.id);
    let to_the_token = visit.url(&format!("/{}", listed.token.id));
    let faults = if visit.is_post() {
        let (form, nonce) = visit.sent()?;
        form.done()?;
        match visit.redeem(nonce, &action) {
            Ok(redeemed) => match redeemed.manage(visit).end_overlap(listed.token.id).await {
                Ok(_) | Err(ManageError::ChangeIdReused) => return Ok(Response::see(to_the_token)),
                Err(error) => fault(error, &[])?,
            },
            Err(error) => nonce_fault(error),
        }
    } else {
        visit.query()?.done()?;
        Faults::default()
    };
    if listed.token.overlap(visit.dates.now).is_none() {
        return Ok(Response::see(to_the_token));
    }
    let status = if faults.is_empty() { 200 } else { 422 };
    let template = EndOverlapPage {
        frame: visit.frame(w::end_overlap_title(listed.token.name.as_str())),
        row: row_of(visit, &listed).await,
        faults,
        nonce: visit.nonce(&action)?,
    };
    page(status, &template)
}
