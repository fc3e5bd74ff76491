//! The OpenAPI document, made from the routes, the wire types and the catalog of the service.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn, PathItemBuilder, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Header, HttpMethod, InfoBuilder, OpenApiBuilder, Ref, RefOr, Required, Response,
    ResponseBuilder, Schema, ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::api::wire;
use crate::http;
use crate::leak_reports;
use crate::management::Management;
use crate::problem::{Problem, ProblemBody};
use crate::route::{self, Method, Offered, Operation, Route, Who};
use crate::schema;

/// What the document says of one operation.
struct Description {
    id: &'static str,
    summary: &'static str,
    tag: &'static str,
    /// The component of its body, and whether there must be one.
    body: Option<(&'static str, bool)>,
    /// Whether the body is a form, and not JSON.
    form: bool,
    /// The component of its answer.
    answer: &'static str,
    query: &'static [&'static str],
    /// `If-Match` is honoured, and the answer has an `ETag`.
    revised: bool,
}

/// Instead of a component: there is no body.
const NOTHING: &str = "nothing";

const PLAIN: Description =
    Description { id: "", summary: "", tag: "", body: None, form: false, answer: "", query: &[], revised: false };

fn describe(operation: Operation) -> Description {
    use Operation as O;
    let (id, summary, tag, answer) = match operation {
        O::ListTokens => ("listTokens", "Lists tokens, page by page.", "tokens", "TokenPage"),
        O::CreateToken => ("createToken", "Makes a token, and shows its text this once.", "tokens", "Minted"),
        O::RevokeTokens => ("revokeTokens", "Revokes many tokens.", "tokens", "Revocations"),
        O::ReadToken => ("readToken", "Reads a token.", "tokens", "Token"),
        O::EditToken => ("editToken", "Changes a token. What is left out stays as it is.", "tokens", "Token"),
        O::RotateToken => ("rotateToken", "Gives a token a new value, and shows it this once.", "tokens", "Minted"),
        O::EndOverlap => ("endOverlap", "Ends the value that a rotation left working.", "tokens", "Token"),
        O::RevokeToken => ("revokeToken", "Revokes a token, for good.", "tokens", "Token"),
        O::TokenUsage => ("tokenUsage", "Tells how a token is used, hour by hour.", "usage", "Usage"),
        O::TokenActivity => ("tokenActivity", "Tells everything about how a token is used.", "usage", "Activity"),
        O::ListUsage => {
            ("listUsage", "Tells how tokens are used, page by page as they are listed.", "usage", "UsagePage")
        }
        O::ListCalls => ("listCalls", "Lists the latest calls with tokens, a sample of them.", "usage", "CallList"),
        O::ReadAttention => ("readAttention", "Tells what should be looked into.", "usage", "Attention"),
        O::TokenEvents => ("tokenEvents", "Reads the history of a token.", "tokens", "EventPage"),
        O::TokenHistory => ("tokenHistory", "Checks the history of a token, link by link.", "tokens", "History"),
        O::ReadReceipt => ("readReceipt", "Tells why a request was refused.", "receipts", "Receipt"),
        O::ReadOwner => ("readOwner", "Reads an owner.", "owners", "Owner"),
        O::SuspendOwner => ("suspendOwner", "Suspends all tokens of an owner.", "owners", "Owner"),
        O::ResumeOwner => ("resumeOwner", "Lets the tokens of an owner work again.", "owners", "Owner"),
        O::OwnerEvents => ("ownerEvents", "Reads the history of an owner.", "owners", "EventPage"),
        O::ReadPolicy => ("readPolicy", "Reads the policy.", "policy", "Policy"),
        O::SetPolicy => ("setPolicy", "Sets the policy. Tokens that exist live on as they are.", "policy", "Policy"),
        O::RehearsePolicy => ("rehearsePolicy", "Tells what a policy would refuse.", "policy", "Rehearsal"),
        O::PolicyEvents => ("policyEvents", "Reads the history of the policy.", "policy", "EventPage"),
        O::ReadChange => ("readChange", "Tells what became of a change.", "changes", "Change"),
        O::ListScopes => ("listScopes", "Lists the scopes that can be granted.", "scopes", "ScopeList"),
        O::ReadSelf => ("readSelf", "Reads the token that is presented.", "self", "Token"),
        O::RotateSelf => {
            ("rotateSelf", "Gives the token that is presented, by its current value, a new one.", "self", "Minted")
        }
        O::RevokeSelf => ("revokeSelf", "Revokes the token that is presented.", "self", "Token"),
        O::ReadDocument => ("readDocument", "This document.", "document", ""),
        O::ReportLeaks => {
            ("reportLeaks", "Revokes tokens that were found where anyone can read them.", "leaks", "Leaks")
        }
        O::Introspect => {
            ("introspect", "Tells what a presented token may do (RFC 7662).", "presented", "Introspection")
        }
        O::RevokePresented => ("revokePresented", "Revokes a presented token (RFC 7009).", "presented", NOTHING),
        // For proxies, and in no document.
        O::ForwardAuth => ("forwardAuth", "Tells a proxy whether to let a request through.", "proxies", NOTHING),
    };
    let description = Description { id, summary, tag, answer, ..PLAIN };
    match operation {
        O::ListTokens => {
            Description { query: &["state", "within_days", "owner", "q", "sort", "cursor", "limit"], ..description }
        }
        O::TokenUsage => Description { query: &["since"], ..description },
        O::ListUsage => Description {
            query: &["state", "within_days", "owner", "q", "sort", "cursor", "limit", "days"],
            ..description
        },
        O::ListCalls => Description { query: &["owner", "limit"], ..description },
        O::ReadAttention => Description { query: &["owner"], ..description },
        O::TokenEvents | O::OwnerEvents | O::PolicyEvents => Description { query: &["after", "limit"], ..description },
        O::CreateToken => Description { body: Some(("NewToken", true)), ..description },
        O::RevokeTokens => Description { body: Some(("Revoke", true)), ..description },
        O::ReportLeaks => Description { body: Some(("LeakReports", true)), ..description },
        O::Introspect | O::RevokePresented => {
            Description { body: Some(("PresentedToken", true)), form: true, ..description }
        }
        O::SetPolicy | O::RehearsePolicy => Description { body: Some(("Policy", true)), ..description },
        O::EditToken => Description { body: Some(("Edit", true)), revised: true, ..description },
        O::RotateToken => Description { body: Some(("Rotation", false)), revised: true, ..description },
        O::RotateSelf => Description { body: Some(("SelfRotation", false)), revised: true, ..description },
        O::EndOverlap | O::RevokeToken | O::RevokeSelf => Description { revised: true, ..description },
        _ => description,
    }
}

