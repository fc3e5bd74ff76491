//! What people ask for: a new token, or another shape of one.

use serde::Serialize;

use crate::clock::Moment;
use crate::expiry::{Expiry, ExpiryError};
use crate::network::Networks;
use crate::policy::Policy;
use crate::scope::Grants;
use crate::text::{OwnerId, TokenName};
use crate::token::Token;

// A field that is added later, and not given, must not change what a request was: fingerprints outlive versions.
/// A request for a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewToken {
    /// Whom it acts for; `None` is the actor's own owner. Only an admin may name another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerId>,
    /// What to call it.
    pub name: TokenName,
    /// What it may do. Empty grants allow nothing.
    pub grants: Grants,
    /// Where it may be used from; `None` is anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<Networks>,
    /// Its end; `None` is the policy's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
}

impl NewToken {
    /// A token of this name and these grants, for the actor itself, with the policy's default expiry.
    #[must_use]
    pub fn new(name: TokenName, grants: Grants) -> NewToken {
        NewToken { owner: None, name, grants, networks: None, expiry: None }
    }
}

/// A request to change a token. What is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Edit {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<TokenName>,
    /// New grants, instead of all it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<Grants>,
    /// New networks; an inner `None` lifts the restriction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<Option<Networks>>,
    /// A new end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
}

impl Edit {
    /// The token after the edit, its revision and event aside.
    pub(crate) fn apply(&self, token: &Token, policy: &Policy, edited: Moment) -> Result<Token, ExpiryError> {
        let mut next = token.clone();
        if let Some(name) = &self.name {
            next.name = name.clone();
        }
        if let Some(grants) = &self.grants {
            next.grants = grants.clone();
        }
        if let Some(networks) = &self.networks {
            next.networks = networks.clone();
        }
        if let Some(expiry) = self.expiry {
            next.expires_at = expiry.resolve(policy, edited)?;
        }
        Ok(next)
    }
}
