//! A snapshot: all that decides about one secret, read at one moment. Immutable, so that it can be shared and cached.

use std::net::IpAddr;
use std::sync::Arc;

use crate::clock::Time;
use crate::keyring::Keyring;
use crate::refusal::Reason;
use crate::scope::{Catalog, Rights};
use crate::seal::BrokenSeal;
use crate::secret::Secret;
use crate::store::Loaded;
use crate::token::{SecretRef, SecretState, Token, TokenState};

#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) secret: Secret,
    /// Trusted only where `sound` is.
    pub(crate) token: Token,
    /// The seals of token and owner, and the owner's standing, as they were when the snapshot was made.
    sound: Result<(), Reason>,
    suspended: bool,
    /// The token's grants under its owner's ceiling.
    pub(crate) rights: Rights,
    pub(crate) catalog: Arc<Catalog>,
}

impl Snapshot {
    /// `ceiling` is `None` where the host does not know the owner or has deactivated it.
    pub(crate) fn new(loaded: Loaded, ceiling: Option<&Rights>, keyring: &Keyring, catalog: &Arc<Catalog>) -> Snapshot {
        let token = loaded.token.unverified().clone();
        let seals = loaded.token.check(keyring).map(drop).and_then(|()| match &loaded.owner {
            Some(owner) => owner.check(keyring).map(drop),
            None => Ok(()),
        });
        // A row of another owner, or of another token, is not this one's, whatever a database's collation takes for equal.
        let belong = loaded.secret.token == token.id
            && loaded.owner.as_ref().is_none_or(|owner| owner.unverified().id == token.owner);
        let known = loaded.owner.is_some() && ceiling.is_some();
        let sound = match seals {
            Err(BrokenSeal::Altered) => Err(Reason::BrokenSeal),
            Err(BrokenSeal::UnknownKey) => Err(Reason::UnknownKey),
            Ok(()) if !belong => Err(Reason::BrokenSeal),
            Ok(()) if !known => Err(Reason::OwnerMissing),
            Ok(()) => Ok(()),
        };
        let rights = ceiling.map(|ceiling| Rights::of(&token.grants, catalog).intersection(ceiling));
        Snapshot {
            suspended: loaded.owner.is_some_and(|owner| owner.unverified().suspended_at.is_some()),
            secret: loaded.secret,
            token,
            sound,
            rights: rights.unwrap_or_default(),
            catalog: Arc::clone(catalog),
        }
    }

    /// Whether the secret may be used, from this address at this moment, its verifier and the scope aside.
    pub(crate) fn standing(&self, address: Option<IpAddr>, now: Time) -> Result<(), Reason> {
        // A broken row says nothing that can be believed. One that is dead by its own word needs neither owner nor key to be refused.
        if self.sound == Err(Reason::BrokenSeal) {
            return Err(Reason::BrokenSeal);
        }
        // A clock that was set back does not bring back what had ended by the token's last change.
        let now = now.max(self.token.head.at);
        let state = self.token.state(now);
        if state == TokenState::Revoked {
            return Err(Reason::Revoked);
        }
        if state == TokenState::Expired && self.sound == Err(Reason::UnknownKey) {
            return Err(Reason::Expired);
        }
        self.sound?;
        if self.suspended {
            return Err(Reason::OwnerSuspended);
        }
        if state == TokenState::Expired {
            return Err(Reason::Expired);
        }
        let secret = SecretRef { generation: self.secret.generation, selector: self.secret.selector };
        if self.token.secret_state(secret, now) == SecretState::Ended {
            return Err(Reason::OverlapEnded);
        }
        match (&self.token.networks, address) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Reason::AddressUnknown),
            (Some(networks), Some(address)) if networks.contain(address) => Ok(()),
            (Some(_), Some(_)) => Err(Reason::NetworkNotAllowed),
        }
    }
}

pub(crate) type Shared = Arc<Snapshot>;