pub(crate) fn document(management: &Management) -> Result<http::Response, Problem> {
    let scopes = management.tokens.catalog().scopes().iter().map(|scope| scope.name);
    let mut paths = PathsBuilder::new();
    let offered = management.offered();
    for route in route::routes(Offered { forward_auth: false, ..offered }) {
        paths =
            paths.path(route.path, PathItemBuilder::new().operation(method(route.method), operation(route)).build());
    }
    let mut components = ComponentsBuilder::new().schemas_from_iter(answers());
    for (name, request) in schema::requests(scopes) {
        components = components.schema(name, request);
    }
    if offered.introspection {
        components = components.schema(wire::IntrospectionBody::name(), wire::IntrospectionBody::schema());
    }
    if offered.introspection || offered.revocation {
        components = components.schema("PresentedToken", schema::presented_token());
    }
    if offered.leak_reports {
        components = components.schema(wire::LeakBody::name(), wire::LeakBody::schema());
        for (name, list) in schema::leak_reports() {
            components = components.schema(name, list);
        }
    }
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description(
        management.cookie_name.clone(),
        "Someone who is signed in. Changes also need the Origin header of the service's own pages.".to_owned(),
    ));
    let components = components
        .security_scheme("cookie", SecurityScheme::ApiKey(cookie))
        .security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let server = if management.base.is_empty() { "/" } else { &management.base };
    let document = OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Management of API tokens")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some("Makes, lists, changes, rotates and revokes API tokens."))
                .build(),
        )
        .servers(Some([ServerBuilder::new().url(server).build()]))
        .paths(paths.build())
        .components(Some(components.build()))
        .build();
    // utoipa's types serialize whatever they hold.
    Ok(http::Response::json(200, serde_json::to_vec(&document).map_err(|_| Problem::unavailable())?))
}

