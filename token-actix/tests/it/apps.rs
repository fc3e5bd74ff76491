//! The middleware where actix-web does things its own way.

use std::cell::Cell;
use std::future::{Future, pending};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_web::body::MessageBody;
use actix_web::dev::{Service as _, ServiceResponse};
use actix_web::guard;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Condition;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, Error, HttpMessage, HttpRequest};
use token_actix::{AnyToken, Authorized, ClientAddress, Optional, Rejection, TokenLayer};
use token_core::{Grants, Reason};

use crate::service::{ProjectsRead, Service, all, owner, text};

/// What `configure` makes of a request, and the body of its answer.
async fn answer(configure: impl FnOnce(&mut ServiceConfig), request: TestRequest) -> (StatusCode, String) {
    let app = init_service(App::new().configure(configure)).await;
    let answered: Result<ServiceResponse<_>, Error> = try_call_service(&app, request.to_request()).await;
    let response = answered.unwrap_or_else(|error| panic!("an error that nobody answers: {error}"));
    let status = response.status();
    let body = response.into_body().try_into_bytes().unwrap_or_else(|_| panic!("a body that is not there at once"));
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn holder(text: &str, path: &str) -> TestRequest {
    TestRequest::with_uri(path).insert_header(("Authorization", format!("Bearer {text}")))
}

#[actix_web::test]
async fn exceptions_inside_a_scope_are_below_it_and_as_they_were_sent() {
    let service = Service::start().await;
    let tokens = &service.tokens;
    let configure = |config: &mut ServiceConfig| {
        let layer = TokenLayer::required(tokens).except(["/healthz"]);
        let inner = web::scope("/{version}").wrap(layer).default_service(web::to(async || "in"));
        config.service(web::scope("/api").service(inner));
    };
    for (path, status) in [
        ("/api/v1/healthz", 200),
        ("/api/a%2Fb/healthz", 200),
        ("/api/v1/%68ealthz", 401),
        ("/api/v1/healthz/", 401),
        ("/api/v1/x/healthz", 401),
        ("/api/v1/x%2Fhealthz", 401),
        ("/api/healthz", 401),
        ("/healthz", 404),
    ] {
        assert_eq!(answer(configure, TestRequest::with_uri(path)).await.0, status, "{path}");
    }
}

#[actix_web::test]
async fn around_a_resource_the_whole_path_is_excepted() {
    let service = Service::start().await;
    let tokens = &service.tokens;
    let configure = |config: &mut ServiceConfig| {
        let layer = TokenLayer::required(tokens).except(["/p/open"]);
        config.service(web::resource("/p/{id}").wrap(layer).to(async || "in"));
    };
    for (path, status) in [("/p/open", 200), ("/p/other", 401), ("/p/%6Fpen", 401)] {
        assert_eq!(answer(configure, TestRequest::with_uri(path)).await.0, status, "{path}");
    }
}

#[actix_web::test]
async fn an_optional_extractor_tells_apart_what_option_does_not() {
    let service = Service::start().await;
    let nobody = service.mint(Grants::default()).await;
    let tokens = &service.tokens;
    let configure = |config: &mut ServiceConfig| {
        let maybe = async |token: Optional<Authorized<ProjectsRead>>| format!("{}", token.is_some());
        config.route("/uncovered", web::get().to(async |_: Optional<AnyToken>| "in"));
        config.service(web::resource("/").wrap(TokenLayer::optional(tokens)).to(maybe));
    };
    assert_eq!(answer(configure, TestRequest::default()).await, (StatusCode::OK, "false".into()));
    assert_eq!(answer(configure, holder(text(&nobody), "/")).await.0, 403);
    assert_eq!(answer(configure, TestRequest::with_uri("/uncovered")).await.0, 500);
}

/// A host that trusts its proxy says so itself, and its word wins.
#[actix_web::test]
async fn the_host_can_name_the_client_address() {
    let service = Service::start().await;
    let office = service.mint_for_networks(&["198.51.100.0/24"]).await;
    let tokens = &service.tokens;
    for (named, socket, status) in [
        (Some("198.51.100.7"), None, 200),
        (Some("198.51.100.7"), Some("203.0.113.1"), 200),
        (Some("::ffff:198.51.100.7"), None, 200),
        (Some("203.0.113.1"), Some("198.51.100.7"), 401),
        (None, Some("198.51.100.7"), 200),
        (None, Some("203.0.113.1"), 401),
        (None, None, 401),
    ] {
        let request = holder(text(&office), "/");
        let request = match socket {
            Some(socket) => request.peer_addr(SocketAddr::new(socket.parse::<IpAddr>().unwrap(), 50_000)),
            None => request,
        };
        let request = request.to_request();
        if let Some(named) = named {
            request.extensions_mut().insert(ClientAddress(named.parse().unwrap()));
        }
        let app = App::new().wrap(TokenLayer::required(tokens)).default_service(web::to(async || "in"));
        let response = try_call_service(&init_service(app).await, request).await.unwrap();
        assert_eq!(response.status(), status, "{named:?} {socket:?}");
    }
    let unknown = service.usage(&office.token).await.refusals;
    assert!(unknown.iter().any(|refusal| refusal.reason == Reason::AddressUnknown));
}

/// A token means something to the service that verified it, and nothing to another.
#[actix_web::test]
async fn layers_of_two_services_verify_each_for_itself() {
    let one = Service::start().await;
    let two = Service::start().await;
    let minted = one.mint(all("projects:read")).await;
    let configure = |config: &mut ServiceConfig| {
        let both = web::resource("/").wrap(TokenLayer::required(&two.tokens)).wrap(TokenLayer::required(&one.tokens));
        config.service(both.to(async || "in"));
    };
    assert_eq!(answer(configure, holder(text(&minted), "/")).await.0, 401);
    assert_eq!(one.uses(&minted.token).await, 1, "what the other refuses was let through by this one");
}

#[actix_web::test]
async fn a_rejection_that_a_middleware_returns_as_its_error_is_no_use() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let tokens = &service.tokens;
    for (rejects, uses) in [(true, 0), (false, 1)] {
        let fails = move |mut request: actix_web::dev::ServiceRequest| async move {
            let limited = request.extract::<Authorized<crate::service::ProjectsWrite>>().await;
            let rejection: Rejection = limited.expect_err("a token that may not write");
            let error = if rejects { rejection.into() } else { actix_web::error::ErrorImATeapot("tea") };
            Err::<ServiceResponse, Error>(error)
        };
        let layered = web::scope("")
            .wrap(TokenLayer::required(tokens))
            .service(web::service("/").finish(actix_web::dev::fn_service(fails)));
        let app = init_service(App::new().service(layered)).await;
        let error = try_call_service(&app, holder(text(&minted), "/").to_request()).await;
        let status = error.map_or_else(|error| error.as_response_error().status_code(), |done| done.status());
        assert_eq!(status, if rejects { 403 } else { 418 });
        assert_eq!(service.uses(&minted.token).await, uses);
    }
}

