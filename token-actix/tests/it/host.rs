//! The service on actix-web: one route of each kind.

use std::net::{SocketAddr, TcpListener};

use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpRequest, HttpServer};
use token_actix::{AnyToken, Authorized, Limited, Optional, Rejection, TokenLayer};
use token_core::{Tokens, TrustedProxies};

use crate::service::{ProjectsRead, ProjectsWrite, Undeclared};

/// On a socket and a thread of its own, until the test ends.
pub(crate) async fn serve(tokens: &Tokens) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tokens = tokens.clone();
    std::thread::spawn(move || {
        let app = move || App::new().configure(|config| routes(&tokens, config));
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap();
        actix_web::rt::System::new().block_on(server.run())
    });
    address
}

pub(crate) fn routes(tokens: &Tokens, config: &mut ServiceConfig) {
    #[cfg(feature = "screen")]
    mount(tokens, config);
    let writers = web::scope("/writers")
        .wrap(TokenLayer::required(tokens).require::<ProjectsWrite>())
        .route("/any", web::get().to(async |_: AnyToken| "in"))
        .route("/plain", web::get().to(async || "in"));
    let open = web::scope("/open")
        .wrap(TokenLayer::optional(tokens))
        .route("", web::get().to(welcome))
        .route("/any", web::get().to(async |_: AnyToken| "in"))
        .route("/read", web::get().to(async |_: Authorized<ProjectsRead>| "in"))
        .route(
            "/maybe-read",
            web::get().to(async |token: Optional<Authorized<ProjectsRead>>| format!("{}", token.is_some())),
        );
    let open_to_readers = web::resource("/open-to-readers")
        .wrap(TokenLayer::optional(tokens).require::<ProjectsRead>())
        .route(web::get().to(async || "in"));
    let twice = web::resource("/twice")
        .wrap(TokenLayer::required(tokens).require::<ProjectsWrite>())
        .route(web::get().to(async |_: AnyToken| "in"));
    let twice_read = web::resource("/twice/read")
        .wrap(TokenLayer::required(tokens))
        .route(web::get().to(async |_: Authorized<ProjectsRead>| "in"));
    for (path, proxy) in [("/proxied", "127.0.0.0/8"), ("/proxied-elsewhere", "203.0.113.0/24")] {
        let layer = TokenLayer::required(tokens).behind(TrustedProxies::parse([proxy]).unwrap());
        config.service(web::resource(path).wrap(layer).to(async || "in"));
    }
    let uncovered = web::scope("/uncovered")
        .route("", web::get().to(async |_: AnyToken| "in"))
        .route("/maybe", web::get().to(async |_: Optional<AnyToken>| "in"))
        .route("/read", web::get().to(async |_: Authorized<ProjectsRead>| "in"));
    let app = web::scope("")
        .wrap(TokenLayer::required(tokens).except(["/healthz", "/healthz/headers", "/healthz/token"]))
        .route("/any", web::get().to(async |token: AnyToken| format!("{} of {}", token.name(), token.owner())))
        .service(
            web::resource("/projects")
                .route(web::get().to(async |token: Authorized<ProjectsRead>| format!("projects of {}", token.owner())))
                .route(web::post().to(async |_: Authorized<ProjectsWrite>| "created")),
        )
        .route("/project/{id}", web::get().to(show_project))
        .route("/reach", web::get().to(async |token: Limited<ProjectsRead>| format!("{:?}", token.resources())))
        .route("/undeclared", web::get().to(async |_: Authorized<Undeclared>| "in"))
        .route("/headers", web::get().to(async |request: HttpRequest| format!("{:?}", request.headers())))
        .route("/healthz", web::get().to(async || "ok"))
        .route("/healthz/token", web::get().to(async |_: AnyToken| "in"))
        .route("/healthz/headers", web::get().to(async |request: HttpRequest| format!("{:?}", request.headers())))
        .service(twice)
        .service(twice_read);
    config.service(writers).service(open).service(open_to_readers).service(uncovered).service(app);
}

/// People are signed in by a header of theirs here, which stands for the cookie of a host.
#[cfg(feature = "screen")]
pub(crate) fn mount(tokens: &Tokens, config: &mut ServiceConfig) {
    let clock = tokens.clone();
    let sign_in = move |request: HttpRequest| {
        let user = request.headers().get("x-user").map(|value| value.as_bytes());
        let signed_in = crate::management::signed_in(user, clock.now());
        async move { signed_in }
    };
    token_actix::management(crate::management::management(tokens), sign_in)(config);
}

async fn welcome(token: Optional<AnyToken>) -> String {
    token.as_ref().map_or_else(|| "welcome, stranger".to_owned(), |token| format!("welcome, {}", token.owner()))
}

async fn show_project(token: Limited<ProjectsRead>, id: web::Path<String>) -> Result<String, Rejection> {
    token.check(&id)?;
    Ok(format!("project {id}"))
}
