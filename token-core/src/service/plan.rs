//! The decisions: from a request and what is stored, to what shall be written.

use serde::Serialize;

use crate::actor::Reach;
use crate::change::{OwnerGuard, Write};
use crate::clock::Time;
use crate::edit::{Edit, NewToken};
use crate::event::{Event, EventDetail, EventHead, Subject};
use crate::owner::Owner;
use crate::policy::{Policy, PolicyRow};
use crate::rotation::{Rotation, end_overlap};
use crate::scope::{Grants, Rights};
use crate::seal::{BrokenSeal, Sealed};
use crate::secret::{Generation, Scheme, Secret, TokenText};
use crate::text::OwnerId;
use crate::token::{SecretRef, Token, TokenId, TokenState};

use super::manage::{Operation, Plan};
use super::{Inner, Manage, ManageError, Minted, POLICY_KEY};

/// Creating a token.
#[derive(Serialize)]
pub(super) struct Create<'a>(pub(super) &'a NewToken);

impl Operation for Create<'_> {
    type Output = Minted;

    fn name(&self) -> &'static str {
        "create"
    }

    async fn plan(&self, manage: &Manage<'_>, now: Time) -> Result<Plan<Minted>, ManageError> {
        let inner = manage.inner();
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
        let expires_at = match request.expiry {
            Some(expiry) => expiry.resolve(&policy, now)?,
            None => now.checked_add(policy.default_lifetime),
        };
        let owner_guard = match inner.store.owner(owner).await? {
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

/// Changing one token.
#[derive(Serialize)]
pub(super) struct ChangeToken<'a> {
    pub(super) id: TokenId,
    pub(super) change: TokenChange<'a>,
}

/// What may be done to a token.
#[derive(Serialize)]
pub(super) enum TokenChange<'a> {
    Edit(&'a Edit),
    Rotate(&'a Rotation),
    EndOverlap,
    Revoke,
    Reseal,
}

impl Operation for ChangeToken<'_> {
    type Output = Minted;

    fn name(&self) -> &'static str {
        "change_token"
    }

    fn attempts(&self) -> u32 {
        // A revoke must win against whoever keeps changing the token.
        if matches!(self.change, TokenChange::Revoke) { 256 } else { 16 }
    }

    async fn plan(&self, manage: &Manage<'_>, now: Time) -> Result<Plan<Minted>, ManageError> {
        let inner = manage.inner();
        let sealed = manage.visible(self.id).await?;
        let seal = sealed.check(&inner.keyring).map(drop);
        let mut token = sealed.unverified().clone();
        manage.check_revision(token.revision)?;
        let must_be_live = || match token.state(now) {
            TokenState::Live => Ok(()),
            dead => Err(ManageError::NotLive(dead)),
        };

        let (next, detail, secret) = match &self.change {
            TokenChange::Edit(edit) => {
                seal?;
                must_be_live()?;
                let next = edit.apply(&token, &inner.policy_in_force().await?, now)?;
                match &edit.grants {
                    Some(grants) => manage.check_new_grants(&token.owner, grants).await?,
                    None => manage.check_held_grants(&token.owner, &next.grants).await?,
                }
                if next == token {
                    return Ok(Plan::Nothing(Minted { token, text: None }));
                }
                let detail = edited(&token, &next);
                (next, detail, None)
            }
            TokenChange::Rotate(rotation) => {
                seal?;
                must_be_live()?;
                manage.check_held_grants(&token.owner, &token.grants).await?;
                let generation = token.current.generation.next().ok_or(ManageError::Contention)?;
                let (text, secret) = inner.mint(token.id, generation)?;
                let new = SecretRef { generation, selector: secret.selector };
                let next = rotation.apply(&token, new, &inner.policy_in_force().await?, now)?;
                let detail =
                    EventDetail::Rotated { secret: new, superseded: next.superseded, expires_at: next.expires_at };
                (next, detail, Some((text, secret)))
            }
            TokenChange::EndOverlap => {
                seal?;
                must_be_live()?;
                let Some((next, secret)) = end_overlap(&token, now) else {
                    return Ok(Plan::Nothing(Minted { token, text: None }));
                };
                (next, EventDetail::OverlapEnded { secret }, None)
            }
            TokenChange::Revoke => {
                if token.revoked_at.is_some() {
                    return Ok(Plan::Nothing(Minted { token, text: None }));
                }
                // Neither a row that can't be believed nor a forged event is a reason to leave its token alive.
                token.head = inner.head_to_extend(&Subject::Token(token.id), token.head, seal).await?;
                (Token { revoked_at: Some(now), superseded: None, ..token }, EventDetail::Revoked, None)
            }
            TokenChange::Reseal => {
                manage.check_reseal(seal, sealed.seal())?;
                token.head = inner.last_head(&Subject::Token(token.id)).await?;
                (token, EventDetail::Resealed, None)
            }
        };
        let (token, event) = manage.next(next, now, &detail)?;
        let (text, secret) = secret.unzip();
        let write = Write::UpdateToken { token: Sealed::new(token.clone(), &inner.keyring), secret };
        Ok(Plan::change(event, write, Minted { token, text }))
    }

    async fn repeated(&self, manage: &Manage<'_>, event: &Event) -> Result<Minted, ManageError> {
        manage.token_of(event).await
    }
}

