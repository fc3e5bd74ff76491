//! Managing tokens by five plain handlers.
//!
//! A real host has people sign in for this, and makes the [`Actor`] from its session: by default a token does not manage
//! tokens, for one that leaked could make others. There is no sign-in here, so an operator's token stands in for it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use token_axum::Authorized;
use token_core::{
    Actor, ActorId, Ceiling, Grant, Grants, ListFilter, ManageError, Minted, NewToken, Position, Rotation,
    RotationError, Scope, TextError, Token, TokenId, TokenName, Tokens,
};

use crate::{ProjectsWrite, TokensManage};

type Operator = Authorized<TokensManage>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    name: TokenName,
    grants: Grants,
}

pub(crate) async fn mint(operator: Operator, State(tokens): State<Tokens>, body: Bytes) -> Result<Response, Problem> {
    let Wish { name, grants } = serde_json::from_slice(&body)?;
    let minted = tokens.manage(&actor(&operator)?).create(&NewToken::new(name, grants)).await?;
    Ok(shown_once(StatusCode::CREATED, &minted))
}

pub(crate) async fn list(operator: Operator, State(tokens): State<Tokens>) -> Result<Json<Value>, Problem> {
    let actor = actor(&operator)?;
    let page = tokens.manage(&actor).list(None, ListFilter::Any, None, Position::Created(None), 200).await?;
    let seen = |token: &Token| described(token, &tokens);
    Ok(Json(page.tokens.iter().map(|listed| seen(&listed.token)).collect()))
}

pub(crate) async fn rotate(
    operator: Operator,
    State(tokens): State<Tokens>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let minted = tokens.manage(&actor(&operator)?).rotate(token_id(&id)?, &Rotation::default()).await?;
    Ok(shown_once(StatusCode::OK, &minted))
}

pub(crate) async fn end_overlap(
    operator: Operator,
    State(tokens): State<Tokens>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let token = tokens.manage(&actor(&operator)?).end_overlap(token_id(&id)?).await?;
    Ok(Json(described(&token, &tokens)))
}

pub(crate) async fn revoke(
    operator: Operator,
    State(tokens): State<Tokens>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let token = tokens.manage(&actor(&operator)?).revoke(token_id(&id)?).await?;
    Ok(Json(described(&token, &tokens)))
}

/// Manages the tokens of the operator's owner, and grants the use of projects at most: no operator makes another.
fn actor(operator: &Operator) -> Result<Actor, TextError> {
    let id = ActorId::new(format!("token:{}", operator.token_id()))?;
    let rights = Grants::new([Grant::all(ProjectsWrite::DEF.name)?]).unwrap_or_default();
    Ok(Actor::owner(id, operator.owner().clone(), Ceiling::Only(rights)))
}

/// What is no id names no token.
fn token_id(text: &str) -> Result<TokenId, ManageError> {
    text.parse().map_err(|_| ManageError::NotFound)
}

fn described(token: &Token, tokens: &Tokens) -> Value {
    let now = tokens.now();
    json!({
        "id": token.id,
        "name": token.name,
        "grants": token.grants,
        "state": token.state(now),
        "expires_at": token.expires_at,
        "old_value_works_until": token.overlap(now).map(|old| old.until),
    })
}

/// The one response that holds the text of a token.
fn shown_once(status: StatusCode, minted: &Minted) -> Response {
    let text = minted.text.as_ref().map(|text| text.expose_secret());
    let body = json!({ "id": minted.token.id, "name": minted.token.name, "token": text });
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Why nothing was done: RFC 9457, without a word of the request.
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
}

impl From<ManageError> for Problem {
    fn from(error: ManageError) -> Problem {
        use ManageError as E;
        let status = match &error {
            E::NotFound => StatusCode::NOT_FOUND,
            E::Forbidden | E::ExceedsRights(_) => StatusCode::FORBIDDEN,
            E::NotLive(_) | E::CapReached { .. } | E::Contention | E::OwnerSuspended | E::BrokenSeal(_) => {
                StatusCode::CONFLICT
            }
            E::Rotation(RotationError::TwoLive { .. }) => StatusCode::CONFLICT,
            E::UnknownScopes(_) => {
                let detail = "a scope is not one of this service's".to_owned();
                return Problem { status: StatusCode::UNPROCESSABLE_ENTITY, detail };
            }
            E::Expiry(_) | E::Rotation(_) => StatusCode::UNPROCESSABLE_ENTITY,
            _ => {
                tracing::error!(error = %error, "a token could not be managed");
                let detail = "tokens can't be managed at the moment; try again".to_owned();
                return Problem { status: StatusCode::SERVICE_UNAVAILABLE, detail };
            }
        };
        Problem { status, detail: error.to_string() }
    }
}

// Not by axum's `Json`, whose rejection repeats parts of the body, to the client and to the log.
impl From<serde_json::Error> for Problem {
    fn from(_error: serde_json::Error) -> Problem {
        let detail = r#"send JSON: {"name": "…", "grants": [{"scope": "…", "resources": "all"}]}"#.to_owned();
        Problem { status: StatusCode::BAD_REQUEST, detail }
    }
}

impl From<TextError> for Problem {
    fn from(error: TextError) -> Problem {
        Problem { status: StatusCode::UNPROCESSABLE_ENTITY, detail: error.to_string() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}
