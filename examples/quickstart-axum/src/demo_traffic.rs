//! DEMO ONLY, with `--demo-traffic`: a hundred days of a small company, played on the first start. The requests are real ones, sent
//! through the real middleware; only the clock is behind, and catches up as they are sent.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode};
use token_core::{
    Actor, Clock, Expiry, Grant, Grants, ListFilter, Networks, NewToken, Overlap, Position, Replace, Rotation,
    SystemClock, Time, TokenId, TokenName, Tokens,
};
use tower_service::Service;

use crate::demo;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long ago it begins.
const DAYS: u32 = 100;

/// The traffic, if it was asked for, and the clock that goes with it.
pub(crate) struct Replay {
    clock: Arc<Behind>,
    is_asked_for: bool,
}

/// The system's clock, some microseconds behind.
#[derive(Default)]
struct Behind(AtomicI64);

impl Clock for Behind {
    fn now(&self) -> Time {
        let behind = Duration::from_micros(self.0.load(Ordering::Relaxed).unsigned_abs());
        SystemClock.now().saturating_sub(behind)
    }
}

impl Behind {
    fn set(&self, behind: Duration) {
        self.0.store(i64::try_from(behind.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

/// A token of ann's, and what holds it.
struct Client {
    id: TokenId,
    text: String,
    address: IpAddr,
    agent: &'static str,
}

impl Replay {
    pub(crate) fn asked_for() -> Replay {
        Replay { clock: Arc::default(), is_asked_for: std::env::args().any(|argument| argument == "--demo-traffic") }
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        if self.is_asked_for { Arc::clone(&self.clock) as Arc<dyn Clock> } else { Arc::new(SystemClock) }
    }

    /// Plays all of it, unless ann has tokens already.
    pub(crate) async fn play(&self, tokens: &Tokens, api: &Router) -> Result<(), Box<dyn Error>> {
        let ann = demo::user("ann").ok_or("ann is one of the demo's users")?;
        let any = tokens.manage(&ann).list(None, ListFilter::Any, None, Position::Created(None), 1).await?;
        if !self.is_asked_for || !any.tokens.is_empty() {
            return Ok(());
        }
        let played = Scene { tokens, api: api.clone(), clock: &self.clock, ann }.play().await;
        self.clock.set(Duration::ZERO);
        played?;
        Ok(tokens.flush().await?)
    }
}

struct Scene<'a> {
    tokens: &'a Tokens,
    api: Router,
    clock: &'a Behind,
    ann: Actor,
}

impl Scene<'_> {
    async fn play(mut self) -> Result<(), Box<dyn Error>> {
        self.clock.set(DAY * DAYS);
        let laptop = self.client("old-laptop", &["projects:read"], "192.0.2.61", "curl/7.88.1").await?;
        self.send(&laptop, Method::GET, "/projects", 3).await?;
        self.tokens.flush().await?;

        self.clock.set(DAY * 45);
        let billing =
            self.client("billing-sync", &["invoices:pay", "projects:read"], "198.51.100.4", "billing-sync/2.3").await?;
        let deploy = self.client("deploy", &["projects:write"], "198.51.100.20", "github-actions/1").await?;
        let backup =
            self.client("nightly-backup", &["projects:read", "invoices:read"], "2001:db8::7", "restic/0.16").await?;
        let dashboard = self.client("dashboard", &["projects:read"], "198.51.100.31", "Grafana/11.2").await?;
        let phone = self.client("phone-app", &["projects:read"], "192.0.2.17", "AcmeApp/4.1 (Android)").await?;
        for day in (2..45_u32).rev() {
            let weekday = day % 7 > 1;
            self.clock.set(DAY * day + HOUR * 9);
            self.send(&billing, Method::GET, "/invoices", if weekday { 22 + day * 5 % 13 } else { 6 }).await?;
            self.send(&billing, Method::POST, "/invoices", if weekday { 2 } else { 0 }).await?;
            self.send(&deploy, Method::GET, "/projects", if weekday { 3 + day % 5 } else { 0 }).await?;
            self.send(&dashboard, Method::GET, "/projects", 18 + day * 3 % 5).await?;
            self.send(&phone, Method::GET, "/projects", day % 4).await?;
            self.clock.set(DAY * day + HOUR * 2);
            self.send(&backup, Method::GET, "/projects", 1).await?;
            self.send(&backup, Method::GET, "/invoices", 1).await?;
            self.tokens.flush().await?;
            if day == 9 {
                self.mint("data-export", &["projects:read", "invoices:read"], 30).await?;
            }
            if day == 8 {
                self.mint("quarter-end", &["invoices:read"], 14).await?;
            }
        }

        // The phone was lost and its token revoked; whoever has it tried.
        self.clock.set(DAY + HOUR * 20);
        self.tokens.manage(&self.ann).revoke(phone.id).await?;
        self.clock.set(DAY + HOUR * 5);
        self.send(&Client { address: address("203.0.113.77")?, ..phone }, Method::GET, "/projects", 4).await?;

        // The dashboard has a new value, which one of its two servers has not got yet.
        self.clock.set(HOUR * 2);
        let overlap = Rotation { replace: Replace::Current(Overlap::For(DAY)), expiry: None };
        let minted = self.tokens.manage(&self.ann).rotate(dashboard.id, &overlap).await?;
        let new = minted.text.as_ref().map(|text| text.expose_secret().to_owned()).ok_or("a new value has a text")?;
        let renewed = Client { text: new, address: address("198.51.100.32")?, ..dashboard };
        // The token of billing is bound to its network, and is tried from another.
        let bound =
            token_core::Edit { networks: Some(Some(Networks::parse(["198.51.100.0/24"])?)), ..Default::default() };
        self.tokens.manage(&self.ann).edit(billing.id, &bound).await?;
        for minutes in [55, 41, 23, 12, 2_u64] {
            self.clock.set(Duration::from_secs(60 * minutes));
            self.send(&billing, Method::GET, "/invoices", 14).await?;
            self.send(&renewed, Method::GET, "/projects", 9).await?;
            self.send(&dashboard, Method::GET, "/projects", 4).await?;
            self.send(&deploy, Method::POST, "/invoices", 1).await?;
            let stranger = Client { text: billing.text.clone(), address: address("203.0.113.9")?, ..billing };
            self.send(&stranger, Method::GET, "/invoices", 47).await?;
            self.tokens.flush().await?;
        }
        Ok(())
    }

    async fn client(
        &self,
        name: &str,
        scopes: &[&str],
        from: &str,
        agent: &'static str,
    ) -> Result<Client, Box<dyn Error>> {
        let (id, text) = self.mint(name, scopes, 365).await?;
        Ok(Client { id, text, address: address(from)?, agent })
    }

    async fn mint(&self, name: &str, scopes: &[&str], days: u32) -> Result<(TokenId, String), Box<dyn Error>> {
        let grants = scopes.iter().map(|scope| Grant::all(scope)).collect::<Result<Vec<_>, _>>()?;
        let mut request = NewToken::new(TokenName::new(name)?, Grants::new(grants)?);
        request.expiry = Some(Expiry::After(DAY * days));
        let minted = self.tokens.manage(&self.ann).create(&request).await?;
        let text = minted.text.ok_or("a token that is made has a text")?;
        Ok((minted.token.id, text.expose_secret().to_owned()))
    }

    /// Sends a request so many times, as the socket of a client would hand it over.
    async fn send(&mut self, client: &Client, method: Method, path: &str, times: u32) -> Result<(), Box<dyn Error>> {
        for _ in 0..times {
            let request = Request::builder()
                .method(&method)
                .uri(path)
                .header("authorization", format!("Bearer {}", client.text))
                .header("user-agent", client.agent)
                .extension(ConnectInfo(SocketAddr::new(client.address, 40_000)))
                .body(Body::empty())?;
            let response = self.api.call(request).await?;
            if response.status() == StatusCode::SERVICE_UNAVAILABLE {
                return Err("the demo's traffic met an outage".into());
            }
            // Read to its end, as a client does.
            drop(axum::body::to_bytes(response.into_body(), usize::MAX).await?);
        }
        Ok(())
    }
}

fn address(text: &str) -> Result<IpAddr, Box<dyn Error>> {
    Ok(text.parse()?)
}
