//! The one page that shows a value, and the one that says that it was shown.

use askama::Template;
use token_core::{Token, TokenText};

use crate::dates::Moment;
use crate::http::Response;
use crate::words as w;

use super::frame::{Frame, page};
use super::permissions::{Permission, kinds, permissions};
use super::{Refused, Visit, rotate};

#[derive(Template)]
#[template(path = "reveal.html", whitespace = "minimize")]
struct RevealPage<'a> {
    frame: Frame<'a>,
    value: &'a str,
    variable: String,
    curl: String,
    permissions: Vec<Permission>,
    expires: Option<Moment>,
    networks: Option<String>,
    /// Until when the value before it works.
    old_until: Option<Moment>,
    is_rotated: bool,
}

#[derive(Template)]
#[template(path = "shown_before.html", whitespace = "minimize")]
struct ShownBeforePage<'a> {
    frame: Frame<'a>,
    name: &'a str,
    id: String,
    masked: String,
    created: Moment,
    nonce: String,
    is_live: bool,
}

/// Of a new token.
pub(super) fn created(visit: &Visit<'_>, token: &Token, text: &TokenText) -> Result<Response, Refused> {
    show(visit, token, text, false)
}

/// Of a token that has a new value.
pub(super) fn rotated(visit: &Visit<'_>, token: &Token, text: &TokenText) -> Result<Response, Refused> {
    show(visit, token, text, true)
}

fn show(visit: &Visit<'_>, token: &Token, text: &TokenText, is_rotated: bool) -> Result<Response, Refused> {
    let value = text.expose_secret();
    let prefix = visit.tokens().format().prefix();
    let title = if is_rotated { w::is_rotated(token.name.as_str()) } else { w::is_ready(token.name.as_str()) };
    let template = RevealPage {
        frame: visit.frame(title),
        value,
        variable: format!("{}_TOKEN={value}", prefix.to_ascii_uppercase()),
        curl: w::curl(visit.screen, value),
        permissions: permissions(&token.grants, &kinds(visit.tokens().catalog())),
        expires: token.expires_at.map(|at| visit.dates.moment(at)),
        networks: networks(token),
        old_until: token.overlap(visit.dates.now).map(|old| visit.dates.moment(old.until)),
        is_rotated,
    };
    page(200, &template)
}

pub(super) fn networks(token: &Token) -> Option<String> {
    let networks = token.networks.as_ref()?.as_slice();
    Some(networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// The form was sent before, and its value was in the answer to that.
pub(super) fn shown_before(visit: &Visit<'_>, token: &Token) -> Result<Response, Refused> {
    let template = ShownBeforePage {
        frame: visit.frame(w::SHOWN_BEFORE),
        name: token.name.as_str(),
        id: token.id.to_string(),
        masked: visit.tokens().format().masked(&token.current.selector),
        created: visit.dates.moment(token.created_at),
        nonce: visit.nonce(&rotate::action(token.id))?,
        is_live: token.state(visit.dates.now) == token_core::TokenState::Live,
    };
    page(409, &template)
}