/// What is answered, with all that it is made of.
fn answers() -> Vec<(String, RefOr<Schema>)> {
    fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
    let mut schemas = Vec::new();
    add::<wire::TokenPage>(&mut schemas);
    add::<wire::MintedBody<'_>>(&mut schemas);
    add::<wire::Revocations>(&mut schemas);
    add::<wire::UsageBody>(&mut schemas);
    add::<wire::ActivityBody>(&mut schemas);
    add::<wire::UsagePage>(&mut schemas);
    add::<wire::CallList>(&mut schemas);
    add::<wire::AttentionBody>(&mut schemas);
    add::<wire::EventPage>(&mut schemas);
    add::<wire::ChangeBody>(&mut schemas);
    add::<wire::HistoryBody>(&mut schemas);
    add::<wire::ReceiptBody>(&mut schemas);
    add::<wire::OwnerBody>(&mut schemas);
    add::<wire::PolicyBody>(&mut schemas);
    add::<wire::RehearsalBody>(&mut schemas);
    add::<wire::ScopeList>(&mut schemas);
    add::<ProblemBody<'_>>(&mut schemas);
    schemas
}

fn method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Patch => HttpMethod::Patch,
        // Of no operation that is in the document.
        Method::Any => HttpMethod::Options,
    }
}

fn operation(route: &Route) -> OperationBuilder {
    let what = describe(route.operation);
    let mut operation = OperationBuilder::new().operation_id(Some(what.id)).summary(Some(what.summary)).tag(what.tag);
    operation = match route.who {
        // A reporter's proof is its signature, in a header.
        Who::Anyone | Who::Reporter => operation.securities(Some([])),
        Who::Itself | Who::Inspector | Who::Revoker | Who::Presented => {
            operation.security(SecurityRequirement::new::<_, [String; 0], String>("bearer", []))
        }
        Who::Visitor | Who::Admin => {
            operation.security(SecurityRequirement::new::<_, [String; 0], String>("cookie", []))
        }
    };
    if let Some((name, schema)) = path_parameter(route.path) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        operation = operation.parameter(parameter.schema(Some(schema)));
    }
    for name in what.query {
        let parameter = ParameterBuilder::new().name(*name).parameter_in(ParameterIn::Query).required(Required::False);
        operation = operation.parameter(parameter.schema(Some(query_parameter(name))));
    }
    let header = |name: &str, schema: Schema| {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::False);
        parameter.schema(Some(schema))
    };
    let reporter = route.who == Who::Reporter;
    if reporter {
        for (name, schema) in [
            (leak_reports::KEY_IDENTIFIER, schema::matching("^[!-~]{1,255}$")),
            (leak_reports::SIGNATURE, schema::matching("^[A-Za-z0-9+/]+={0,2}$")),
        ] {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
            operation = operation.parameter(parameter.required(Required::True).schema(Some(schema)));
        }
    } else if route.changes() && !what.form {
        operation = operation.parameter(header("Idempotency-Key", schema::matching("^[!-~]{1,255}$")));
    }
    if what.revised {
        operation = operation.parameter(header("If-Match", schema::revision()));
    }
    if let Some((name, required)) = what.body {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(name))).build();
        let required = if required { Required::True } else { Required::False };
        let kind = if what.form { "application/x-www-form-urlencoded" } else { "application/json" };
        let body = RequestBodyBuilder::new().content(kind, content).required(Some(required)).build();
        operation = operation.request_body(Some(body));
    }
    for (status, response) in responses(route, &what) {
        operation = operation.response(status.to_string(), response);
    }
    operation
}

fn path_parameter(path: &str) -> Option<(&str, Schema)> {
    let name = path.split('/').find_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))?;
    let schema = match name {
        "id" => schema::id(),
        "owner" => schema::owner(),
        "receipt" => schema::matching("^[A-Za-z0-9_-]{88}$"),
        _ => schema::matching("^[!-~]{1,255}$"),
    };
    Some((name, schema))
}

