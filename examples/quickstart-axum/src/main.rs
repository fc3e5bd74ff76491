//! A service with API tokens, on a SQLite file of its own or the database at DATABASE_URL. Start it, and it says what to try.

mod demo;
mod first_start;
mod traffic;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::{env, fs};

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use demo_traffic::Replay;
use serde_json::{Value, json};
use token_axum::{Authorized, TokenLayer, management, screen};
use token_core::{Risk, Tokens, TrustedProxies};
use token_screen::{Management, Screen};
use token_store_sqlx::SqlStore;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

// What tokens may be allowed to do here, declared once. Each is a type that handlers ask for.
token_core::scopes! {
    fn catalog;
    ProjectsRead = "projects:read", "See your projects", "Projects", Risk::Low;
    ProjectsWrite = "projects:write", "Create and change projects", "Projects", Risk::Medium, implies "projects:read";
    InvoicesRead = "invoices:read", "See invoices and what was paid", "Invoices", Risk::Medium;
    InvoicesPay = "invoices:pay", "Pay invoices from your account", "Invoices", Risk::High, implies "invoices:read";
    TokensSelf = "tokens:self", "Let the token see, rotate and revoke itself", "Tokens", Risk::Medium;
    TokensInspect = "tokens:inspect", "Look into tokens that are presented elsewhere, and revoke them", "Tokens", Risk::Medium;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let level = env::var("RUST_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();

    let data = PathBuf::from(env::var("DATA_DIR").unwrap_or_else(|_| "quickstart-data".to_owned()));
    fs::create_dir_all(&data)?;

    let replay = Replay::asked_for();
    let file = || format!("sqlite://{}", data.join("tokens.db").display());
    let store = SqlStore::open(&env::var("DATABASE_URL").unwrap_or_else(|_| file())).await?;
    let (tokens, background) = Tokens::builder(store)
        .prefix("acme_live")
        .keyring(first_start::keyring(&data.join("keyring.txt"))?)
        .catalog(catalog())
        .clock(replay.clock())
        .build()
        .await?;
    tokio::spawn(background);

    let listener = TcpListener::bind(env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned())).await?;
    let address = listener.local_addr()?;

    // For programs that have a token.
    let api = Router::new()
        .route("/projects", get(list_projects).post(create_project))
        .route("/invoices", get(list_invoices).post(pay_invoice))
        .route("/healthz", get(async || "ok"))
        // Covers every route above, and whatever is added there; only what is named here is open.
        .layer(TokenLayer::required(&tokens).except(["/healthz"]));

    // For people who are signed in, to manage their tokens.
    let mut manage = Management::new(&tokens, "/api/tokens")
        .origin(format!("http://{address}"))
        .cookie_name(demo::COOKIE)
        .self_service::<TokensSelf>()
        // For services that are not written in Rust, and for the proxies in front of them.
        .introspection::<TokensInspect>()
        .revocation::<TokensInspect>()
        .forward_auth();
    // Proxies whose word on the client's address is taken.
    if let Ok(networks) = env::var("TRUSTED_PROXIES") {
        manage = manage.trusted_proxies(TrustedProxies::parse(networks.split(','))?);
    }
    let pages = Screen::new(&tokens, "/settings/tokens")
        .product("Acme")
        .origin(format!("http://{address}"))
        .sign_in_at("/demo?next={next}")
        .link("Sign in as someone else", "/demo")
        .preset("deploy", "Deploy projects", ["projects:write"])
        .try_at(format!("http://{address}/projects"));
    let people = Router::new()
        .merge(screen(pages, demo::signed_in))
        .merge(management(manage, demo::signed_in))
        .merge(demo::routes())
        .with_state(demo::Sessions::new(&tokens));

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    traffic::play(&replay, &tokens, &api).await?;
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

async fn list_invoices(token: Authorized<InvoicesRead>) -> Json<Value> {
    Json(json!({ "owner": token.owner(), "invoices": [] }))
}

async fn pay_invoice(token: Authorized<InvoicesPay>) -> Json<Value> {
    Json(json!({ "owner": token.owner(), "paid": 0 }))
}
