//! DEMO ONLY, with `--demo-traffic`: hands what the story sends to the routes, as a socket would.

use std::error::Error;

use actix_web::App;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, USER_AGENT};
use actix_web::test::{TestRequest, init_service, try_call_service, try_read_body};
use actix_web::web::ServiceConfig;
use demo_traffic::{Call, Replay};
use token_core::Tokens;

use crate::demo;

pub(crate) async fn play(
    replay: &Replay,
    tokens: &Tokens,
    api: impl FnOnce(&mut ServiceConfig),
) -> Result<(), Box<dyn Error>> {
    let ann = demo::user("ann").ok_or("ann is one of the demo's users")?;
    let api = init_service(App::new().configure(api)).await;
    let send = async |call: &Call<'_>| {
        let response = try_call_service(&api, request(call)?.to_request()).await?;
        let status = response.status().as_u16();
        // Read to its end, as a client does.
        try_read_body(response).await?;
        Ok(status)
    };
    replay.play(tokens, ann, send).await
}

fn request(call: &Call<'_>) -> Result<TestRequest, Box<dyn Error>> {
    Ok(TestRequest::with_uri(call.path)
        .method(Method::from_bytes(call.method.as_bytes())?)
        .insert_header((AUTHORIZATION, call.authorization()))
        .insert_header((USER_AGENT, call.agent))
        .peer_addr(call.from))
}
