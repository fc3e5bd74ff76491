//! A request on its way to an operation: its parts, read strictly.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Serialize;
use token_core::{Actor, ChangeId, Event, Manage, ManageError, OwnerId, Subject, Time, TokenId, Tokens};

use crate::http::{Request, Response};
use crate::management::Management;
use crate::problem::Problem;
use crate::strict::{Fields, Invalid};
use crate::{moment, percent};

use super::wire::{EventBody, EventPage};

/// What someone asks for.
pub(super) struct Asked<'a> {
    pub(super) management: &'a Management,
    pub(super) request: &'a Request,
    /// The varying segment of the path, as it was sent.
    pub(super) segment: &'a str,
    pub(super) actor: &'a Actor,
}

impl<'a> Asked<'a> {
    pub(super) fn tokens(&self) -> &'a Tokens {
        &self.management.tokens
    }

    pub(super) fn manage(&self) -> Manage<'a> {
        self.tokens().manage(self.actor)
    }

    pub(super) fn segment(&self) -> Option<String> {
        percent::segment(self.segment)
    }

    /// The token that the path names. What is no id is looked up as the one that no token has, so that it fares as any id does
    /// that is missing.
    pub(super) fn token_id(&self) -> TokenId {
        let id = self.segment().and_then(|id| id.parse().ok());
        id.unwrap_or_else(|| TokenId::from_bytes([0; 16]))
    }

    pub(super) fn owner_id(&self) -> Result<OwnerId, Problem> {
        let id = self.segment().and_then(|id| OwnerId::new(id).ok());
        id.ok_or_else(Problem::not_found)
    }

    /// Neither parameters nor a body are expected.
    pub(super) fn check_nothing(request: &Request) -> Result<(), Problem> {
        Asked::check_no_query(request)?;
        check_no_body(request)
    }

    pub(super) fn check_no_query(request: &Request) -> Result<(), Problem> {
        Query::of(&request.query, &[]).map(drop)
    }

    /// The parameters of an operation that takes no body.
    pub(super) fn query(&self, known: &[&'static str]) -> Result<Query, Problem> {
        let query = Query::of(&self.request.query, known)?;
        check_no_body(self.request)?;
        Ok(query)
    }

    /// The body of an operation that takes no parameters. There must be one, be it `{}`.
    pub(super) fn fields(&self) -> Result<Fields, Problem> {
        let fields = self.optional_fields()?;
        if self.request.body.is_empty() { Err(Invalid.into()) } else { Ok(fields) }
    }

    /// The same, where none at all is a body without fields.
    pub(super) fn optional_fields(&self) -> Result<Fields, Problem> {
        Query::of(&self.request.query, &[])?;
        if !self.request.body.is_empty() && !is_json(self.request) {
            return Err(Problem::new(415, "not_json", "Send the body as content-type: application/json."));
        }
        Ok(Fields::of_body(&self.request.body)?)
    }

    pub(super) fn nothing(&self) -> Result<(), Problem> {
        Asked::check_nothing(self.request)
    }

    /// A page of the history of a subject.
    pub(super) async fn events(&self, subject: impl FnOnce() -> Result<Subject, Problem>) -> Result<Response, Problem> {
        let mut query = self.query(&["after", "limit"])?;
        let after = query.integer("after", 0..=MAX_SEQ)?.unwrap_or(0);
        let limit = query.limit()?;
        let events = self.manage().events(&subject()?, after, limit).await?;
        let full = events.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = events.last().filter(|_| full).map(|event: &Event| event.seq);
        let format = self.tokens().format();
        json(200, &EventPage { events: events.iter().map(|event| EventBody::of(event, format)).collect(), next })
    }
}

/// The largest whole number that every reader of JSON keeps exact.
pub(crate) const MAX_SEQ: u64 = 9_007_199_254_740_991;

pub(super) fn json(status: u16, body: &impl Serialize) -> Result<Response, Problem> {
    // All that is answered is of plain types, which always serialize.
    Ok(Response::json(status, serde_json::to_vec(body).map_err(|_| Problem::unavailable())?))
}

fn check_no_body(request: &Request) -> Result<(), Problem> {
    Ok(Fields::of_body(&request.body)?.done()?)
}

fn is_json(request: &Request) -> bool {
    let mut lines = request.header("content-type");
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let line = line.to_ascii_lowercase();
    let mut parts = line.split(';').map(str::trim);
    parts.next() == Some("application/json") && parts.all(|part| matches!(part, "charset=utf-8" | "charset=\"utf-8\""))
}

