//! One process: a service as a host builds it, with routes to have it mint and revoke. It ends with its standard input, and so with
//! whoever started it.

use std::io::Read as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use token_axum::TokenLayer;
use token_core::{Actor, ActorId, Ceiling, TokenId, Tokens};
use token_store_sqlx::SqlStore;
use tokio::net::TcpListener;

use crate::Trouble;
use crate::subject::{Keeping, ProjectsRead, build, mint_with_id};
use crate::table::say;

/// Serves until standard input ends.
///
/// # Errors
/// If the database can't be opened.
pub fn node(url: &str) -> Result<(), Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let store = Arc::new(SqlStore::open(url).await?);
        let (tokens, background) = build(store, Keeping::default_of_the_service()).await?;
        tokio::spawn(background);
        let protected = Router::new().route("/projects", get(async || "ok"));
        let protected = protected.layer(TokenLayer::required(&tokens).require::<ProjectsRead>());
        // Open: whoever measures is the only one who knows the port.
        let manage = Router::new().route("/mint", get(mint)).route("/revoke/{id}", get(revoke)).with_state(tokens);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say(&listener.local_addr()?.to_string());
        tokio::spawn(async move { axum::serve(listener, protected.merge(manage)).await });
        let parent = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        parent.await??;
        Ok::<_, Trouble>(())
    })?;
    // What hangs in a database that is gone is not waited for.
    runtime.shutdown_background();
    Ok(())
}

/// The id of a new token, and its header value.
async fn mint(State(tokens): State<Tokens>) -> Result<String, StatusCode> {
    let failed = |_| StatusCode::SERVICE_UNAVAILABLE;
    let (id, header) = mint_with_id(&tokens, "owner").await.map_err(failed)?;
    String::from_utf8(header.into_vec())
        .map(|header| format!("{id} {header}"))
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn revoke(State(tokens): State<Tokens>, Path(id): Path<String>) -> Result<&'static str, StatusCode> {
    let id: TokenId = id.parse().map_err(|_| StatusCode::NOT_FOUND)?;
    let admin =
        Actor::admin(ActorId::new("bench").map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?, Ceiling::Everything);
    tokens.manage(&admin).revoke(id).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok("revoked")
}