/// A layer around a scope runs before the resource is found.
#[actix_web::test]
async fn a_call_below_prefixes_is_known_by_the_whole_template_and_never_by_its_path() {
    let template = "/customers/{customer}/projects/{id}";
    for layered in ["app", "scope", "inner scope", "resource"] {
        let service = Service::start().await;
        let tokens = &service.tokens;
        let layer = |here: &str| Condition::new(here == layered, TokenLayer::required(tokens));
        let project = web::resource("/{id}").wrap(layer("resource")).route(web::get().to(async || "in"));
        let projects = web::scope("/projects").wrap(layer("inner scope")).service(project);
        let customers = web::scope("/customers/{customer}").wrap(layer("scope")).service(projects);
        let app = init_service(App::new().wrap(layer("app")).service(customers)).await;

        let minted = service.mint(all("projects:read")).await;
        let mut expected = Vec::new();
        for (path, status, route) in [
            ("/customers/of-ours/projects/apollo", 200, Some(template)),
            ("/customers/of%2Dours/projects/apollo%2F11", 200, Some(template)),
            ("/customers/of-ours/projects/apollo/11", 404, None),
        ] {
            let answered = try_call_service(&app, holder(text(&minted), path).to_request()).await.unwrap();
            assert_eq!(answered.status(), status, "{layered}: {path}");
            // No resource, and no layer around it.
            if layered != "resource" || status == 200 {
                expected.push((route, None));
            }
        }
        tokens.manage(&owner()).revoke(minted.token.id).await.unwrap();
        let refused = holder(text(&minted), "/customers/of-ours/projects/apollo").to_request();
        assert_eq!(try_call_service(&app, refused).await.unwrap().status(), 401, "{layered}");
        expected.push((Some(template), Some(Reason::Revoked)));

        tokens.flush().await.unwrap();
        let calls = tokens.manage(&owner()).recent_calls(None, 10).await.unwrap();
        let mut seen: Vec<_> = calls.iter().map(|call| (call.route.as_deref(), call.refused)).collect();
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(seen, expected, "{layered}");
    }
}

