//! Who calls what, and when.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use token_core::{
    Actor, Edit, Expiry, Grant, Grants, Networks, NewToken, Overlap, Replace, Rotation, TokenId, TokenName, TokenText,
    Tokens,
};

use crate::Call;
use crate::replay::Behind;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long ago it begins.
const DAYS: u32 = 100;

/// A token of ann's, and what holds it.
#[derive(Clone)]
struct Client {
    id: TokenId,
    text: Arc<TokenText>,
    address: IpAddr,
    agent: &'static str,
}

pub(crate) struct Story<'a, S> {
    pub(crate) tokens: &'a Tokens,
    pub(crate) ann: Actor,
    pub(crate) clock: &'a Behind,
    pub(crate) send: S,
}

impl<S: AsyncFn(&Call<'_>) -> Result<u16, Box<dyn Error>>> Story<'_, S> {
    pub(crate) async fn play(self) -> Result<(), Box<dyn Error>> {
        self.clock.set(DAY * DAYS);
        let laptop = self.client("old-laptop", &["projects:read"], "192.0.2.61", "curl/7.88.1").await?;
        self.send(&laptop, "GET", "/projects", 3).await?;
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
            self.send(&billing, "GET", "/invoices", if weekday { 22 + day * 5 % 13 } else { 6 }).await?;
            self.send(&billing, "POST", "/invoices", if weekday { 2 } else { 0 }).await?;
            self.send(&deploy, "GET", "/projects", if weekday { 3 + day % 5 } else { 0 }).await?;
            self.send(&dashboard, "GET", "/projects", 18 + day * 3 % 5).await?;
            self.send(&phone, "GET", "/projects", day % 4).await?;
            self.clock.set(DAY * day + HOUR * 2);
            self.send(&backup, "GET", "/projects", 1).await?;
            self.send(&backup, "GET", "/invoices", 1).await?;
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
        self.send(&Client { address: address("203.0.113.77")?, ..phone }, "GET", "/projects", 4).await?;

        // The dashboard has a new value, which one of its two servers has not got yet.
        self.clock.set(HOUR * 2);
        let overlap = Rotation { replace: Replace::Current(Overlap::For(DAY)), expiry: None };
        let minted = self.tokens.manage(&self.ann).rotate(dashboard.id, &overlap).await?;
        let new = minted.text.ok_or("a new value has a text")?;
        let renewed = Client { text: Arc::new(new), address: address("198.51.100.32")?, ..dashboard };
        // The token of billing is bound to its network, and is tried from another.
        let bound = Edit { networks: Some(Some(Networks::parse(["198.51.100.0/24"])?)), ..Default::default() };
        self.tokens.manage(&self.ann).edit(billing.id, &bound).await?;
        for minutes in [55, 41, 23, 12, 2_u64] {
            self.clock.set(Duration::from_secs(60 * minutes));
            let stranger = Client { address: address("203.0.113.9")?, ..billing.clone() };
            self.send(&stranger, "GET", "/invoices", 47).await?;
            self.send(&billing, "GET", "/invoices", 14).await?;
            self.send(&renewed, "GET", "/projects", 9).await?;
            self.send(&dashboard, "GET", "/projects", 4).await?;
            self.send(&deploy, "POST", "/invoices", 1).await?;
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
        Ok(Client { id, text: Arc::new(text), address: address(from)?, agent })
    }

    async fn mint(&self, name: &str, scopes: &[&str], days: u32) -> Result<(TokenId, TokenText), Box<dyn Error>> {
        let grants = scopes.iter().map(|scope| Grant::all(scope)).collect::<Result<Vec<_>, _>>()?;
        let mut request = NewToken::new(TokenName::new(name)?, Grants::new(grants)?);
        request.expiry = Some(Expiry::After(DAY * days));
        let minted = self.tokens.manage(&self.ann).create(&request).await?;
        let text = minted.text.ok_or("a token that is made has a text")?;
        Ok((minted.token.id, text))
    }

    /// Sends a request so many times.
    async fn send(
        &self,
        client: &Client,
        method: &'static str,
        path: &'static str,
        times: u32,
    ) -> Result<(), Box<dyn Error>> {
        let from = SocketAddr::new(client.address, 40_000);
        let call = Call { method, path, token: &client.text, agent: client.agent, from };
        for _ in 0..times {
            if (self.send)(&call).await? == 503 {
                return Err("the demo's traffic met an outage".into());
            }
        }
        Ok(())
    }
}

fn address(text: &str) -> Result<IpAddr, Box<dyn Error>> {
    Ok(text.parse()?)
}
