//! DEMO ONLY, with `--demo-traffic`: hands what the story sends to the routes, as a socket would.

use std::error::Error;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, USER_AGENT};
use demo_traffic::{Call, Replay};
use token_core::Tokens;
use tower_service::Service;

use crate::demo;

pub(crate) async fn play(replay: &Replay, tokens: &Tokens, api: &Router) -> Result<(), Box<dyn Error>> {
    let ann = demo::user("ann").ok_or("ann is one of the demo's users")?;
    replay.play(tokens, ann, async |call: &Call<'_>| send(api.clone(), call).await).await
}

async fn send(mut api: Router, call: &Call<'_>) -> Result<u16, Box<dyn Error>> {
    let request = Request::builder()
        .method(call.method)
        .uri(call.path)
        .header(AUTHORIZATION, call.authorization())
        .header(USER_AGENT, call.agent)
        .extension(ConnectInfo(call.from))
        .body(Body::empty())?;
    let response = api.call(request).await?;
    let status = response.status().as_u16();
    // Read to its end, as a client does.
    to_bytes(response.into_body(), usize::MAX).await?;
    Ok(status)
}