/// Which of two resources it is, is known when it has been answered.
#[actix_web::test]
async fn a_call_is_known_by_the_resource_that_answered_it_and_not_by_one_that_its_path_fits_too() {
    let service = Service::start().await;
    let read = web::resource("/projects/{id}").guard(guard::Get()).to(async || "read");
    let write = web::resource("/projects/{name}").to(async || "written");
    let app = App::new().wrap(TokenLayer::required(&service.tokens)).service(read).service(write);
    let app = init_service(app).await;
    let minted = service.mint(all("projects:read")).await;
    for method in [Method::GET, Method::POST] {
        let request = holder(text(&minted), "/projects/apollo").method(method).to_request();
        assert!(try_call_service(&app, request).await.unwrap().status().is_success());
    }
    service.tokens.flush().await.unwrap();
    let calls = service.tokens.manage(&owner()).recent_calls(None, 10).await.unwrap();
    let mut seen: Vec<_> = calls.iter().map(|call| (call.method.as_str(), call.route.as_deref())).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("GET", Some("/projects/{id}")), ("POST", Some("/projects/{name}"))]);
}

/// What verifies at once is handed on at once: the inner service runs within the call.
#[actix_web::test]
async fn a_cached_token_reaches_its_handler_without_waiting() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let reached = Rc::new(Cell::new(0));
    let counts = reached.clone();
    let counting = move |request: HttpRequest| {
        counts.set(counts.get() + 1);
        drop(request);
        async { "in" }
    };
    let app = App::new().wrap(TokenLayer::required(&service.tokens)).default_service(web::to(counting));
    let app = init_service(app).await;
    for round in 1..=2 {
        let response = try_call_service(&app, holder(text(&minted), "/").to_request()).await.unwrap();
        assert_eq!((response.status().as_u16(), reached.get()), (200, round));
    }
    let before = service.statements.calls();
    let mut response = pin!(app.call(holder(text(&minted), "/").to_request()));
    assert!(response.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(service.statements.calls(), before);
}

/// A client that hangs up: the server drops the future of its request.
#[actix_web::test]
async fn a_request_whose_client_went_away_was_a_use_once_it_was_let_through() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let forever = web::resource("/").wrap(TokenLayer::required(&service.tokens)).to(async |_: AnyToken| {
        pending::<()>().await;
        "never"
    });
    let app = init_service(App::new().service(forever)).await;
    let mut context = Context::from_waker(Waker::noop());

    drop(app.call(holder(text(&minted), "/").to_request()));
    assert_eq!(service.uses(&minted.token).await, 0, "never polled, never verified");
    {
        let mut response = pin!(app.call(holder(text(&minted), "/").to_request()));
        // The store in memory answers at once, so this reaches the handler.
        assert!(matches!(response.as_mut().poll(&mut context), Poll::Pending));
        assert!(matches!(response.as_mut().poll(&mut context), Poll::Pending));
        assert_eq!(service.uses(&minted.token).await, 1, "it is still running");
        assert!(service.calls().await.is_empty(), "nobody knows yet how it ends");
    }
    assert_eq!((service.uses(&minted.token).await, service.calls().await.len()), (1, 1));
}

#[actix_web::test]
async fn a_handler_that_panics_used_its_token() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let panics = web::resource("/").wrap(TokenLayer::required(&service.tokens)).to(panics);
    let app = init_service(App::new().service(panics)).await;
    let request = holder(text(&minted), "/").to_request();
    let call = actix_web::rt::spawn(async move { try_call_service(&app, request).await.is_ok() });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(service.uses(&minted.token).await, 1);
}

async fn panics(_: AnyToken) -> &'static str {
    panic!("a handler's own")
}
