//! The management surface: configuration, and the one way in.

use std::time::Duration;

use token_core::{Scope, Tokens};

use crate::http::{Request, Response};
use crate::visitor::SignedIn;

/// Token management over HTTP: what an adapter mounts.
#[derive(Debug, Clone)]
pub struct Management {
    tokens: Tokens,
    base: String,
    origin: Option<String>,
    step_up: Duration,
    reauthenticate: Option<String>,
    self_service: Option<&'static str>,
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
        }
    }

    /// The origin that the host's own pages have, such as `https://example.org`, for browsers that send no `Sec-Fetch-Site`.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Management {
        self.origin = Some(origin.into());
        self
    }

    /// How old a sign-in may be for making, editing and rotating tokens. Default 15 minutes. Revoking never waits for it.
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
        self.self_service = Some(S::DEF.name);
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

    /// Answers a request of someone who is signed in, or of whoever the request itself says.
    pub async fn handle(&self, _request: Request, _visitor: Option<SignedIn>) -> Response {
        Response { status: 501, headers: Vec::new(), body: Vec::new() }
    }
}
