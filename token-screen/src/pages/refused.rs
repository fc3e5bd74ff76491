//! The pages that say why something can't be had.

use askama::Template;
use token_core::{Actor, ManageError, RandomError};

use crate::form::Unreadable;
use crate::guard::Barred;
use crate::http::{Request, Response};
use crate::percent;
use crate::screen::Screen;
use crate::words as w;

use super::frame::Frame;

/// Why a page is not shown, or a form not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// There is no such page or token, or it is someone else's.
    NotFound,
    /// There is a page, and this is not how it is asked for; with the methods that are.
    Method(&'static str),
    /// What came is not what a page of ours sends.
    Unreadable,
    TooLarge,
    /// It was sent from another site, as far as its headers say.
    CrossSite,
    Forbidden,
    SignIn,
    /// The sign-in is too old for this page.
    SignInAgain,
    /// The core refuses, in its own words.
    Says(String),
    Unavailable,
    OutcomeUnknown,
}

impl From<Unreadable> for Refused {
    fn from(_: Unreadable) -> Refused {
        Refused::Unreadable
    }
}

impl From<Barred> for Refused {
    fn from(barred: Barred) -> Refused {
        match barred {
            Barred::CrossSite => Refused::CrossSite,
            Barred::StaleSignIn => Refused::SignInAgain,
            Barred::Forbidden | Barred::NotAToken => Refused::Forbidden,
        }
    }
}

impl From<RandomError> for Refused {
    fn from(error: RandomError) -> Refused {
        ManageError::from(error).into()
    }
}

impl From<ManageError> for Refused {
    fn from(error: ManageError) -> Refused {
        use ManageError as E;
        match error {
            E::NotFound => Refused::NotFound,
            E::Forbidden => Refused::Forbidden,
            E::OutcomeUnknown { .. } => {
                tracing::error!(error = ?error, "it is not known whether a change was made");
                Refused::OutcomeUnknown
            }
            E::Store(_) | E::CeilingUnavailable | E::Random(_) | E::Encoding(_) => {
                tracing::error!(error = ?error, "tokens can't be managed");
                Refused::Unavailable
            }
            _ => Refused::Says(w::sentence(&error.to_string())),
        }
    }
}

#[derive(Template)]
#[template(path = "refused.html", whitespace = "minimize")]
struct RefusedPage<'a> {
    frame: Frame<'a>,
    says: &'a str,
    /// Where to go, and what that is called.
    way_out: (&'a str, &'a str),
}

impl Refused {
    /// The page for someone who asked for another.
    pub(crate) fn page(self, screen: &Screen, request: &Request, actor: Option<&Actor>) -> Response {
        let page = format!("{}{}", screen.base(), if request.path == "/" { "" } else { &request.path });
        // After a form that was sent, its page is fetched again.
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        self.show(screen, actor, sign_in_url(screen, &(page + &query)).as_deref())
    }

    pub(crate) fn show(self, screen: &Screen, actor: Option<&Actor>, sign_in: Option<&str>) -> Response {
        let back = (screen.base(), w::TO_THE_LIST);
        let sign_in = |words| sign_in.map_or(back, |url| (url, words));
        let (status, title, says, way_out) = match &self {
            Refused::NotFound => (404, w::NOT_FOUND, w::NOT_FOUND_SAYS, back),
            Refused::Method(_) => (405, w::NO_METHOD, w::NO_METHOD_SAYS, back),
            Refused::Unreadable => (400, w::UNREADABLE, w::UNREADABLE_SAYS, back),
            Refused::TooLarge => (413, w::TOO_LARGE, w::TOO_LARGE_SAYS, back),
            Refused::CrossSite => (403, w::CROSS_SITE, w::CROSS_SITE_SAYS, back),
            Refused::Forbidden => (403, w::FORBIDDEN, w::FORBIDDEN_SAYS, back),
            Refused::SignIn => (401, w::SIGN_IN_FIRST, w::SIGN_IN_FIRST_SAYS, sign_in(w::SIGN_IN)),
            Refused::SignInAgain => (403, w::SIGN_IN_AGAIN_FIRST, w::SIGN_IN_AGAIN_SAYS, sign_in(w::SIGN_IN_AGAIN)),
            Refused::Says(says) => (409, w::REFUSED, says.as_str(), back),
            Refused::Unavailable => (503, w::UNAVAILABLE, w::UNAVAILABLE_SAYS, (screen.base(), w::TRY_AGAIN)),
            Refused::OutcomeUnknown => (503, w::OUTCOME_UNKNOWN, w::OUTCOME_UNKNOWN_SAYS, back),
        };
        let frame = Frame::new(screen, title.to_owned(), actor);
        // Writing to memory does not fail.
        let html = RefusedPage { frame, says, way_out }.render().unwrap_or_default();
        let response = Response::page(status, html);
        match self {
            Refused::Method(allow) => response.with("allow", allow),
            Refused::Unavailable | Refused::OutcomeUnknown => response.with("retry-after", "1"),
            _ => response,
        }
    }
}

/// Where the host signs people in, who are to come back to a page of this site. `None` where the host has not said.
pub(crate) fn sign_in_url(screen: &Screen, next: &str) -> Option<String> {
    let url = screen.rules.reauthenticate.as_deref()?;
    Some(url.replace("{next}", &percent::encode(next)))
}
