//! A service with API tokens, on a SQLite file of its own or the database at DATABASE_URL. Start it, and it says what to try.

mod demo;
mod first_start;
mod traffic;

use std::error::Error;
use std::net::TcpListener;
use std::path::PathBuf;
use std::{env, fs};

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer};
use demo_traffic::Replay;
use serde_json::json;
use token_actix::{Authorized, TokenLayer, management, screen};
use token_core::{Risk, Tokens, TrustedProxies};
use token_screen::{Management, Screen};
use token_store_sqlx::SqlStore;
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

    let listener = TcpListener::bind(env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned()))?;
    let address = listener.local_addr()?;

    // For programs that have a token. Covers every route here, and whatever is added; only what is named is open.
    let layer = TokenLayer::required(&tokens).except(["/healthz"]);
    let api = move |app: &mut ServiceConfig| {
        app.service(
            web::scope("")
                .wrap(layer.clone())
                .service(
                    web::resource("/projects")
                        .route(web::get().to(list_projects))
                        .route(web::head().to(list_projects))
                        .route(web::post().to(create_project)),
                )
                .service(
                    web::resource("/invoices")
                        .route(web::get().to(list_invoices))
                        .route(web::head().to(list_invoices))
                        .route(web::post().to(pay_invoice)),
                )
                .service(
                    web::resource("/healthz").route(web::get().to(async || "ok")).route(web::head().to(async || "ok")),
                ),
        );
    };

    // For people who are signed in, to manage their tokens.
    let mut manage = Management::new(&tokens, "/api/tokens")
        .origin(format!("http://{address}"))
        .cookie_name(demo::SESSION)
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
    // One for all workers, like the tokens: what is made in the closures is made once for each.
    let sessions = Data::new(demo::Sessions::new(&tokens));
    let people = move |app: &mut ServiceConfig| {
        app.app_data(sessions.clone())
            .configure(screen(pages.clone(), demo::signed_in))
            .configure(management(manage.clone(), demo::signed_in))
            .configure(demo::routes);
    };

    traffic::play(&replay, &tokens, &api).await?;
    let app = move || App::new().configure(&people).configure(&api);
    let server = HttpServer::new(app).listen(listener)?.run();
    first_start::greet(&tokens, address).await?;
    server.await?;
    // The uses that were counted since the background last stored them.
    tokens.flush().await?;
    Ok(())
}

async fn list_projects(token: Authorized<ProjectsRead>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "owner": token.owner(), "projects": ["apollo", "gemini"] }))
}

async fn create_project(token: Authorized<ProjectsWrite>) -> HttpResponse {
    HttpResponse::Created().json(json!({ "owner": token.owner(), "created": "mercury" }))
}

async fn list_invoices(token: Authorized<InvoicesRead>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "owner": token.owner(), "invoices": [] }))
}

async fn pay_invoice(token: Authorized<InvoicesPay>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "owner": token.owner(), "paid": 0 }))
}
