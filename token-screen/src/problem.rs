//! What a refused client is told: RFC 9457, never repeating anything of the request.

use std::borrow::Cow;

use serde::Serialize;
use token_core::{Answer, ManageError, RotationError};
use utoipa::ToSchema;

use crate::http::Response;

/// How long a client is asked to wait when something is out of order, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// Why an operation was refused or failed.
#[derive(Debug)]
pub(crate) struct Problem {
    status: u16,
    code: &'static str,
    detail: Cow<'static, str>,
    reauthenticate: Option<String>,
    idempotency_key: Option<String>,
    headers: Vec<(&'static str, String)>,
}

/// A problem as it is written.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Always `about:blank`: the status and `code` are all there is to the type.
    r#type: &'static str,
    /// The name of the status.
    title: &'static str,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Tells apart what shares a status.
    code: &'a str,
    /// What to do, for people.
    detail: &'a str,
    /// Where to prove again who one is, with `stale_sign_in`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    reauthenticate: Option<&'a str>,
    /// What to ask `/changes/{key}` for, with `outcome_unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    idempotency_key: Option<&'a str>,
    /// The scope that was missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    scope: Option<&'a str>,
    /// What the owner of a refused token looks up to learn why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    receipt: Option<&'a str>,
}

impl Problem {
    pub(crate) fn new(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Problem {
        let detail = detail.into();
        Problem { status, code, detail, reauthenticate: None, idempotency_key: None, headers: Vec::new() }
    }

    /// There is no such thing, or it is someone else's.
    pub(crate) fn not_found() -> Problem {
        Problem::new(404, "not_found", "There is no such thing, or it is not yours to see.")
    }

    pub(crate) fn forbidden() -> Problem {
        Problem::new(403, "forbidden", "You are not allowed to do this.")
    }

    pub(crate) fn unavailable() -> Problem {
        let detail = "Tokens can't be managed at the moment, and nothing was changed. Try again.";
        Problem::new(503, "temporarily_unavailable", detail).with("retry-after", RETRY_AFTER_SECONDS)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Problem {
        self.headers.push((name, value.into()));
        self
    }

    /// The same problem, in other words.
    pub(crate) fn says(self, detail: &'static str) -> Problem {
        Problem { detail: detail.into(), ..self }
    }

    pub(crate) fn reauthenticate(mut self, url: Option<&str>) -> Problem {
        self.reauthenticate = url.map(str::to_owned);
        self
    }

    /// The key that a client chose is the better one to ask under than the id that the service made.
    pub(crate) fn asked_under(mut self, key: Option<&str>) -> Problem {
        if let (Some(key), true) = (key, self.idempotency_key.is_some()) {
            self.idempotency_key = Some(key.to_owned());
        }
        self
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }
}

/// What is refused as contradicting the state or the policy: 409, in the words of the core, which repeat nothing of the request.
fn conflict(code: &'static str, error: &dyn std::error::Error) -> Problem {
    Problem::new(409, code, capitalized(&error.to_string()))
}

fn capitalized(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

impl From<ManageError> for Problem {
    fn from(error: ManageError) -> Problem {
        use ManageError as E;
        match &error {
            E::NotFound => Problem::not_found(),
            E::Forbidden => Problem::forbidden(),
            E::UnknownScopes(_) => {
                Problem::new(400, "unknown_scope", "A scope is not one of this service's. GET /scopes lists them.")
            }
            E::ExceedsRights(_) => Problem::new(403, "exceeds_rights", capitalized(&error.to_string())),
            E::Superseded => Problem::new(403, "superseded_value", capitalized(&error.to_string())),
            E::OwnerNotNamed => conflict("owner_not_named", &error),
            E::OwnerUnknown => conflict("owner_unknown", &error),
            E::OwnerSuspended => conflict("owner_suspended", &error),
            E::Expiry(_) | E::Rotation(RotationError::Expiry(_)) => conflict("expiry_not_allowed", &error),
            E::Rotation(RotationError::TwoLive { .. }) => conflict("two_live", &error),
            E::Rotation(_) => conflict("overlap_not_allowed", &error),
            E::Policy(_) => conflict("policy_contradicts_itself", &error),
            E::NotLive(_) => conflict("not_live", &error),
            E::CapReached { .. } => conflict("cap_reached", &error),
            E::ChangeIdReused => conflict("change_id_reused", &error),
            E::Contention => conflict("contention", &error),
            E::BrokenSeal(_) => conflict("broken_seal", &error),
            E::HistoryDisagrees => conflict("history_disagrees", &error),
            E::SealInOrder => conflict("seal_in_order", &error),
            E::StaleRevision { current } => {
                let detail = "It has changed since you looked. Look again.";
                Problem::new(412, "stale_revision", detail).with("etag", format!("\"{current}\""))
            }
            E::OutcomeUnknown { change, .. } => {
                tracing::error!(error = ?error, "it is not known whether a change was made");
                let detail = "It is not known whether the change was made. Ask /changes/{idempotency_key}, or repeat the request.";
                let problem = Problem::new(503, "outcome_unknown", detail).with("retry-after", RETRY_AFTER_SECONDS);
                let hex: String = change.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                Problem { idempotency_key: Some(format!("change-{hex}")), ..problem }
            }
            _ => {
                tracing::error!(error = ?error, "tokens can't be managed");
                Problem::unavailable()
            }
        }
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Response {
        let body = ProblemBody {
            r#type: "about:blank",
            title: title(problem.status),
            status: problem.status,
            code: problem.code,
            detail: &problem.detail,
            reauthenticate: problem.reauthenticate.as_deref(),
            idempotency_key: problem.idempotency_key.as_deref(),
            scope: None,
            receipt: None,
        };
        let mut headers = vec![("content-type", "application/problem+json".to_owned())];
        headers.extend(problem.headers);
        // Fields of plain text always serialize.
        Response { status: problem.status, headers, body: serde_json::to_vec(&body).unwrap_or_default() }
    }
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Response {
        Response { status: answer.status, headers: answer.headers, body: answer.body.into_bytes() }
    }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        _ => "Service Unavailable",
    }
}