/// The one line of a header; `None` without it.
fn one_line<'a>(request: &'a Request, name: &'a str) -> Result<Option<&'a str>, Problem> {
    let mut lines = request.header(name);
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => std::str::from_utf8(line).map(Some).map_err(|_| invalid_header()),
        _ => Err(invalid_header()),
    }
}

fn invalid_header() -> Problem {
    let detail =
        "A header can't be read: Idempotency-Key is 1 to 255 visible ASCII characters, If-Match one ETag of ours or *.";
    Problem::new(400, "invalid_header", detail)
}

/// A client's own name for a change, or what the service told it to ask under.
pub(super) fn is_key(key: &str) -> bool {
    (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A change about to be made, under the conditions that the client named.
pub(super) struct Changing<'a> {
    pub(super) manage: Manage<'a>,
    key: Option<&'a str>,
    replayed: bool,
}

impl<'a> Asked<'a> {
    /// A change of something that is read by its revision.
    pub(super) async fn changing_revision(&self) -> Result<Changing<'a>, Problem> {
        let revision = match one_line(self.request, "if-match")? {
            None | Some("*") => None,
            Some(tag) => Some(revision_of(tag).ok_or_else(invalid_header)?),
        };
        let mut changing = self.changing().await?;
        if let Some(revision) = revision {
            changing.manage = changing.manage.if_revision(revision);
        }
        Ok(changing)
    }

    /// A change.
    pub(super) async fn changing(&self) -> Result<Changing<'a>, Problem> {
        let key = self.idempotency_key()?;
        let manage = self.manage();
        let Some(text) = key else { return Ok(Changing { manage, key, replayed: false }) };
        let id = ChangeId::from_key(self.actor.id(), text);
        let replayed = match manage.outcome(&id).await {
            Ok(_) => true,
            Err(ManageError::NotFound) => false,
            Err(error) => return Err(error.into()),
        };
        Ok(Changing { manage: manage.change_id(id), key, replayed })
    }

    pub(super) fn idempotency_key(&self) -> Result<Option<&'a str>, Problem> {
        match one_line(self.request, "idempotency-key")? {
            Some(key) if !is_key(key) => Err(invalid_header()),
            key => Ok(key),
        }
    }
}

impl Changing<'_> {
    pub(super) fn problem(&self, error: ManageError) -> Problem {
        Problem::from(error).asked_under(self.key)
    }

    /// Notes on the response that it is about a change that was made before.
    pub(super) fn noted(&self, response: Response, repeated: bool) -> Response {
        if self.replayed || repeated { response.with("idempotency-replayed", "true") } else { response }
    }
}

/// `"7"`, in its only spelling.
fn revision_of(tag: &str) -> Option<u64> {
    let number = tag.strip_prefix('"')?.strip_suffix('"')?;
    let revision: u64 = number.parse().ok()?;
    (number.len() <= 19 && revision.to_string() == number).then_some(revision)
}

/// The parameters of a query: known ones, each at most once.
pub(super) struct Query(BTreeMap<&'static str, String>);

fn invalid_query() -> Problem {
    let detail = "The query is not what this operation reads: a parameter is unknown, repeated, or not of its form.";
    Problem::new(400, "invalid_query", detail)
}

impl Query {
    fn of(raw: &str, known: &[&'static str]) -> Result<Query, Problem> {
        let mut parameters = BTreeMap::new();
        for pair in raw.split('&').filter(|_| !raw.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(invalid_query)?;
            let name = percent::query_word(name);
            let known = known.iter().find(|known| name.as_deref() == Some(known)).ok_or_else(invalid_query)?;
            let value = percent::query_word(value).ok_or_else(invalid_query)?;
            if parameters.insert(*known, value).is_some() {
                return Err(invalid_query());
            }
        }
        Ok(Query(parameters))
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    pub(super) fn checked<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        self.text(name).map(|text| read(&text).ok_or_else(invalid_query)).transpose()
    }

    /// A whole number, in its only spelling.
    pub(super) fn integer(&mut self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        self.checked(name, |text| {
            let number: u64 = text.parse().ok()?;
            (number.to_string() == text && range.contains(&number)).then_some(number)
        })
    }

    pub(super) fn limit(&mut self) -> Result<u32, Problem> {
        let limit = self.integer("limit", 1..=200)?.unwrap_or(50);
        u32::try_from(limit).map_err(|_| invalid_query())
    }

    pub(super) fn time(&mut self, name: &str) -> Result<Option<Time>, Problem> {
        self.checked(name, moment::read)
    }
}
