//! What a host gets wrong is said in its log, with what to do about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::App;
use actix_web::dev::ServiceRequest;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::web::{self, ServiceConfig};
use token_actix::{AnyToken, TokenLayer};

use crate::log::Listening;
use crate::service::{Service, text};

/// What is logged at level WARN and above while an app answers a request.
async fn logged(configure: impl FnOnce(&mut ServiceConfig), path: &str, text: &str) -> String {
    let log = Listening::to(tracing::Level::WARN);
    let app = init_service(App::new().configure(configure)).await;
    let request = TestRequest::with_uri(path).insert_header(("Authorization", format!("Bearer {text}")));
    try_call_service(&app, request.to_request()).await.unwrap();
    log.text()
}

#[actix_web::test]
async fn a_route_outside_of_what_is_wrapped() {
    let service = Service::start().await;
    let tokens = &service.tokens;
    let configure = |config: &mut ServiceConfig| {
        config.route("/project/{id}", web::get().to(async |_: AnyToken| "in"));
        config.service(web::scope("").wrap(TokenLayer::required(tokens)));
    };
    let log = logged(configure, "/project/canary", "canary").await;
    let says = ["ERROR", "web::scope(..).wrap(TokenLayer::required(&tokens)).route(..)", "/project/{id}", "AnyToken"];
    for part in says {
        assert!(log.contains(part), "{log}");
    }
    assert!(!log.contains("canary"), "{log}");
}

#[actix_web::test]
async fn a_server_that_knows_no_client_address() {
    let service = Service::start().await;
    let here = service.mint_for_networks(&["127.0.0.0/8"]).await;
    let tokens = &service.tokens;
    let configure = |config: &mut ServiceConfig| {
        config.service(web::resource("/").wrap(TokenLayer::required(tokens)).to(async || "in"));
    };
    let log = logged(configure, "/", text(&here)).await;
    for part in ["WARN", "knows its peer", "TokenLayer::behind", "ClientAddress"] {
        assert!(log.contains(part), "{log}");
    }
    assert!(!log.contains(text(&here)), "{log}");
    // Every such request would say the same.
    assert_eq!(logged(configure, "/", text(&here)).await, "");
}

/// It panics, as actix-web's own routing would, and before anything is let in.
#[actix_web::test]
async fn a_middleware_further_out_that_keeps_a_clone_of_the_request() {
    let service = Service::start().await;
    let minted = service.mint(token_core::Grants::default()).await;
    for keeps in [false, true] {
        let reached = Arc::new(AtomicBool::new(false));
        let (tokens, reaches) = (service.tokens.clone(), Arc::clone(&reached));
        let request = TestRequest::default().insert_header(("Authorization", format!("Bearer {}", text(&minted))));
        let answered = actix_web::rt::spawn(async move {
            let handler = move || {
                reaches.store(true, Ordering::Relaxed);
                async { "in" }
            };
            let kept = move |request: ServiceRequest, next: &_| {
                let clone = keeps.then(|| request.request().clone());
                let answer = actix_web::dev::Service::call(next, request);
                async move {
                    let answer = answer.await;
                    drop(clone);
                    answer
                }
            };
            let resource = web::resource("/").wrap(TokenLayer::required(&tokens)).wrap_fn(kept).to(handler);
            let app = init_service(App::new().service(resource)).await;
            try_call_service(&app, request.to_request()).await.map(|response| response.status().as_u16())
        });
        match answered.await {
            Ok(answer) => assert_eq!((answer.unwrap(), keeps), (200, false)),
            Err(broken) => assert!(broken.is_panic() && keeps, "{broken}"),
        }
        assert_eq!(reached.load(Ordering::Relaxed), !keeps);
    }
}

#[cfg(feature = "screen")]
#[actix_web::test]
async fn token_management_behind_a_layer() {
    let service = Service::start().await;
    let minted = service.mint(token_core::Grants::default()).await;
    let tokens = &service.tokens;
    let log = Listening::to(tracing::Level::WARN);
    let app = App::new().wrap(TokenLayer::required(tokens)).configure(|config| crate::host::mount(tokens, config));
    let request = TestRequest::with_uri("/api/tokens/tokens")
        .insert_header(("Authorization", format!("Bearer {}", text(&minted))));
    try_call_service(&init_service(app).await, request.to_request()).await.unwrap();
    let log = log.text();
    for part in ["WARN", "App::new().configure(management(..)).service(web::scope(\"\").wrap(layer).route(..))"] {
        assert!(log.contains(part), "{log}");
    }
    assert!(!log.contains(text(&minted)), "{log}");
}

/// A base below a scope would never be met.
#[cfg(feature = "screen")]
#[test]
fn a_base_that_is_no_fixed_path() {
    for base in ["", "/", "api", "/api/", "/{id}/tokens", "/api/*", "/api/{*rest}"] {
        let mounted = std::panic::catch_unwind(|| {
            let service = actix_web::rt::System::new().block_on(Service::start());
            let management = token_screen::Management::new(&service.tokens, base);
            let nobody = async |_: actix_web::HttpRequest| Ok::<_, std::convert::Infallible>(None);
            drop(token_actix::management(management, nobody));
        });
        let says = mounted.unwrap_err().downcast::<&str>().unwrap();
        assert!(says.contains("a path of fixed text"), "{base:?} {says}");
    }
}