fn query_parameter(name: &str) -> Schema {
    match name {
        "state" => schema::one_of_words(["any", "live", "expired", "revoked", "expiring", "unused"]),
        "within_days" => schema::integer(1, 365).build().into(),
        "days" => schema::integer(1, 366).build().into(),
        "owner" => schema::owner(),
        "q" => schema::name_part(),
        "sort" => schema::one_of_words(["created", "name", "expires"]),
        "cursor" => schema::matching("^[A-Za-z0-9_-]{1,1024}$"),
        "limit" => schema::integer(1, 200).build().into(),
        "since" => schema::time(),
        _ => schema::integer(0, wire::MAX_SEQ).build().into(),
    }
}

/// Every status that the operation answers with.
fn responses(route: &Route, what: &Description) -> Vec<(u16, Response)> {
    let visited = matches!(route.who, Who::Visitor | Who::Admin);
    let revised = what.revised || matches!(route.operation, Operation::ReadToken | Operation::ReadSelf);
    let created = route.operation == Operation::CreateToken;
    let mut done = vec![(200, if created { "It was made before, by the same request." } else { "Done." })];
    if created {
        done.push((201, "It is made, and this is the one answer with its text."));
    }
    let mut all: Vec<(u16, Response)> = Vec::new();
    for (status, says) in done {
        let content = match what.answer {
            "" => ContentBuilder::new().schema(Some(utoipa::openapi::ObjectBuilder::new().build())),
            name => ContentBuilder::new().schema(Some(Ref::from_schema_name(name))),
        };
        let mut response = ResponseBuilder::new().description(says);
        if what.answer != NOTHING {
            response = response.content("application/json", content.build());
        }
        if revised || created {
            response = response.header("ETag", header("The revision.", "^\"[0-9]+\"$"));
        }
        if created {
            response = response.header("Location", header("Where the token is.", "^.*/tokens/[0-9a-f-]{36}$"));
        }
        use Operation as O;
        if route.changes() && !matches!(route.operation, O::RevokeTokens | O::ReportLeaks | O::RevokePresented) {
            let says = "The change was made before, under the same Idempotency-Key.";
            response = response.header("Idempotency-Replayed", header(says, "^true$"));
        }
        all.push((status, response.build()));
    }
    let anyone = route.who == Who::Anyone;
    // Neither signed in, nor asking for anything that could be missing.
    let reporter = route.who == Who::Reporter;
    let program = matches!(route.who, Who::Inspector | Who::Revoker);
    let refusals: [(u16, &str, bool); 9] = [
        (400, "The request is not of the form that this operation reads.", true),
        (401, "Nobody is signed in, or the token that is presented is not valid.", !anyone && !reporter),
        (403, "This one may not do this.", !anyone),
        (404, "There is no such thing, or it is not this one's to see.", !anyone && !reporter && !program),
        (
            409,
            "It contradicts the state or the policy.",
            !anyone && !reporter && !matches!(route.operation, Operation::ListScopes | Operation::Introspect),
        ),
        (412, "It has changed since the revision that If-Match names.", what.revised),
        (413, "The body is too large.", true),
        (415, "The body is not JSON.", what.body.is_some() && !reporter && !program),
        (503, "It can't be done at the moment.", true),
    ];
    for (status, says, _) in refusals.into_iter().filter(|(.., answered)| *answered) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let mut response = ResponseBuilder::new().description(says).content("application/problem+json", content);
        let challenged = status == 401 || (visited || route.who == Who::Itself) && status == 400;
        if challenged {
            response = response.header("WWW-Authenticate", header("The challenge (RFC 6750).", "^(Bearer|Basic) "));
        }
        if status == 412 {
            response = response.header("ETag", header("The revision at present.", "^\"[0-9]+\"$"));
        }
        if status == 503 {
            response = response.header("Retry-After", header("In so many seconds.", "^[0-9]+$"));
        }
        all.push((status, response.build()));
    }
    all
}

fn header(says: &str, pattern: &str) -> Header {
    HeaderBuilder::new().schema(Some(schema::matching(pattern))).description(Some(says)).build()
}
