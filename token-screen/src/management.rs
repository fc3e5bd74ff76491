//! The management surface: configuration, and the one way in.

use std::net::IpAddr;
use std::time::Duration;

use token_core::{Caller, OwnerId, Scope, Tokens, TrustedProxies};

use crate::api;
use crate::guard::{self, ScopeCheck};
use crate::http::{Request, Response};
use crate::leak_reports::ReporterKeys;
use crate::route::{self, Offered, Who};
use crate::visitor::SignedIn;

/// Token management over HTTP: what an adapter mounts.
#[derive(Debug, Clone)]
pub struct Management {
    pub(crate) tokens: Tokens,
    pub(crate) base: String,
    pub(crate) origin: Option<String>,
    pub(crate) step_up: Duration,
    pub(crate) reauthenticate: Option<String>,
    pub(crate) self_service: Option<ScopeCheck>,
    pub(crate) cookie_name: String,
    pub(crate) reporters: Option<ReporterKeys>,
    pub(crate) introspection: Option<ScopeCheck>,
    pub(crate) revocation: Option<ScopeCheck>,
    pub(crate) services: Vec<OwnerId>,
    pub(crate) forward_auth: bool,
    pub(crate) proxies: Option<TrustedProxies>,
}

impl Management {
    /// Manages the tokens of a service, mounted at `base`, such as `/api/tokens`.
    #[must_use]
    pub fn new(tokens: &Tokens, base: impl Into<String>) -> Management {
        Management {
            tokens: tokens.clone(),
            base: base.into(),
            origin: None,
            step_up: Duration::from_secs(15 * 60),
            reauthenticate: None,
            self_service: None,
            cookie_name: "session".to_owned(),
            reporters: None,
            introspection: None,
            revocation: None,
            services: Vec::new(),
            forward_auth: false,
            proxies: None,
        }
    }

    /// The origin that the host's own pages have, such as `https://example.org`, exactly as browsers write it. Without it a change
    /// by someone who is known by a cookie needs `Sec-Fetch-Site: same-origin`, which older browsers don't send.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Management {
        self.origin = Some(origin.into());
        self
    }

    /// How old a sign-in may be for making, editing and rotating tokens, resuming owners and setting the policy. Default 15
    /// minutes. Revoking never waits for it.
    #[must_use]
    pub fn step_up(mut self, limit: Duration) -> Management {
        self.step_up = limit;
        self
    }

    /// Where people prove again who they are, told to those whose sign-in is too old.
    #[must_use]
    pub fn reauthenticate_at(mut self, url: impl Into<String>) -> Management {
        self.reauthenticate = Some(url.into());
        self
    }

    /// Lets a token that has this scope read, rotate and revoke itself, and nothing else. Without it no token manages tokens.
    ///
    /// It rotates by its current value alone: one that was replaced, and lives out its overlap, reads and revokes the token and is
    /// refused a new value (403, `superseded_value`). So a program that lost the answer to its rotation has the token's owner rotate.
    #[must_use]
    pub fn self_service<S: Scope>(mut self) -> Management {
        self.self_service = Some(Tokens::require::<S>);
        self
    }

    /// The cookie by which the host knows people, as the OpenAPI document names it. Default `session`.
    #[must_use]
    pub fn cookie_name(mut self, name: impl Into<String>) -> Management {
        self.cookie_name = name.into();
        self
    }

    /// Takes reports of leaked tokens at `POST /leak-reports`, signed with one of these keys, after the protocol of GitHub's
    /// secret-scanning partners. A reported text that verifies in full has its token revoked, whoever sends it; the signature is
    /// all the proof that is asked for. Without this there is nothing at that path.
    #[must_use]
    pub fn leak_reports(mut self, keys: ReporterKeys) -> Management {
        self.reporters = Some(keys);
        self
    }

    /// Lets a token that has this scope ask about tokens that are presented to services which are not written in Rust, at
    /// `POST /introspect` (RFC 7662). It learns of the tokens of its own owner alone; of every other text, that it is not active. Without
    /// this there is nothing at that path.
    ///
    /// A token that is restricted to networks is not active there: who presents it is not known.
    #[must_use]
    pub fn introspection<S: Scope>(mut self) -> Management {
        self.introspection = Some(Tokens::require::<S>);
        self
    }

    /// Lets a token that has this scope revoke the tokens of its own owner that it holds the text of, at `POST /revoke` (RFC 7009). Without
    /// this there is nothing at that path.
    #[must_use]
    pub fn revocation<S: Scope>(mut self) -> Management {
        self.revocation = Some(Tokens::require::<S>);
        self
    }

    /// Owners whose tokens may introspect and revoke the tokens of everyone: those of gateways and of other services of the host's own.
    #[must_use]
    pub fn services(mut self, owners: impl IntoIterator<Item = OwnerId>) -> Management {
        self.services.extend(owners);
        self
    }

    /// Tells a proxy whether to let a request through, at `/forward-auth/{scope}`: for nginx's `auth_request`, Traefik's and Caddy's
    /// `forward_auth`, Envoy's `ext_authz`. The scope is the one in the path that the operator writes into the proxy's configuration; whatever
    /// follows it is of no meaning. An answer of 200 has `x-token-owner`, `x-token-id` and `x-token-scopes` for the service behind, percent-encoded.
    /// Without this there is nothing at that path.
    ///
    /// It needs [`trusted_proxies`](Management::trusted_proxies): only one of those says where a client is. Where anyone else asks, that is not
    /// known, and a token that is restricted to networks is refused.
    #[must_use]
    pub fn forward_auth(mut self) -> Management {
        self.forward_auth = true;
        self
    }

    /// Takes the client's address of requests that come from these proxies from their `X-Forwarded-For`.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Management {
        self.proxies = Some(proxies);
        self
    }

    /// Where it is mounted.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The service.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    pub(crate) fn offered(&self) -> Offered {
        Offered {
            leak_reports: self.reporters.is_some(),
            introspection: self.introspection.is_some(),
            revocation: self.revocation.is_some(),
            forward_auth: self.forward_auth,
        }
    }

    /// Answers a request of someone who is signed in, or of whoever the request itself says.
    pub async fn handle(&self, mut request: Request, visitor: Option<SignedIn>) -> Response {
        request.caller = self.client(&request).map_or_else(Caller::default, Caller::at);
        self.answer(&request, visitor).await.unwrap_or_else(|refused| refused).hardened()
    }

    /// Where the client of a request is, if that is known.
    fn client(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.caller.address?;
        if let Some(proxies) = self.proxies.as_ref().filter(|proxies| proxies.contain(peer)) {
            let forwarded: Vec<&[u8]> = request.header("x-forwarded-for").collect();
            return proxies.client(peer, forwarded);
        }
        // Whoever asks about the request of another is not where that one is.
        let of_another = self.who(&request.method, &request.path) == Some(Who::Presented);
        (!of_another).then_some(peer)
    }

    /// Who may ask for what is at this path; `None` where there is nothing.
    pub(crate) fn who(&self, method: &str, path: &str) -> Option<Who> {
        route::find(method, path, self.offered()).ok().map(|(route, _)| route.who)
    }

    /// In order: what is asked for, whether this one may, and doing it.
    async fn answer(&self, request: &Request, visitor: Option<SignedIn>) -> Result<Response, Response> {
        let (route, segment) = route::find(&request.method, &request.path, self.offered())?;
        let access = guard::admit(self, route, request, visitor).await?;
        Ok(api::perform(self, route, request, segment, &access).await?)
    }
}
