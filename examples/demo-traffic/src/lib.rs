//! DEMO ONLY, with `--demo-traffic`: a hundred days of a small company, played on the first start of a quickstart. The requests are real
//! ones, sent through its real middleware; only the clock is behind, and catches up as they are sent.
//!
//! Who calls what, and when, is here, once. How a [`Call`] becomes a request, and its answer a status, is the framework's:
//! `traffic.rs` of each quickstart.

mod replay;
mod story;

use std::net::SocketAddr;

use token_core::TokenText;

pub use replay::Replay;

/// A request of the story, as the socket of its client would hand it over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Call<'a> {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Where it goes.
    pub path: &'static str,
    /// What it bears.
    pub token: &'a TokenText,
    /// What the client calls itself.
    pub agent: &'static str,
    /// Where it comes from.
    pub from: SocketAddr,
}

impl Call<'_> {
    /// What its `Authorization` says.
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.token.expose_secret())
    }
}
