//! What a refused client is sent, by the middleware and by the extractors.

use std::fmt;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{Error, HttpResponse, ResponseError};
use token_core::{Answer, CredentialError, Refusal, RefusedUse, Tokens, Verified};

use crate::call::Called;

/// Why an extractor did not let a request into its handler. As a response it is an RFC 9457 problem:
///
/// | why | status |
/// |---|---|
/// | an anonymous request where a token is needed | 401, with a challenge |
/// | the token lacks the scope | 403, with a challenge that names the scope |
/// | no [`TokenLayer`](crate::TokenLayer) covers the route, a mistake of the service | 500 |
///
/// All other refusals are the middleware's. A handler can return a `Rejection` by `?`, as after
/// [`Limited::check`](crate::Limited::check).
#[derive(Debug)]
pub struct Rejection(Box<Cause>);

#[derive(Debug)]
enum Cause {
    Refused { refusal: Refusal, answer: Answer, refused: Refused },
    Uncovered,
}

impl Rejection {
    /// Of a request that a layer had let through.
    pub(crate) fn refused(tokens: &Tokens, token: &Verified, refusal: Refusal, called: Called) -> Rejection {
        let used = tokens.refused_use(token, &refusal);
        Rejection::new(tokens, refusal, Refused(Some(Arc::new((used, called)))))
    }

    pub(crate) fn anonymous(tokens: &Tokens) -> Rejection {
        Rejection::new(tokens, tokens.refuse(CredentialError::Missing), Refused(None))
    }

    fn new(tokens: &Tokens, refusal: Refusal, refused: Refused) -> Rejection {
        let answer = refusal.answer(tokens.realm(), tokens.sources());
        Rejection(Box::new(Cause::Refused { refusal, answer, refused }))
    }

    pub(crate) fn uncovered() -> Rejection {
        Rejection(Box::new(Cause::Uncovered))
    }

    /// The refusal, with its exact reason and its receipt; `None` if the service is not set up right.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match &*self.0 {
            Cause::Refused { refusal, .. } => Some(refusal),
            Cause::Uncovered => None,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Cause::Refused { refusal, .. } => refusal.fmt(f),
            Cause::Uncovered => f.write_str("the route is not covered by a TokenLayer"),
        }
    }
}

impl std::error::Error for Rejection {}

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        status(match &*self.0 {
            Cause::Refused { answer, .. } => answer.status,
            Cause::Uncovered => Answer::not_covered().status,
        })
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        match &*self.0 {
            Cause::Refused { answer, refused, .. } => {
                let mut response = respond(answer.clone());
                response.extensions_mut().insert(refused.clone());
                response
            }
            Cause::Uncovered => respond(Answer::not_covered()),
        }
    }
}

/// On a response: it refuses the request, by an extractor if there is a use to be taken back. What a layer refuses it has noted itself.
#[derive(Debug, Clone)]
pub(crate) struct Refused(Option<Arc<(RefusedUse, Called)>>);

impl Refused {
    /// Takes the use back, and puts the call among those that were refused.
    pub(crate) fn tally(&self, route: Option<&str>) {
        if let Some((used, called)) = self.0.as_deref() {
            used.tally(&called.call(route));
        }
    }
}

/// What a response says if it is a refusal of ours, made by an extractor or by another layer further in.
#[inline]
pub(crate) fn refusal_of<B>(response: &HttpResponse<B>) -> Option<Refused> {
    response.extensions().get().cloned()
}

/// The same of an error that becomes one.
pub(crate) fn refusal_of_error(error: &Error) -> Option<Refused> {
    let rejection: &Rejection = error.as_error()?;
    Some(match &*rejection.0 {
        Cause::Refused { refused, .. } => refused.clone(),
        Cause::Uncovered => Refused(None),
    })
}

/// The core writes nothing but statuses that HTTP knows.
pub(crate) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn respond(answer: Answer) -> HttpResponse {
    let mut response = write(answer.status, answer.headers, answer.body);
    response.extensions_mut().insert(Refused(None));
    response
}

pub(crate) fn write(
    code: u16,
    headers: Vec<(&'static str, String)>,
    body: impl actix_web::body::MessageBody + 'static,
) -> HttpResponse {
    let mut response = HttpResponse::with_body(status(code), body).map_into_boxed_body();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}