/// What an edit changed, and only that.
fn edited(before: &Token, after: &Token) -> EventDetail {
    EventDetail::Edited {
        name: (before.name != after.name).then(|| after.name.clone()),
        grants: (before.grants != after.grants).then(|| after.grants.clone()),
        networks: (before.networks != after.networks).then(|| after.networks.clone()),
        expires_at: (before.expires_at != after.expires_at).then_some(after.expires_at),
    }
}

/// Changing one owner.
#[derive(Serialize)]
pub(super) struct ChangeOwner<'a> {
    pub(super) owner: &'a OwnerId,
    pub(super) change: OwnerChange,
}

/// What may be done to an owner.
#[derive(Serialize, PartialEq, Eq)]
pub(super) enum OwnerChange {
    Suspend,
    Resume,
    Reseal,
}

impl Operation for ChangeOwner<'_> {
    type Output = Owner;

    fn name(&self) -> &'static str {
        "change_owner"
    }

    fn attempts(&self) -> u32 {
        // Suspending must win like revoking.
        256
    }

    async fn plan(&self, manage: &Manage<'_>, now: Time) -> Result<Plan<Owner>, ManageError> {
        let inner = manage.inner();
        manage.check_admin()?;
        let subject = Subject::Owner(self.owner.clone());
        let stored = inner.store.owner(self.owner).await?;
        let expected = stored.as_ref().map(|stored| stored.unverified().revision);
        let (mut owner, seal) = match &stored {
            None => (Owner { revision: 0, ..Owner::new(self.owner.clone()) }, Ok(())),
            Some(stored) => (stored.unverified().clone(), stored.check(&inner.keyring).map(drop)),
        };
        manage.check_revision(owner.revision)?;
        let detail = match self.change {
            OwnerChange::Suspend => {
                if seal.is_ok() && owner.suspended_at.is_some() {
                    return Ok(Plan::Nothing(owner));
                }
                owner.head = inner.head_to_extend(&subject, owner.head, seal).await?;
                owner.suspended_at = Some(now);
                EventDetail::Suspended
            }
            OwnerChange::Resume => {
                seal?;
                if owner.suspended_at.is_none() {
                    return Ok(Plan::Nothing(owner));
                }
                owner.suspended_at = None;
                EventDetail::Resumed
            }
            OwnerChange::Reseal => {
                let stored = stored.as_ref().ok_or(ManageError::OwnerUnknown)?;
                manage.check_reseal(seal, stored.seal())?;
                owner.head = inner.last_head(&subject).await?;
                EventDetail::Resealed
            }
        };
        let actor = manage.actor.id().clone();
        let event = Event::after(owner.head, subject, Some(owner.id.clone()), now, actor, &detail)?;
        owner.revision = owner.revision.saturating_add(1);
        owner.head = event.head();
        let write = Write::PutOwner { owner: Sealed::new(owner.clone(), &inner.keyring), expected };
        Ok(Plan::change(event, write, owner))
    }

    async fn repeated(&self, manage: &Manage<'_>, _event: &Event) -> Result<Owner, ManageError> {
        let stored = manage.inner().store.owner(self.owner).await?.ok_or(ManageError::OwnerUnknown)?;
        Ok(stored.open(&manage.inner().keyring)?)
    }
}

/// Changing the policy.
#[derive(Serialize)]
pub(super) struct SetPolicy<'a>(pub(super) &'a Policy);

impl Operation for SetPolicy<'_> {
    type Output = Policy;

    fn name(&self) -> &'static str {
        "set_policy"
    }

    async fn plan(&self, manage: &Manage<'_>, now: Time) -> Result<Plan<Policy>, ManageError> {
        manage.check_admin()?;
        self.0.check()?;
        let (row, stored) = manage.inner().policy().await?;
        if row.policy == *self.0 {
            return Ok(Plan::Nothing(row.policy));
        }
        let detail = EventDetail::PolicyChanged { policy: self.0.clone() };
        let event = Event::after(row.head, Subject::Policy, None, now, manage.actor.id().clone(), &detail)?;
        let next = PolicyRow { policy: self.0.clone(), head: event.head() };
        let value = serde_json::to_vec(&next)?;
        let write = Write::PutMeta { key: POLICY_KEY.to_owned(), expected: Some(stored), value };
        Ok(Plan::change(event, write, next.policy))
    }

    async fn repeated(&self, manage: &Manage<'_>, _event: &Event) -> Result<Policy, ManageError> {
        Ok(manage.inner().policy_in_force().await?)
    }
}

