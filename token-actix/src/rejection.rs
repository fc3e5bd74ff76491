//! What a refused client is sent, by the middleware and by the extractors.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{Error, HttpResponse, ResponseError};
use token_core::{Answer, CredentialError, Reason, Refusal, Tokens};

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
pub struct Rejection(Cause);

#[derive(Debug)]
enum Cause {
    Refused { refusal: Refusal, answer: Answer },
    Uncovered,
}

impl Rejection {
    pub(crate) fn refused(tokens: &Tokens, refusal: Refusal) -> Rejection {
        let answer = refusal.answer(tokens.realm(), tokens.sources());
        Rejection(Cause::Refused { refusal, answer })
    }

    pub(crate) fn anonymous(tokens: &Tokens) -> Rejection {
        Rejection::refused(tokens, tokens.refuse(CredentialError::Missing))
    }

    pub(crate) fn uncovered() -> Rejection {
        Rejection(Cause::Uncovered)
    }

    /// The refusal, with its exact reason and its receipt; `None` if the service is not set up right.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.0 {
            Cause::Refused { refusal, .. } => Some(refusal),
            Cause::Uncovered => None,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Refused { refusal, .. } => refusal.fmt(f),
            Cause::Uncovered => f.write_str("the route is not covered by a TokenLayer"),
        }
    }
}

impl std::error::Error for Rejection {}

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        status(match &self.0 {
            Cause::Refused { answer, .. } => answer.status,
            Cause::Uncovered => Answer::not_covered().status,
        })
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        match &self.0 {
            Cause::Refused { answer, refusal } => {
                let mut response = respond(answer.clone());
                response.extensions_mut().insert(Refused(Some(refusal.reason())));
                response
            }
            Cause::Uncovered => respond(Answer::not_covered()),
        }
    }
}

/// On a response: it refuses the request, so the token was not used. An extractor says why; what another middleware refuses it has noted
/// itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused(pub(crate) Option<Reason>);

/// Whether a response is a refusal of ours, made by an extractor or by another middleware further in.
pub(crate) fn refusal_of<B>(response: &HttpResponse<B>) -> Option<Refused> {
    response.extensions().get().copied()
}

/// Whether an error becomes one.
pub(crate) fn refusal_of_error(error: &Error) -> Option<Refused> {
    let rejection: &Rejection = error.as_error()?;
    Some(Refused(rejection.refusal().map(Refusal::reason)))
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
