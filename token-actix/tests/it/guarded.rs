//! A host's test of its routes.

use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpResponse};
use token_actix::{AnyToken, TokenLayer, assert_guarded};
use token_core::Tokens;

use crate::service::Service;

fn guarded(tokens: &Tokens, config: &mut ServiceConfig) {
    let layer = TokenLayer::required(tokens);
    config
        .service(web::resource("/projects").wrap(layer.clone()).route(web::get().to(async || "in")))
        .service(web::resource("/projects/{id}").wrap(layer).route(web::get().to(async |_: AnyToken| "in")))
        .service(
            web::resource("/me").wrap(TokenLayer::optional(tokens)).route(web::get().to(async |_: AnyToken| "in")),
        );
}

const ROUTES: [&str; 4] = ["GET /projects", "POST /projects", "GET /projects/1?deep=1", "GET /me"];

#[actix_web::test]
async fn routes_behind_a_layer_are_guarded() {
    let service = Service::start().await;
    assert_guarded(App::new().configure(|config| guarded(&service.tokens, config)), ROUTES).await;
}

async fn says(tokens: &Tokens, route: &'static str) -> String {
    let tokens = tokens.clone();
    let asserted = actix_web::rt::spawn(async move {
        let app = App::new()
            .configure(|config| guarded(&tokens, config))
            .route("/open", web::get().to(async || "in"))
            .route("/own", web::get().to(HttpResponse::Unauthorized))
            .route("/late", web::get().to(async |_: AnyToken| "in"));
        assert_guarded(app, ["GET /projects", route]).await;
    });
    *asserted.await.unwrap_err().into_panic().downcast::<String>().unwrap()
}

#[actix_web::test]
async fn a_route_that_answers_anyone_is_named() {
    let service = Service::start().await;
    for (route, status) in
        [("GET /open", 200), ("GET /none", 404), ("GET /own", 401), ("POST /open", 404), ("GET /late", 500)]
    {
        let says = says(&service.tokens, route).await;
        assert!(says.contains(&format!("{route} answered {status}")) && !says.contains("/projects"), "{says}");
    }
}

#[actix_web::test]
async fn a_route_that_is_none_is_said_to_be_none() {
    let service = Service::start().await;
    for route in ["GET /projects/<id>", "GET /projects#1", "GET /projects/{id}"] {
        let says = says(&service.tokens, route).await;
        assert!(says.contains("is no route to ask for") && says.contains(route), "{says}");
    }
}
