//! What a refused client is told: status, challenge and problem body, the same bytes from every framework.

use serde::Serialize;

use crate::bearer::Sources;
use crate::refusal::{Class, Refusal};

/// How long a client is asked to wait when the store is down, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// The protection space named in challenges (RFC 9110 §11.5): 1 to 100 printable ASCII characters without `"` and `\`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm(Box<str>);

/// A realm that can't be put into a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("realm: use 1 to 100 printable ASCII characters without quotes and backslashes")]
pub struct RealmError;

impl Realm {
    /// Checks the text of a realm.
    ///
    /// # Errors
    /// [`RealmError`] if it can't be quoted in a header.
    pub fn new(text: &str) -> Result<Realm, RealmError> {
        let printable = text.bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\'));
        if printable && (1..=100).contains(&text.len()) { Ok(Realm(text.into())) } else { Err(RealmError) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Realm {
    fn default() -> Realm {
        Realm("api".into())
    }
}

/// A response without a framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case, with their values, in order.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// RFC 9457. `about:blank` says that the status is all there is to the type; `code` tells apart what shares a status.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<&'a str>,
}

impl Answer {
    /// The response of a route that asks for a token and that no middleware of ours covers: a mistake of the host's, which the
    /// log explains and the client is told nothing of.
    #[must_use]
    pub fn not_covered() -> Answer {
        Answer::problem(&Problem {
            r#type: "about:blank",
            title: "Internal Server Error",
            status: 500,
            code: "internal_error",
            detail: "The service is not set up to answer this request. Nothing is wrong with the request.",
            scope: None,
            receipt: None,
        })
    }

    fn problem(problem: &Problem<'_>) -> Answer {
        let headers =
            vec![("content-type", "application/problem+json".to_owned()), ("cache-control", "no-store".to_owned())];
        // A problem is plain text fields, which always serialize.
        let body = serde_json::to_string(problem).unwrap_or_default();
        Answer { status: problem.status, headers, body }
    }
}

impl Refusal {
    /// The response to a refused request, per RFC 6750 §3 and RFC 9457. Never repeats anything of the request, and
    /// differs within one [`Class`] by the receipt only.
    #[must_use]
    pub fn answer(&self, realm: &Realm, sources: Sources) -> Answer {
        let (status, title, code, detail) = match self.class() {
            Class::NoCredentials => (
                401,
                "Unauthorized",
                "no_credentials",
                "This resource needs an API token. Send it as: Authorization: Bearer <token>.",
            ),
            Class::MalformedRequest => (
                400,
                "Bad Request",
                "invalid_request",
                "The credential can't be read. Send exactly one token, once, as: Authorization: Bearer <token>.",
            ),
            Class::InvalidToken => (
                401,
                "Unauthorized",
                "invalid_token",
                "The token is not valid. Its owner can look up the receipt to learn why.",
            ),
            Class::InsufficientScope => {
                (403, "Forbidden", "insufficient_scope", "The token does not have the scope that this needs.")
            }
            Class::Unavailable => (
                503,
                "Service Unavailable",
                "temporarily_unavailable",
                "Tokens can't be verified at the moment. Nothing is wrong with the token; try again.",
            ),
        };
        let mut answer = Answer::problem(&Problem {
            r#type: "about:blank",
            title,
            status,
            code,
            detail,
            scope: self.needed,
            receipt: self.receipt().map(|receipt| receipt.as_str()),
        });
        let headers = &mut answer.headers;
        let realm = realm.as_str();
        match self.class() {
            Class::Unavailable => headers.push(("retry-after", RETRY_AFTER_SECONDS.to_owned())),
            Class::NoCredentials => headers.push(("www-authenticate", format!("Bearer realm=\"{realm}\""))),
            Class::MalformedRequest | Class::InvalidToken | Class::InsufficientScope => {
                let scope = self.needed.map(|scope| format!(", scope=\"{scope}\"")).unwrap_or_default();
                headers.push(("www-authenticate", format!("Bearer realm=\"{realm}\", error=\"{code}\"{scope}")));
            }
        }
        if status == 401 && sources.basic_password {
            headers.push(("www-authenticate", format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Reason;

    fn answer(reason: Reason) -> Answer {
        let needed = (reason == Reason::InsufficientScope).then_some("projects:write");
        let refusal = Refusal::without_receipt(reason);
        needed.into_iter().fold(refusal, Refusal::needing).answer(&Realm::default(), Sources::default())
    }

    fn challenge(answer: &Answer) -> Option<&str> {
        answer.headers.iter().find(|(name, _)| *name == "www-authenticate").map(|(_, value)| value.as_str())
    }

    #[test]
    fn statuses_and_challenges_follow_rfc_6750() {
        let none = answer(Reason::NoCredential);
        assert_eq!((none.status, challenge(&none)), (401, Some(r#"Bearer realm="api""#)));
        let malformed = answer(Reason::MalformedRequest);
        assert_eq!(
            (malformed.status, challenge(&malformed)),
            (400, Some(r#"Bearer realm="api", error="invalid_request""#))
        );
        let scope = answer(Reason::InsufficientScope);
        assert_eq!(
            (scope.status, challenge(&scope)),
            (403, Some(r#"Bearer realm="api", error="insufficient_scope", scope="projects:write""#))
        );
        let down = answer(Reason::StoreUnavailable);
        assert_eq!((down.status, challenge(&down)), (503, None));
        assert!(down.headers.contains(&("retry-after", "1".to_owned())));
    }

    #[test]
    fn every_invalid_token_gets_the_same_answer() {
        let same: Vec<Answer> =
            Reason::all().filter(|reason| reason.class() == Class::InvalidToken).map(answer).collect();
        assert!(same.len() > 10);
        assert!(same.iter().all(|other| *other == same[0]));
        assert_eq!(challenge(&same[0]), Some(r#"Bearer realm="api", error="invalid_token""#));
    }

    #[test]
    fn realms_can_be_quoted() {
        assert!(Realm::new("Acme API").is_ok());
        for bad in ["", "a\"b", "a\\b", "a\nb", "é", &"a".repeat(101)] {
            assert_eq!(Realm::new(bad), Err(RealmError));
        }
    }
}
