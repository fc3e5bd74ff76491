//! Every operation there is: its method, its path, and who may ask for it.

use crate::http::Request;
use crate::percent;
use crate::problem::Problem;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    ListTokens,
    CreateToken,
    RevokeTokens,
    ReadToken,
    EditToken,
    RotateToken,
    EndOverlap,
    RevokeToken,
    TokenUsage,
    TokenActivity,
    TokenEvents,
    TokenHistory,
    ListUsage,
    ListCalls,
    ReadAttention,
    ReadReceipt,
    ReadOwner,
    SuspendOwner,
    ResumeOwner,
    OwnerEvents,
    ReadPolicy,
    SetPolicy,
    RehearsePolicy,
    PolicyEvents,
    ReadChange,
    ListScopes,
    ReadSelf,
    RotateSelf,
    RevokeSelf,
    ReadDocument,
    ReportLeaks,
    Introspect,
    RevokePresented,
    ForwardAuth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Patch,
    /// Whatever a proxy was asked with.
    Any,
}

impl Method {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Any => "*",
        }
    }
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Anyone, signed in or not.
    Anyone,
    /// Someone who is signed in, for what is theirs to see.
    Visitor,
    /// An admin who is signed in.
    Admin,
    /// A token, for itself.
    Itself,
    /// Whoever has signed the request with a reporter's key.
    Reporter,
    /// A token with the host's scope for looking into tokens that are presented.
    Inspector,
    /// A token with the host's scope for revoking tokens that are presented.
    Revoker,
    /// A token that a proxy was shown, with the scope that the path names.
    Presented,
}

impl Who {
    /// Whether the answer depends on who is signed in. Of all others a visitor is not even looked at.
    pub(crate) fn wants_visitor(self) -> bool {
        match self {
            // A token acts for itself, and a visitor is told that they are none.
            Who::Visitor | Who::Admin | Who::Itself => true,
            Who::Anyone | Who::Reporter | Who::Inspector | Who::Revoker | Who::Presented => false,
        }
    }
}

/// What a host may offer or not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Offered {
    pub(crate) leak_reports: bool,
    pub(crate) introspection: bool,
    pub(crate) revocation: bool,
    pub(crate) forward_auth: bool,
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    /// Below the mount, with `{name}` for the one segment that varies.
    pub(crate) path: &'static str,
    pub(crate) who: Who,
    /// Whether it asks for a recent sign-in: what gives power does, what takes it away never waits.
    pub(crate) fresh: bool,
}

const fn route(operation: Operation, method: Method, path: &'static str, who: Who) -> Route {
    Route { operation, method, path, who, fresh: false }
}

const fn fresh(route: Route) -> Route {
    Route { fresh: true, ..route }
}

const ROUTES: [Route; 34] = {
    use Method::{Any, Get, Patch, Post, Put};
    use Operation as O;
    use Who::{Admin, Anyone, Inspector, Itself, Presented, Reporter, Revoker, Visitor};
    [
        route(O::ListTokens, Get, "/tokens", Visitor),
        fresh(route(O::CreateToken, Post, "/tokens", Visitor)),
        route(O::RevokeTokens, Post, "/tokens/revoke", Visitor),
        route(O::ReadToken, Get, "/tokens/{id}", Visitor),
        fresh(route(O::EditToken, Patch, "/tokens/{id}", Visitor)),
        fresh(route(O::RotateToken, Post, "/tokens/{id}/rotate", Visitor)),
        route(O::EndOverlap, Post, "/tokens/{id}/end-overlap", Visitor),
        route(O::RevokeToken, Post, "/tokens/{id}/revoke", Visitor),
        route(O::TokenUsage, Get, "/tokens/{id}/usage", Visitor),
        route(O::TokenActivity, Get, "/tokens/{id}/activity", Visitor),
        route(O::TokenEvents, Get, "/tokens/{id}/events", Visitor),
        route(O::TokenHistory, Get, "/tokens/{id}/history", Visitor),
        route(O::ListUsage, Get, "/usage", Visitor),
        route(O::ListCalls, Get, "/calls", Visitor),
        route(O::ReadAttention, Get, "/attention", Visitor),
        route(O::ReadReceipt, Get, "/receipts/{receipt}", Visitor),
        route(O::ReadOwner, Get, "/owners/{owner}", Visitor),
        route(O::SuspendOwner, Post, "/owners/{owner}/suspend", Admin),
        fresh(route(O::ResumeOwner, Post, "/owners/{owner}/resume", Admin)),
        route(O::OwnerEvents, Get, "/owners/{owner}/events", Visitor),
        route(O::ReadPolicy, Get, "/policy", Visitor),
        fresh(route(O::SetPolicy, Put, "/policy", Admin)),
        route(O::RehearsePolicy, Post, "/policy/rehearse", Admin),
        route(O::PolicyEvents, Get, "/policy/events", Admin),
        route(O::ReadChange, Get, "/changes/{key}", Visitor),
        route(O::ListScopes, Get, "/scopes", Visitor),
        route(O::ReadSelf, Get, "/self", Itself),
        route(O::RotateSelf, Post, "/self/rotate", Itself),
        route(O::RevokeSelf, Post, "/self/revoke", Itself),
        route(O::ReadDocument, Get, "/openapi.json", Anyone),
        route(O::ReportLeaks, Post, "/leak-reports", Reporter),
        route(O::Introspect, Post, "/introspect", Inspector),
        route(O::RevokePresented, Post, "/revoke", Revoker),
        route(O::ForwardAuth, Any, "/forward-auth/{scope}/{*}", Presented),
    ]
};

