//! What a proxy learns of a request that it was sent: whether its token has the scope that the operator asks for.

use token_core::{Call, Verified};

use crate::http::Response;
use crate::management::Management;
use crate::percent;
use crate::problem::Problem;

/// What the service behind the proxy is told of who asks. A proxy writes all of them, over what a client sent by these names. Names that
/// differ in `_` or `.` for `-`, and that some services take for these, it has to be told to drop: of itself only nginx does.
pub(crate) const IDENTITY: [&str; 3] = ["x-token-owner", "x-token-id", "x-token-scopes"];

/// Lets the token through, or says what a client that asks directly would be told. The scope is the operator's: nothing that a client
/// sends has a say in it.
pub(super) fn answer(
    management: &Management,
    scope: &str,
    token: &Verified,
    call: &Call<'_>,
) -> Result<Response, Problem> {
    let tokens = &management.tokens;
    let unknown = || Problem::new(404, "not_found", "There is nothing at this path.");
    let scope = percent::segment(scope).ok_or_else(unknown)?;
    match tokens.require_named(token, &scope).ok_or_else(unknown)? {
        Ok(()) => {
            tokens.tally_use(token, call);
            let scopes: Vec<&str> = token.scopes().collect();
            let values = [percent::encode(token.owner().as_str()), token.token_id().to_string(), scopes.join(" ")];
            let allowed = Response { status: 200, headers: Vec::new(), body: Vec::new() };
            Ok(IDENTITY.into_iter().zip(values).fold(allowed, |allowed, (name, value)| allowed.with(name, value)))
        }
        Err(refusal) => Ok(Response::from(refusal.answer(tokens.realm(), tokens.sources()))),
    }
}
