//! Creating a token.

use serde::Serialize;

use crate::actor::Reach;
use crate::change::{OwnerGuard, Write};
use crate::clock::Moment;
use crate::edit::NewToken;
use crate::event::{Event, EventDetail, EventHead};
use crate::expiry::Expiry;
use crate::owner::Owner;
use crate::seal::Sealed;
use crate::secret::{Generation, Scheme, Secret, TokenText};
use crate::token::{SecretRef, Token, TokenId};

use crate::service::manage::{Attempt, Operation, Plan};
use crate::service::{Inner, Manage, ManageError, Minted};

/// Creating a token.
#[derive(Serialize)]
pub(in crate::service) struct Create<'a>(pub(in crate::service) &'a NewToken);

impl Operation for Create<'_> {
    type Output = Minted;

    fn name(&self) -> &'static str {
        "create"
    }

    async fn plan(&self, manage: &Manage<'_>, attempt: Attempt) -> Result<Plan<Minted>, ManageError> {
        let inner = manage.inner();
        let now = attempt.now;
        let request = self.0;
        let owner = match (manage.actor.reach(), &request.owner) {
            (Reach::Own(own), None) => own,
            (Reach::Own(own), Some(named)) if own == named => own,
            (Reach::Own(_), Some(_)) => return Err(ManageError::Forbidden),
            (Reach::Everyone, Some(named)) => named,
            (Reach::Everyone, None) => return Err(ManageError::OwnerNotNamed),
        };
        manage.check_new_grants(owner, &request.grants).await?;
        let policy = inner.policy_in_force().await?;
        let expiry = request.expiry.unwrap_or(Expiry::After(policy.default_lifetime));
        let expires_at = expiry.resolve(&policy, Moment::new(now))?;
        let owner_guard = match manage.known_owner(owner).await? {
            None => OwnerGuard::New(Sealed::new(Owner::new(owner.clone()), &inner.keyring)),
            Some(stored) => {
                let stored = stored.open(&inner.keyring)?;
                if stored.suspended_at.is_some() {
                    return Err(ManageError::OwnerSuspended);
                }
                OwnerGuard::At { owner: stored.id, revision: stored.revision }
            }
        };

        let id = TokenId::new(now, &inner.random)?;
        let (text, secret) = inner.mint(id, Generation::FIRST)?;
        let current = SecretRef { generation: secret.generation, selector: secret.selector };
        let token = Token {
            id,
            owner: owner.clone(),
            name: request.name.clone(),
            grants: request.grants.clone(),
            networks: request.networks.clone(),
            created_at: now,
            created_by: manage.actor.id().clone(),
            expires_at,
            revoked_at: None,
            current,
            superseded: None,
            revision: 0,
            head: EventHead::START,
        };
        let detail = EventDetail::Created {
            name: token.name.clone(),
            grants: token.grants.clone(),
            networks: token.networks.clone(),
            expires_at,
            secret: current,
        };
        let (token, event) = manage.next(token, now, &detail)?;
        let write = Write::CreateToken {
            token: Sealed::new(token.clone(), &inner.keyring),
            secret,
            owner: owner_guard,
            cap: policy.live_tokens_per_owner,
            now,
        };
        Ok(Plan::change(event, write, Minted { token, text: Some(text) }))
    }

    async fn repeated(&self, manage: &Manage<'_>, event: &Event) -> Result<Minted, ManageError> {
        manage.token_of(event).await
    }
}

impl Inner {
    /// A new secret: its text to show, and what is kept of it.
    pub(super) fn mint(&self, token: TokenId, generation: Generation) -> Result<(TokenText, Secret), ManageError> {
        let (text, selector, verifier) = self.format.mint(&self.random)?;
        let secret = Secret {
            selector,
            token,
            generation,
            scheme: Scheme::HmacSha256,
            digest: self.keyring.digest(verifier.as_bytes(), token, generation),
            key: self.keyring.current().clone(),
        };
        Ok((text, secret))
    }
}