impl Route {
    /// The longest body that it takes, in bytes.
    pub(crate) fn body_max(&self) -> usize {
        if self.who == Who::Reporter { Request::BODY_MAX } else { 64 * 1024 }
    }

    /// Whether it changes anything.
    pub(crate) fn changes(&self) -> bool {
        use Operation as O;
        self.method != Method::Get && !matches!(self.operation, O::RehearsePolicy | O::Introspect | O::ForwardAuth)
    }
}

/// The operations that there are where the host offers these.
pub(crate) fn routes(offered: Offered) -> impl Iterator<Item = &'static Route> + Clone {
    ROUTES.iter().filter(move |route| match route.who {
        Who::Reporter => offered.leak_reports,
        Who::Inspector => offered.introspection,
        Who::Revoker => offered.revocation,
        Who::Presented => offered.forward_auth,
        Who::Anyone | Who::Visitor | Who::Admin | Who::Itself => true,
    })
}

/// The operation that a request asks for, with the varying segment of its path as it was sent.
pub(crate) fn find<'a>(method: &str, path: &'a str, offered: Offered) -> Result<(&'static Route, &'a str), Problem> {
    let no_path = || Problem::new(404, "not_found", "There is nothing at this path.");
    // A path that is written out comes before one with a segment that varies.
    let mut matching = routes(offered).filter_map(|route| matches(route.path, path).map(|value| (route, value)));
    let (first, value) = matching.next().ok_or_else(no_path)?;
    let mut methods = routes(offered).filter(|route| route.path == first.path);
    let method = if method == "HEAD" { "GET" } else { method };
    if let Some(route) = methods.clone().find(|route| route.method == Method::Any || route.method.as_str() == method) {
        return Ok((route, value));
    }
    let mut allow: Vec<&str> = methods.by_ref().map(|route| route.method.as_str()).collect();
    if allow.contains(&"GET") {
        allow.push("HEAD");
    }
    let detail = "There is something at this path, and this method is not for it.";
    Err(Problem::new(405, "method_not_allowed", detail).with("allow", allow.join(", ")))
}

fn matches<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let (mut templates, mut segments) = (template.split('/'), path.split('/'));
    let mut value = "";
    loop {
        match (templates.next(), segments.next()) {
            // Whatever follows is of what a proxy was asked for.
            (None, None) | (Some("{*}"), _) => return Some(value),
            (Some(template), Some(segment)) if template.starts_with('{') && !segment.is_empty() => value = segment,
            // Compared as it is meant: a letter that is percent-encoded is that letter.
            (Some(template), Some(segment)) if percent::segment(segment).as_deref() == Some(template) => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask_where(offered: Offered, method: &str, path: &str) -> Result<(Operation, String), u16> {
        find(method, path, offered)
            .map(|(route, value)| (route.operation, value.to_owned()))
            .map_err(|problem| crate::Response::from(problem).status)
    }

    fn ask(method: &str, path: &str) -> Result<(Operation, String), u16> {
        ask_where(Offered::default(), method, path)
    }

    #[test]
    fn leaks_are_reported_where_the_host_wants_it() {
        let found = Ok((Operation::ReportLeaks, String::new()));
        let offered = Offered { leak_reports: true, ..Offered::default() };
        assert_eq!(ask_where(offered, "POST", "/leak-reports"), found);
        assert_eq!(ask_where(offered, "GET", "/leak-reports"), Err(405));
        assert_eq!([ask("POST", "/leak-reports"), ask("GET", "/leak-reports")], [Err(404), Err(404)]);
    }

    #[test]
    fn a_proxy_asks_with_any_method_and_may_append_its_own_path() {
        let offered = Offered { forward_auth: true, ..Offered::default() };
        for (method, path) in [
            ("GET", "/forward-auth/a:b"),
            ("DELETE", "/forward-auth/a:b/"),
            ("brew", "/forward-auth/a:b/../c:d/x"),
            ("POST", "/forward-auth/a:b//x%2F..%2Fc:d"),
        ] {
            assert_eq!(ask_where(offered, method, path), Ok((Operation::ForwardAuth, "a:b".to_owned())), "{path}");
            assert_eq!(ask(method, path), Err(404));
        }
        for path in ["/forward-auth", "/forward-auth/", "/forward-auth//a:b"] {
            assert_eq!(ask_where(offered, "GET", path), Err(404), "{path}");
        }
    }

    #[test]
    fn paths_lead_to_operations() {
        let found = |operation, value: &str| Ok((operation, value.to_owned()));
        assert_eq!(ask("GET", "/tokens"), found(Operation::ListTokens, ""));
        assert_eq!(ask("HEAD", "/tokens/x%2Fy"), found(Operation::ReadToken, "x%2Fy"));
        assert_eq!(ask("POST", "/tokens/revoke"), found(Operation::RevokeTokens, ""));
        assert_eq!(ask("POST", "/tokens/revoke/revoke"), found(Operation::RevokeToken, "revoke"));
        for (method, path, status) in [
            ("GET", "/tokens/revoke", 405),
            ("get", "/tokens", 405),
            ("DELETE", "/tokens/x", 405),
            ("GET", "", 404),
            ("GET", "/", 404),
            ("GET", "/tokens/", 404),
            ("GET", "//tokens", 404),
            ("GET", "/tokens/x/", 404),
            ("GET", "/Tokens", 404),
        ] {
            assert_eq!(ask(method, path), Err(status), "{method} {path}");
        }
    }
}
