//! Tokens that were presented to services which are not written in Rust: RFC 7662 says what they may do, RFC 7009 ends them.

use token_core::{Actor, ActorId, Call, Caller, Ceiling, Class, Credential, ManageError, OwnerId, Tokens, Verified};

use crate::form;
use crate::guard;
use crate::http::{Request, Response};
use crate::management::Management;
use crate::percent;
use crate::problem::Problem;
use crate::route::{Operation, Route};

use super::asked::{Asked, json};
use super::wire::IntrospectionBody;

/// Does what a token that may do so asks for.
pub(super) async fn perform(
    management: &Management,
    route: &Route,
    request: &Request,
    caller: &Verified,
) -> Result<Response, Problem> {
    Asked::check_no_query(request)?;
    let text = presented(request)?;
    let everyone = management.services.contains(caller.owner());
    let sees = |owner: &OwnerId| everyone || owner == caller.owner();
    match route.operation {
        Operation::Introspect => introspect(&management.tokens, &text, sees, &guard::call(route, request)).await,
        Operation::RevokePresented => revoke(&management.tokens, &text, caller, everyone).await,
        _ => Err(Problem::forbidden()),
    }
}

/// The text in the form. Other fields, such as a hint of what kind it is, are ignored, as OAuth has it (RFC 6749 §3.2), whatever they hold.
fn presented(request: &Request) -> Result<String, Problem> {
    let unreadable =
        || Problem::new(400, "invalid_request", "Send a form (application/x-www-form-urlencoded) with one token.");
    if !form::is_form(request) {
        return Err(unreadable());
    }
    let body = std::str::from_utf8(&request.body).map_err(|_| unreadable())?;
    let mut found = None;
    for pair in body.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if percent::query_word(name).as_deref() == Some("token") {
            let text = percent::query_word(value).ok_or_else(unreadable)?;
            if found.replace(text).is_some() {
                return Err(unreadable());
            }
        }
    }
    found.filter(|text| !text.is_empty()).ok_or_else(unreadable)
}

/// Whatever may not be seen, or does not work, is not active, and nothing more is said of it.
async fn introspect(
    tokens: &Tokens,
    text: &str,
    sees: impl Fn(&OwnerId) -> bool,
    call: &Call<'_>,
) -> Result<Response, Problem> {
    let credential = Credential::Borrowed(text.as_bytes());
    match tokens.authenticate(Ok(credential), Caller::default()).await {
        Ok(token) if sees(token.owner()) => {
            tokens.tally_use(&token, call);
            json(200, &IntrospectionBody::of(&token))
        }
        Err(refusal) if refusal.class() == Class::Unavailable => Err(Problem::unavailable()),
        Ok(_) | Err(_) => json(200, &IntrospectionBody::default()),
    }
}

/// Revokes the token, if it is one that the caller may revoke. It is answered alike if it is not, or is no token at all: whoever holds the
/// text learns nothing by showing it here.
async fn revoke(tokens: &Tokens, text: &str, caller: &Verified, everyone: bool) -> Result<Response, Problem> {
    if let Some((id, owner)) = tokens.identify(text.as_bytes()).await? {
        // It may do nothing but revoke, and has no rights to give.
        let nothing = Ceiling::Only(Default::default());
        let name = ActorId::new(format!("token:{}", caller.token_id())).map_err(|_| Problem::unavailable())?;
        let actor =
            if everyone { Actor::admin(name, nothing) } else { Actor::owner(name, caller.owner().clone(), nothing) };
        if everyone || owner == *caller.owner() {
            match tokens.manage(&actor).revoke(id).await {
                // One that was purged meanwhile gives no access either.
                Ok(_) | Err(ManageError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(Response { status: 200, headers: Vec::new(), body: Vec::new() })
}
