//! Who may ask for what: written once, for every operation.
//!
//! Nothing here looks at a path or an id, so that what is refused here is refused alike whether the thing exists or not.

use std::time::Duration;

use token_core::{Actor, ActorId, Call, Ceiling, CredentialError, Refusal, TokenId, Tokens, Verified};

use crate::api;
use crate::http::{Request, Response};
use crate::management::Management;
use crate::problem::Problem;
use crate::route::{Method, Route, Who};
use crate::visitor::SignedIn;

/// Clocks of one host may differ by so much; a sign-in further in the future is not believed.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

pub(crate) type ScopeCheck = fn(&Tokens, &Verified) -> Result<(), Refusal>;

/// Someone who may ask for the operation.
#[derive(Debug)]
pub(crate) enum Access {
    /// Nobody in particular: the operation is for anyone.
    Anyone,
    /// Someone who is signed in.
    Visitor(Actor),
    /// A token, which acts for itself alone.
    Itself(Actor, TokenId),
    /// Who has signed the request with a reporter's key.
    Reporter,
}

/// Lets a request through, or answers it.
pub(crate) async fn admit(
    management: &Management,
    route: &Route,
    request: &Request,
    visitor: Option<SignedIn>,
) -> Result<Access, Response> {
    match route.who {
        Who::Anyone => return Ok(Access::Anyone),
        Who::Reporter => {
            // A body that was cut short has no signature that fits.
            api::check_length(route, request)?;
            // Nobody's browser signs anything by itself, so it does not matter which page a request comes from.
            management.reporters.as_ref().ok_or_else(Problem::forbidden)?.check(request)?;
            return Ok(Access::Reporter);
        }
        Who::Visitor | Who::Admin | Who::Itself => {}
    }
    let tokens = &management.tokens;
    let refused = |refusal: Refusal| Response::from(refusal.answer(tokens.realm(), tokens.sources()));
    let credential = tokens.sources().read(request.header("authorization"), request.header("x-api-key"));
    match visitor {
        Some(visitor) => {
            let ambiguous = match &credential {
                Err(CredentialError::Missing) => false,
                Err(CredentialError::Malformed) => true,
                // The header by which the host knows a program may be this one, and then holds what is no token of ours.
                Ok(credential) => visitor.ambient || is_ours(tokens, credential.expose_secret()),
            };
            if ambiguous {
                return Err(refused(tokens.refuse(CredentialError::Malformed)));
            }
            check_visitor(management, route, request, &visitor)?;
            Ok(Access::Visitor(visitor.actor))
        }
        None => {
            let token = tokens.authenticate(credential, request.caller).await.map_err(refused)?;
            check_token(management, route, &token)?;
            let actor = itself(tokens, &token).await?;
            let client = request.header("user-agent").next();
            let call = Call { method: &request.method, route: Some(route.path), client };
            tokens.tally_use(&token, &call);
            Ok(Access::Itself(actor, token.token_id()))
        }
    }
}

fn is_ours(tokens: &Tokens, credential: &[u8]) -> bool {
    let prefix = tokens.format().prefix().as_bytes();
    credential.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(b"_"))
}

fn check_visitor(management: &Management, route: &Route, request: &Request, visitor: &SignedIn) -> Result<(), Problem> {
    if visitor.ambient && route.method != Method::Get && !is_same_site(management, request) {
        let detail = "This request does not come from a page of this site, as far as its headers say.";
        return Err(Problem::new(403, "cross_site", detail));
    }
    match route.who {
        Who::Itself => {
            let detail = "This is for a token that manages itself. Tokens of yours are below /tokens.";
            return Err(Problem::new(403, "not_a_token", detail));
        }
        Who::Admin if !visitor.actor.is_admin() => return Err(Problem::forbidden()),
        _ => {}
    }
    if route.changes() && !visitor.actor.may_manage() {
        return Err(Problem::forbidden());
    }
    if route.fresh && !is_fresh(management, visitor) {
        let detail = "You signed in too long ago for this. Sign in again, then repeat the request.";
        return Err(Problem::new(403, "stale_sign_in", detail).reauthenticate(management.reauthenticate.as_deref()));
    }
    Ok(())
}

/// Whether a request that a browser may have made by itself was made by a page of the host's own.
fn is_same_site(management: &Management, request: &Request) -> bool {
    let one = |name| {
        let mut lines = request.header(name);
        (lines.next(), lines.next().is_some())
    };
    let same_origin_fetch = one("sec-fetch-site") == (Some(b"same-origin"), false);
    match (one("origin"), &management.origin) {
        ((None, _), _) => same_origin_fetch,
        ((Some(_), true), _) => false,
        ((Some(origin), false), Some(own)) => origin == own.as_bytes(),
        // Without an origin to compare with, the browser's own comparison is what there is.
        ((Some(origin), false), None) => origin != b"null" && same_origin_fetch,
    }
}

fn is_fresh(management: &Management, visitor: &SignedIn) -> bool {
    let (now, then) = (management.tokens.now(), visitor.authenticated_at);
    now.since(then) <= management.step_up && then.since(now) <= CLOCK_SKEW
}

/// A token manages itself at most, and only where the host has a scope for that.
fn check_token(management: &Management, route: &Route, token: &Verified) -> Result<(), Problem> {
    let allowed = management.self_service.filter(|_| route.who == Who::Itself);
    match allowed {
        Some(check) if check(&management.tokens, token).is_ok() => Ok(()),
        _ => Err(Problem::new(403, "tokens_do_not_manage_tokens", "Tokens do not manage tokens. Sign in instead.")),
    }
}

/// The token as an actor: it reaches its owner's tokens, of which only its own id is ever handed on, and has no more rights to give
/// than it has itself.
async fn itself(tokens: &Tokens, token: &Verified) -> Result<Actor, Problem> {
    let id = token.token_id();
    let name = ActorId::new(format!("token:{id}")).map_err(|_| Problem::unavailable())?;
    let looking = Actor::owner(name.clone(), token.owner().clone(), Ceiling::Only(Default::default())).read_only();
    let listed = tokens.manage(&looking).token(id).await?;
    Ok(Actor::owner(name, token.owner().clone(), Ceiling::Only(listed.token.grants)))
}
