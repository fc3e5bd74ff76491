//! Ending a token for good. It never waits for a sign-in: an incident must not.

use askama::Template;
use token_core::{Listed, ManageError};

use crate::http::Response;
use crate::words as w;

use super::changing::{fault, nonce_fault};
use super::frame::{Faults, Frame, page};
use super::list::row_of;
use super::row::Row;
use super::{Refused, Visit};

#[derive(Template)]
#[template(path = "revoke.html", whitespace = "minimize")]
struct RevokePage<'a> {
    frame: Frame<'a>,
    row: Row,
    impact: Impact,
    bound: String,
    /// The name to type, as a pattern, where it is to be typed.
    pattern: Option<String>,
    typed: String,
    faults: Faults,
    nonce: String,
}

/// Who will be turned away.
#[derive(Debug)]
pub(super) struct Impact {
    pub(super) says: String,
    /// Whether anyone uses it at present, as far as is known.
    pub(super) is_used: bool,
}

pub(super) async fn answer(visit: &Visit<'_>) -> Result<Response, Refused> {
    let listed = visit.manage().token(visit.token_id()).await?;
    let action = format!("revoke:{}", listed.token.id);
    let to_the_token = visit.url(&format!("/{}", listed.token.id));
    if listed.token.revoked_at.is_some() {
        return Ok(Response::see(to_the_token));
    }
    let impact = super::usage::impact(visit, &listed).await;
    let must_type = visit.screen.look.environment.1 || impact.is_used;
    let mut typed = String::new();
    let mut faults = Faults::default();
    if visit.is_post() {
        let (mut form, nonce) = visit.sent()?;
        typed = form.take("name").unwrap_or_default();
        form.done()?;
        match visit.redeem(nonce, &action) {
            Err(error) => faults = nonce_fault(error),
            Ok(_) if must_type && typed != listed.token.name.as_str() => faults.add("name", w::TYPE_THE_NAME),
            Ok(redeemed) => match redeemed.manage(visit).revoke(listed.token.id).await {
                Ok(_) | Err(ManageError::ChangeIdReused) => return Ok(Response::see(to_the_token)),
                Err(error) => faults = fault(error, &[])?,
            },
        }
    } else {
        visit.query()?.done()?;
    }
    show(visit, &listed, impact, must_type, typed, faults, visit.nonce(&action)?).await
}

async fn show(
    visit: &Visit<'_>,
    listed: &Listed,
    impact: Impact,
    must_type: bool,
    typed: String,
    faults: Faults,
    nonce: String,
) -> Result<Response, Refused> {
    let name = listed.token.name.as_str();
    let status = if faults.is_empty() { 200 } else { 422 };
    let template = RevokePage {
        frame: visit.frame(w::revoke_named(name)),
        row: row_of(visit, listed).await,
        impact,
        bound: w::bound(visit.tokens().max_staleness()),
        pattern: must_type.then(|| pattern(name)),
        typed,
        faults,
        nonce,
    };
    page(status, &template)
}

/// A regular expression for exactly this text, as the attribute `pattern` reads it: what could mean something is written as its number.
fn pattern(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_ascii() && !letter.is_ascii_alphanumeric() {
            pattern.push_str(&format!("\\x{:02x}", u32::from(letter)));
        } else {
            pattern.push(letter);
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_as_it_is() {
        assert_eq!(pattern("a.b-c (é) 中"), r"a\x2eb\x2dc\x20\x28é\x29\x20中");
    }
}
