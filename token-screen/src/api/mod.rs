//! The operations: each reads what was asked, acts through the core, and says what is so now.

mod asked;
mod forward_auth;
mod leaks;
mod misc;
mod owners;
mod policy;
mod presented;
mod self_service;
mod tokens;
mod usage;
pub(crate) mod wire;

use crate::guard::{self, Access};
use crate::http::{Request, Response};
use crate::management::Management;
use crate::openapi;
use crate::problem::Problem;
use crate::route::{Operation, Route};

use asked::Asked;

/// Does what a request asks for, of someone who may ask.
pub(crate) async fn perform(
    management: &Management,
    route: &Route,
    request: &Request,
    segment: &str,
    access: &Access,
) -> Result<Response, Problem> {
    let operation = route.operation;
    if let Access::Presented(token) = access {
        // The body, if there is one, is of what the proxy was asked for.
        return forward_auth::answer(management, segment, token, &guard::call(route, request));
    }
    check_length(route, request)?;
    let asked = |actor| Asked { management, request, segment, actor };
    match access {
        Access::Anyone => {
            Asked::check_nothing(request)?;
            openapi::document(management)
        }
        Access::Itself(actor, token) => self_service::perform(&asked(actor), operation, token).await,
        Access::Visitor(actor) => visited(&asked(actor), operation).await,
        Access::Reporter => leaks::report(management, request).await,
        Access::Program(token) => presented::perform(management, route, request, token).await,
        Access::Presented(_) => Err(Problem::forbidden()),
    }
}

/// Whether the body is no longer than the operation reads.
pub(crate) fn check_length(route: &Route, request: &Request) -> Result<(), Problem> {
    let max = route.body_max();
    if request.body.len() <= max {
        return Ok(());
    }
    let detail = format!("The body is longer than anything that this reads: {} KiB at most.", max / 1024);
    Err(Problem::new(413, "body_too_large", detail))
}

async fn visited(asked: &Asked<'_>, operation: Operation) -> Result<Response, Problem> {
    use Operation as O;
    match operation {
        O::ListTokens => tokens::list(asked).await,
        O::CreateToken => tokens::create(asked).await,
        O::RevokeTokens => tokens::revoke_many(asked).await,
        O::ReadToken => tokens::read(asked).await,
        O::EditToken => tokens::edit(asked).await,
        O::RotateToken => tokens::rotate(asked).await,
        O::EndOverlap => tokens::end_overlap(asked).await,
        O::RevokeToken => tokens::revoke(asked).await,
        O::TokenUsage => tokens::hours(asked).await,
        O::TokenActivity => usage::activity(asked).await,
        O::ListUsage => usage::list(asked).await,
        O::ListCalls => usage::calls(asked).await,
        O::ReadAttention => usage::attention(asked).await,
        O::TokenEvents => tokens::events(asked).await,
        O::TokenHistory => tokens::history(asked).await,
        O::ReadReceipt => misc::receipt(asked).await,
        O::ReadOwner => owners::read(asked).await,
        O::SuspendOwner => owners::suspend(asked).await,
        O::ResumeOwner => owners::resume(asked).await,
        O::OwnerEvents => owners::events(asked).await,
        O::ReadPolicy => policy::read(asked).await,
        O::SetPolicy => policy::set(asked).await,
        O::RehearsePolicy => policy::rehearse(asked).await,
        O::PolicyEvents => policy::events(asked).await,
        O::ReadChange => misc::change(asked).await,
        O::ListScopes => misc::scopes(asked),
        // The guard lets no visitor through to these.
        O::ReadSelf
        | O::RotateSelf
        | O::RevokeSelf
        | O::ReadDocument
        | O::ReportLeaks
        | O::Introspect
        | O::RevokePresented
        | O::ForwardAuth => Err(Problem::forbidden()),
    }
}
