//! A service with API tokens, on a SQLite file of its own or the database at DATABASE_URL. Start it, and it says what to try.

mod demo;
mod first_start;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::{env, fs};

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use token_axum::{Authorized, TokenLayer, management};
use token_core::{Risk, Tokens};
use token_screen::Management;
use token_store_sqlx::SqlStore;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

// What tokens may be allowed to do here, declared once. Each is a type that handlers ask for.
token_core::scopes! {
    fn catalog;
    ProjectsRead = "projects:read", "See your projects", "Projects", Risk::Low;
    ProjectsWrite = "projects:write", "Create and change projects", "Projects", Risk::Medium, implies "projects:read";
    TokensSelf = "tokens:self", "Let the token see, rotate and revoke itself", "Tokens", Risk::Medium;
    TokensInspect = "tokens:inspect", "Look into tokens that are presented elsewhere, and revoke them", "Tokens", Risk::Medium;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let level = env::var("RUST_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();

    let data = PathBuf::from(env::var("DATA_DIR").unwrap_or_else(|_| "quickstart-data".to_owned()));
    fs::create_dir_all(&data)?;

    let file = || format!("sqlite://{}", data.join("tokens.db").display());
    let store = SqlStore::open(&env::var("DATABASE_URL").unwrap_or_else(|_| file())).await?;
    let (tokens, background) = Tokens::builder(store)
        .prefix("acme_live")
        .keyring(first_start::keyring(&data.join("keyring.txt"))?)
        .catalog(catalog())
        .build()
        .await?;
    tokio::spawn(background);

    let listener = TcpListener::bind(env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned())).await?;
    let address = listener.local_addr()?;

    // For programs that have a token.
    let api = Router::new()
        .route("/projects", get(list_projects).post(create_project))
        .route("/healthz", get(async || "ok"))
        // Covers every route above, and whatever is added there; only what is named here is open.
        .layer(TokenLayer::required(&tokens).except(["/healthz"]));

    // For people who are signed in, to manage their tokens.
    let manage = Management::new(&tokens, "/api/tokens")
        .origin(format!("http://{address}"))
        .cookie_name(demo::COOKIE)
        .self_service::<TokensSelf>()
        // For services that are not written in Rust, and for the proxies in front of them.
        .introspection::<TokensInspect>()
        .revocation::<TokensInspect>()
        .forward_auth();
    let people = Router::new()
        .merge(management(manage, demo::signed_in))
        .merge(demo::routes())
        .with_state(demo::Sessions::new(&tokens));

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    first_start::greet(&tokens, address).await?;
    let app = people.merge(api);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
        .await?;
    // The uses that were counted since the background last stored them.
    tokens.flush().await?;
    Ok(())
}

async fn list_projects(token: Authorized<ProjectsRead>) -> Json<Value> {
    Json(json!({ "owner": token.owner(), "projects": ["apollo", "gemini"] }))
}

async fn create_project(token: Authorized<ProjectsWrite>) -> (StatusCode, Json<Value>) {
    (StatusCode::CREATED, Json(json!({ "owner": token.owner(), "created": "mercury" })))
}
