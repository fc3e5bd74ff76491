//! Looking up why a request was refused, by the receipt that its sender was given.

use askama::Template;
use token_core::ManageError;

use crate::dates::Moment;
use crate::form::Form;
use crate::http::Response;
use crate::words as w;

use super::frame::{Frame, page};
use super::{Refused, Visit};

#[derive(Template)]
#[template(path = "receipt.html", whitespace = "minimize")]
struct ReceiptPage<'a> {
    frame: Frame<'a>,
    receipt: String,
    found: Option<Found>,
    is_missing: bool,
}

#[derive(Debug)]
struct Found {
    at: Moment,
    reason: &'static str,
    advice: &'static str,
    /// The token, by id and name.
    token: Option<(String, String)>,
}

pub(super) async fn show(visit: &Visit<'_>) -> Result<Response, Refused> {
    // A link may name a receipt. The form is sent as a body: what is pasted into it by mistake may be a token.
    let mut form = if visit.is_post() { Form::of_sent(visit.request)? } else { visit.query()? };
    let receipt = form.take("receipt").unwrap_or_default().trim().to_owned();
    form.done()?;
    let found = if receipt.is_empty() { None } else { look_up(visit, &receipt).await? };
    let is_missing = !receipt.is_empty() && found.is_none();
    // What is no receipt may be anything, and is not shown again.
    let receipt = if is_missing { String::new() } else { receipt };
    let template = ReceiptPage { frame: visit.frame(w::LOOK_UP_A_REFUSAL), receipt, found, is_missing };
    page(if is_missing { 404 } else { 200 }, &template)
}

async fn look_up(visit: &Visit<'_>, receipt: &str) -> Result<Option<Found>, Refused> {
    let content = match visit.manage().receipt(receipt).await {
        Ok(content) => content,
        Err(ManageError::NotFound) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let token = match content.token {
        None => None,
        Some(id) => match visit.manage().token(id).await {
            Ok(listed) => Some((id.to_string(), listed.token.name.to_string())),
            Err(ManageError::NotFound) => None,
            Err(error) => return Err(error.into()),
        },
    };
    let (reason, advice) = w::reason(content.reason);
    Ok(Some(Found { at: visit.dates.moment(content.at), reason, advice, token }))
}