impl Manage<'_> {
    /// A token that the actor may see, its seal not checked yet. Foreign and missing are the same.
    pub(super) async fn visible(&self, id: TokenId) -> Result<Sealed<Token>, ManageError> {
        let stored = self.inner().store.token(id).await?;
        stored.filter(|stored| self.actor.sees(&stored.unverified().owner)).ok_or(ManageError::NotFound)
    }

    pub(super) fn check_admin(&self) -> Result<(), ManageError> {
        if self.actor.is_admin() { Ok(()) } else { Err(ManageError::Forbidden) }
    }

    /// Grants that someone writes down: declared scopes only, within the actor's rights and the owner's ceiling.
    async fn check_new_grants(&self, owner: &OwnerId, grants: &Grants) -> Result<(), ManageError> {
        let inner = self.inner();
        let unknown = inner.catalog.unknown(grants);
        if !unknown.is_empty() {
            return Err(ManageError::UnknownScopes(unknown));
        }
        let ceiling = self.ceiling_of(owner).await?;
        let limit = Rights::under(self.actor.rights(), &inner.catalog).intersection(&ceiling);
        self.within(&limit, &Rights::of(grants, &inner.catalog))
    }

    /// Grants that a token has already and keeps: what they allow under the ceiling must be the actor's too, or a new secret
    /// or a longer life would hand it rights that it lacks.
    async fn check_held_grants(&self, owner: &OwnerId, grants: &Grants) -> Result<(), ManageError> {
        let inner = self.inner();
        let ceiling = self.ceiling_of(owner).await?;
        let limit = Rights::under(self.actor.rights(), &inner.catalog);
        self.within(&limit, &Rights::of(grants, &inner.catalog).intersection(&ceiling))
    }

    async fn ceiling_of(&self, owner: &OwnerId) -> Result<Rights, ManageError> {
        let ceiling = self.inner().ceiling(owner).await.map_err(|_| ManageError::CeilingUnavailable)?;
        ceiling.ok_or(ManageError::OwnerUnknown)
    }

    fn within(&self, limit: &Rights, wanted: &Rights) -> Result<(), ManageError> {
        if limit.contain(wanted) {
            return Ok(());
        }
        Err(ManageError::ExceedsRights(limit.lacking_names(wanted, &self.inner().catalog)))
    }

    /// Only an admin vouches for a row, and only for one that needs it.
    fn check_reseal(&self, checked: Result<(), BrokenSeal>, seal: &crate::seal::Seal) -> Result<(), ManageError> {
        self.check_admin()?;
        if checked.is_ok() && seal.key == *self.inner().keyring.current() {
            return Err(ManageError::SealInOrder);
        }
        Ok(())
    }

    /// The token one revision on, with the event that leads there.
    fn next(&self, token: Token, now: Time, detail: &EventDetail) -> Result<(Token, Event), ManageError> {
        let subject = Subject::Token(token.id);
        let actor = self.actor.id().clone();
        let event = Event::after(token.head, subject, Some(token.owner.clone()), now, actor, detail)?;
        let token = Token { revision: token.revision.saturating_add(1), head: event.head(), ..token };
        Ok((token, event))
    }

    /// The token that an event of the past was about, as it stands now.
    async fn token_of(&self, event: &Event) -> Result<Minted, ManageError> {
        let Subject::Token(id) = event.subject else { return Err(ManageError::NotFound) };
        let token = self.visible(id).await?.open(&self.inner().keyring)?;
        Ok(Minted { token, text: None })
    }
}

impl Inner {
    fn mint(&self, token: TokenId, generation: Generation) -> Result<(TokenText, Secret), ManageError> {
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

    /// Where a change that must succeed puts its event: after the end that a sound row names, or after the last event that
    /// is stored, where the row can't be believed or events were forged beyond its end. Either way the forgery stays for
    /// the check of the history to name.
    async fn head_to_extend(
        &self,
        subject: &Subject,
        head: EventHead,
        seal: Result<(), BrokenSeal>,
    ) -> Result<EventHead, ManageError> {
        if seal.is_ok() && self.store.events(subject, head.seq, 1).await?.is_empty() {
            return Ok(head);
        }
        self.last_head(subject).await
    }

    /// The end of a chain by the events themselves.
    async fn last_head(&self, subject: &Subject) -> Result<EventHead, ManageError> {
        const PAGE: u32 = 500;
        let mut head = EventHead::START;
        loop {
            let events = self.store.events(subject, head.seq, PAGE).await?;
            match events.last() {
                None => return Ok(head),
                Some(last) => head = last.head(),
            }
        }
    }
}
