//! Who may ask for what: written once, for every operation.
//!
//! Nothing here looks at a path or an id, so that what is refused here is refused alike whether the thing exists or not.

use std::time::Duration;

use token_core::{Actor, ActorId, Call, Ceiling, Credential, CredentialError, Refusal, Tokens, Verified};

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
    Itself(Actor, Verified),
    /// Who has signed the request with a reporter's key.
    Reporter,
    /// A token that may ask about others, or have them revoked.
    Program(Verified),
    /// A token that was shown to a proxy, whatever its scopes.
    Presented(Verified),
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
        Who::Visitor | Who::Admin | Who::Itself | Who::Inspector | Who::Revoker | Who::Presented => {}
    }
    let tokens = &management.tokens;
    let refused = |refusal: Refusal| Response::from(refusal.answer(tokens.realm(), tokens.sources()));
    // A session is nothing to a program or a proxy: it may happen to be sent along.
    if let Who::Inspector | Who::Revoker | Who::Presented = route.who {
        let token = tokens.authenticate(credential(tokens, request), request.caller).await.map_err(refused)?;
        let check = match route.who {
            Who::Inspector => management.introspection.ok_or_else(Problem::forbidden)?,
            Who::Revoker => management.revocation.ok_or_else(Problem::forbidden)?,
            _ => return Ok(Access::Presented(token)),
        };
        check(tokens, &token).map_err(refused)?;
        tokens.tally_use(&token, &call(route, request));
        return Ok(Access::Program(token));
    }
    match visitor {
        Some(visitor) => {
            if is_ambiguous(tokens, request, &visitor) {
                return Err(refused(tokens.refuse(CredentialError::Malformed)));
            }
            let needs = Needs {
                safe: route.method == Method::Get,
                who: route.who,
                changes: route.changes(),
                fresh: route.fresh,
            };
            check_visitor(management, needs, request, &visitor).map_err(|barred| barred.problem(management))?;
            Ok(Access::Visitor(visitor.actor))
        }
        None => {
            let token = tokens.authenticate(credential(tokens, request), request.caller).await.map_err(refused)?;
            check_token(management, route, &token)?;
            // Browsers show the password of Basic by themselves, whichever page makes them ask. A program names no page.
            if route.method != Method::Get && is_of_a_page(request) && !is_same_site(management, request) {
                return Err(Barred::CrossSite.problem(management).into());
            }
            let actor = itself(tokens, &token).await?;
            tokens.tally_use(&token, &call(route, request));
            Ok(Access::Itself(actor, token))
        }
    }
}

/// What is called, for the usage of the token.
pub(crate) fn call<'a>(route: &'a Route, request: &'a Request) -> Call<'a> {
    Call { method: &request.method, route: Some(route.path), client: request.header("user-agent").next() }
}

fn credential<'a>(tokens: &Tokens, request: &'a Request) -> Result<Credential<'a>, CredentialError> {
    tokens.sources().read(request.header("authorization"), request.header("x-api-key"))
}

/// Whether a request of someone who is signed in holds a credential as well, and so has two readings.
pub(crate) fn is_ambiguous(tokens: &Tokens, request: &Request, visitor: &SignedIn) -> bool {
    match credential(tokens, request) {
        Err(CredentialError::Missing) => false,
        Err(CredentialError::Malformed) => true,
        // The header by which the host knows a program may be this one, and then holds what is no token of ours.
        Ok(credential) => visitor.ambient || is_ours(tokens, credential.expose_secret()),
    }
}

fn is_ours(tokens: &Tokens, credential: &[u8]) -> bool {
    let prefix = tokens.format().prefix().as_bytes();
    credential.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(b"_"))
}

/// What an operation or a page asks of whoever wants it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// Whether its method is one that changes nothing by what it means (RFC 9110 §9.2.1).
    pub(crate) safe: bool,
    pub(crate) who: Who,
    /// Whether it changes anything.
    pub(crate) changes: bool,
    /// Whether it asks for a recent sign-in.
    pub(crate) fresh: bool,
}

/// Why a visitor is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barred {
    CrossSite,
    NotAToken,
    Forbidden,
    StaleSignIn,
}

impl Barred {
    fn problem(self, management: &Management) -> Problem {
        match self {
            Barred::CrossSite => {
                let detail = "This request does not come from a page of this site, as far as its headers say.";
                Problem::new(403, "cross_site", detail)
            }
            Barred::NotAToken => {
                let detail = "This is for a token that manages itself. Tokens of yours are below /tokens.";
                Problem::new(403, "not_a_token", detail)
            }
            Barred::Forbidden => Problem::forbidden(),
            Barred::StaleSignIn => {
                let detail = "You signed in too long ago for this. Sign in again, then repeat the request.";
                let problem = Problem::new(403, "stale_sign_in", detail);
                problem.reauthenticate(management.reauthenticate.as_deref())
            }
        }
    }
}

/// Whether someone who is signed in may have what they ask for.
pub(crate) fn check_visitor(
    management: &Management,
    needs: Needs,
    request: &Request,
    visitor: &SignedIn,
) -> Result<(), Barred> {
    if visitor.ambient && !needs.safe && !is_same_site(management, request) {
        return Err(Barred::CrossSite);
    }
    match needs.who {
        Who::Itself => return Err(Barred::NotAToken),
        Who::Admin if !visitor.actor.is_admin() => return Err(Barred::Forbidden),
        _ => {}
    }
    if needs.changes && !visitor.actor.may_manage() {
        return Err(Barred::Forbidden);
    }
    if needs.fresh && !is_fresh(management, visitor) {
        return Err(Barred::StaleSignIn);
    }
    Ok(())
}

/// Whether a browser says of a request which page it comes from.
fn is_of_a_page(request: &Request) -> bool {
    ["origin", "sec-fetch-site"].iter().any(|name| request.header(name).next().is_some())
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

pub(crate) fn is_fresh(management: &Management, visitor: &SignedIn) -> bool {
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
