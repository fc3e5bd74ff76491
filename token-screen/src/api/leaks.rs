//! Leaked tokens, as a reporter lists them: what is a token of ours is revoked, and the reporter learns which were.

use base64ct::{Base64, Encoding};
use serde_json::Value;
use sha2::{Digest, Sha256};
use token_core::ActorId;

use crate::http::{Request, Response};
use crate::management::Management;
use crate::problem::Problem;
use crate::schema::LEAK_REPORTS_MAX;
use crate::strict::{self, Fields, Invalid};

use super::asked::{Asked, json};
use super::wire::LeakBody;

/// As the log names whoever reported.
const REPORTER: &str = "secret-scanning:github";

/// One report. Where the token was found stays with the reporter.
struct Report {
    token: String,
    kind: Option<String>,
}

/// Revokes what is reported by one who has signed the request. Sent again, it revokes what is left.
pub(super) async fn report(management: &Management, request: &Request) -> Result<Response, Problem> {
    Asked::check_no_query(request)?;
    let reports = strict::list_of_body(&request.body)?;
    if reports.len() > LEAK_REPORTS_MAX {
        return Err(Problem::new(400, "too_many_reports", "Send 5,000 reports at most at a time."));
    }
    let reports = reports.into_iter().map(Report::read).collect::<Result<Vec<_>, _>>()?;
    let reporter = ActorId::new(REPORTER).map_err(|_| Problem::unavailable())?;
    let texts: Vec<&str> = reports.iter().map(|report| report.token.as_str()).collect();
    let leaked = management.tokens.revoke_leaked(&texts, &reporter).await.map_err(|error| {
        tracing::error!(error = ?error, "a report of leaked tokens was not dealt with in full");
        let detail = "Not every report could be dealt with at the moment. Send all of them again.";
        Problem::unavailable().says(detail)
    })?;
    let answers: Vec<LeakBody<'_>> =
        reports.iter().zip(leaked).map(|(report, leaked)| report.answer(leaked.is_real())).collect();
    json(200, &answers)
}

impl Report {
    /// Whatever else the reporter sends is its own: the format is not ours to close.
    fn read(report: Value) -> Result<Report, Invalid> {
        let mut fields = Fields::of(report)?;
        let token = strict::text(fields.required("token")?)?;
        let kind = fields.take("type").and_then(|kind| strict::text(kind).ok());
        Ok(Report { token, kind: kind.filter(|kind| is_kind(kind)) })
    }

    fn answer(&self, real: bool) -> LeakBody<'_> {
        LeakBody {
            token_hash: Base64::encode_string(&Sha256::digest(self.token.as_bytes())),
            token_type: self.kind.as_deref(),
            label: if real { "true_positive" } else { "false_positive" },
        }
    }
}

/// What may be repeated to the reporter: a name of a kind of token, and never a token.
fn is_kind(kind: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=64).contains(&kind.len()) && kind.bytes().all(allowed)
}
