//! The management surface: configuration, and the one way in.

use std::time::Duration;

use token_core::{Scope, Tokens, TrustedProxies};

use crate::api;
use crate::guard::{self, ScopeCheck};
use crate::http::{Request, Response};
use crate::leak_reports::ReporterKeys;
use crate::route;
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
    proxies: Option<TrustedProxies>,
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

    /// Takes a client's address from `X-Forwarded-For` where the socket's is one of these proxies, as the layer before the rest of the
    /// service does: a token that is restricted to networks manages itself from there too. Without it, what is written in headers
    /// counts for nothing.
    #[must_use]
    pub fn behind(mut self, proxies: TrustedProxies) -> Management {
        self.proxies = Some(proxies);
        self
    }

    /// The proxies that it stands behind: for the adapter, which knows the socket and so whose word is taken.
    #[must_use]
    pub fn proxies(&self) -> Option<&TrustedProxies> {
        self.proxies.as_ref()
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

    /// Answers a request of someone who is signed in, or of whoever the request itself says.
    pub async fn handle(&self, request: Request, visitor: Option<SignedIn>) -> Response {
        let response = self.answer(&request, visitor).await.unwrap_or_else(|refused| refused).hardened();
        if request.method == "HEAD" { Response { body: Vec::new(), ..response } } else { response }
    }

    /// In order: what is asked for, whether this one may, and doing it.
    async fn answer(&self, request: &Request, visitor: Option<SignedIn>) -> Result<Response, Response> {
        let (route, segment) = route::find(request, self.reporters.is_some())?;
        let access = guard::admit(self, route, request, visitor).await?;
        Ok(api::perform(self, route, request, segment, &access).await?)
    }
}
