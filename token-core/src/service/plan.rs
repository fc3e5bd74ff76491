//! The decisions: from a request and what is stored, to what shall be written.

use serde::Serialize;

use crate::actor::Reach;
use crate::change::{OwnerGuard, Standing, Write};
use crate::clock::Time;
use crate::edit::{Edit, NewToken};
use crate::event::{Event, EventDetail, EventHead, Subject};
use crate::expiry::Expiry;
use crate::owner::Owner;
use crate::policy::{Policy, PolicyRow};
use crate::rotation::{Rotation, end_overlap};
use crate::scope::{Ceiling, Grants, Rights};
use crate::seal::{BrokenSeal, Sealed};
use crate::secret::{Generation, Scheme, Secret, TokenText};
use crate::store::{ListFilter, ListQuery, Position};
use crate::text::OwnerId;
use crate::token::{SecretRef, Token, TokenId, TokenState};

use super::manage::{Attempt, Expected, Operation, Plan};
use super::{Inner, Manage, ManageError, Minted, POLICY_KEY};

/// Creating a token.
#[derive(Serialize)]
pub(super) struct Create<'a>(pub(super) &'a NewToken);

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
        let expires_at = expiry.resolve(&policy, now)?;
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

    async fn plan(&self, manage: &Manage<'_>, attempt: Attempt) -> Result<Plan<Minted>, ManageError> {
        let inner = manage.inner();
        let sealed = manage.visible(self.id).await?;
        let seal = sealed.check(&inner.keyring).map(drop);
        let mut token = sealed.unverified().clone();
        manage.check_revision(token.revision)?;
        let taken = attempt.number_is_taken(&Expected::Revision(token.revision));
        token.head = inner.head_to_extend(token.head, seal, taken, attempt.now)?;
        // Times that order things never go back, whatever the clock does.
        let now = attempt.now.max(token.head.at);
        let must_be_live = || match token.state(now) {
            TokenState::Live => Ok(()),
            dead => Err(ManageError::NotLive(dead)),
        };

        let (next, detail, secret) = match &self.change {
            TokenChange::Edit(edit) => {
                seal?;
                must_be_live()?;
                manage.check_active(&token.owner).await?;
                let next = edit.apply(&token, &inner.policy_in_force().await?, now)?;
                match &edit.grants {
                    Some(grants) => manage.check_new_grants(&token.owner, grants).await?,
                    None => manage.check_held_grants(&next.grants)?,
                }
                if next == token {
                    return Ok(token_unchanged(token));
                }
                let detail = edited(&token, &next);
                (next, detail, None)
            }
            TokenChange::Rotate(rotation) => {
                seal?;
                must_be_live()?;
                manage.check_active(&token.owner).await?;
                manage.check_held_grants(&token.grants)?;
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
                    return Ok(token_unchanged(token));
                };
                (next, EventDetail::OverlapEnded { secret }, None)
            }
            TokenChange::Revoke => {
                if token.revoked_at.is_some() && seal.is_ok() {
                    return Ok(token_unchanged(token));
                }
                // A row that can't be believed is no reason to leave its token alive.
                (Token { revoked_at: Some(now), superseded: None, ..token }, EventDetail::Revoked, None)
            }
            TokenChange::Reseal => {
                manage.check_reseal(seal, sealed.seal())?;
                manage.check_held_grants(&token.grants)?;
                if seal.is_err() {
                    let (head, ended) = inner.stored_history(&Subject::Token(token.id)).await?;
                    if ended && token.revoked_at.is_none() {
                        return Err(ManageError::HistoryDisagrees);
                    }
                    token.head = inner.head_to_extend(head, Ok(()), taken, now)?.not_after(now);
                }
                let detail = resealed(&token);
                (token, detail, None)
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

/// A token that is as it was asked for.
fn token_unchanged(token: Token) -> Plan<Minted> {
    let standing = Standing::Token { id: token.id, revision: token.revision };
    let last = Some((Subject::Token(token.id), token.head));
    Plan::Nothing { output: Minted { token, text: None }, standing, last }
}

/// All of a row that an operator vouched for.
fn resealed(token: &Token) -> EventDetail {
    EventDetail::Resealed {
        name: token.name.clone(),
        grants: token.grants.clone(),
        networks: token.networks.clone(),
        expires_at: token.expires_at,
        revoked_at: token.revoked_at,
        secret: token.current,
        superseded: token.superseded,
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

    async fn plan(&self, manage: &Manage<'_>, attempt: Attempt) -> Result<Plan<Owner>, ManageError> {
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
        let taken = attempt.number_is_taken(&Expected::Revision(owner.revision));
        owner.head = inner.head_to_extend(owner.head, seal, taken, attempt.now)?;
        let now = attempt.now.max(owner.head.at);
        let unchanged = |owner: Owner| {
            let standing = Standing::Owner { id: owner.id.clone(), revision: owner.revision };
            let last = Some((Subject::Owner(owner.id.clone()), owner.head));
            Plan::Nothing { output: owner, standing, last }
        };
        let detail = match self.change {
            OwnerChange::Suspend => {
                if seal.is_ok() && owner.suspended_at.is_some() {
                    return Ok(unchanged(owner));
                }
                owner.suspended_at = Some(now);
                EventDetail::Suspended
            }
            OwnerChange::Resume => {
                seal?;
                if stored.is_none() {
                    return Err(ManageError::OwnerUnknown);
                }
                if owner.suspended_at.is_none() && manage.may_note(owner.head) {
                    return Ok(unchanged(owner));
                }
                owner.suspended_at = None;
                EventDetail::Resumed
            }
            OwnerChange::Reseal => {
                let stored = stored.as_ref().ok_or(ManageError::OwnerUnknown)?;
                manage.check_reseal(seal, stored.seal())?;
                if seal.is_err() {
                    let (head, ended) = inner.stored_history(&subject).await?;
                    if ended && owner.suspended_at.is_none() {
                        return Err(ManageError::HistoryDisagrees);
                    }
                    owner.head = inner.head_to_extend(head, Ok(()), taken, now)?.not_after(now);
                }
                EventDetail::OwnerResealed { suspended_at: owner.suspended_at }
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
        manage.check_admin()?;
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

    async fn plan(&self, manage: &Manage<'_>, attempt: Attempt) -> Result<Plan<Policy>, ManageError> {
        manage.check_admin()?;
        self.0.check()?;
        let inner = manage.inner();
        let keyring = &inner.keyring;
        let (sealed, stored) = inner.policy().await?;
        let key_is_current = sealed.as_ref().is_ok_and(|row| row.seal().key == *keyring.current());
        let row = sealed.and_then(|row| row.open(keyring));
        if let (Ok(row), Some(stored)) = (&row, &stored)
            && row.policy == *self.0
            && key_is_current
            && manage.may_note(row.head)
        {
            let standing = Standing::Meta { key: POLICY_KEY.to_owned(), value: stored.clone() };
            let last = Some((Subject::Policy, row.head));
            return Ok(Plan::Nothing { output: row.policy.clone(), standing, last });
        }
        // A policy that was tampered with is replaced; its history shows that it was.
        let taken = attempt.number_is_taken(&Expected::Value(stored.clone()));
        let seal = row.as_ref().map(|_| ()).map_err(|broken| *broken);
        let head = row.map_or(EventHead::START, |row| row.head);
        let head = inner.head_to_extend(head, seal, taken, attempt.now)?;
        let detail = EventDetail::PolicyChanged { policy: self.0.clone() };
        let actor = manage.actor.id().clone();
        let event = Event::after(head, Subject::Policy, None, attempt.now, actor, &detail)?;
        let next = Sealed::new(PolicyRow { policy: self.0.clone(), head: event.head() }, keyring);
        let write = Write::PutMeta { key: POLICY_KEY.to_owned(), expected: stored, value: next.to_bytes()? };
        Ok(Plan::change(event, write, self.0.clone()))
    }

    async fn repeated(&self, manage: &Manage<'_>, _event: &Event) -> Result<Policy, ManageError> {
        manage.check_admin()?;
        manage.inner().policy_in_force().await
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

    /// Grants that a token has already and keeps: all of them must be the actor's too, or a new secret or a longer life would hand
    /// it rights that it lacks. Not cut to the owner's present ceiling, which may rise again; nor to this version's catalog,
    /// beside which another may run.
    fn check_held_grants(&self, grants: &Grants) -> Result<(), ManageError> {
        let catalog = &self.inner().catalog;
        let unknown = catalog.unknown(grants);
        if !unknown.is_empty() && *self.actor.rights() != Ceiling::Everything {
            return Err(ManageError::ExceedsRights(unknown));
        }
        self.within(&Rights::under(self.actor.rights(), catalog), &Rights::of(grants, catalog))
    }

    /// The owner's row; `None` if the owner is new. One without a row that has left traces had its row taken away, and with it perhaps a
    /// suspension: an admin suspends the owner first, and then resumes it.
    async fn known_owner(&self, owner: &OwnerId) -> Result<Option<Sealed<Owner>>, ManageError> {
        let store = &self.inner().store;
        if let Some(stored) = store.owner(owner).await? {
            return Ok(Some(stored));
        }
        let own = ListQuery {
            owner: Some(owner.clone()),
            filter: ListFilter::Any,
            text: None,
            from: Position::Created(None),
            now: self.inner().clock.now(),
            limit: 1,
        };
        let events = store.events(&Subject::Owner(owner.clone()), 0, 1).await?;
        if events.is_empty() && store.list(&own).await?.tokens.is_empty() {
            return Ok(None);
        }
        // Unless it was made since it was looked for.
        store.owner(owner).await?.map(Some).ok_or(ManageError::HistoryDisagrees)
    }

    /// What an owner has that is suspended, or that the host has deactivated, is neither renewed nor changed.
    async fn check_active(&self, owner: &OwnerId) -> Result<(), ManageError> {
        self.ceiling_of(owner).await?;
        let stored = self.inner().store.owner(owner).await?.ok_or(ManageError::OwnerUnknown)?;
        match stored.open(&self.inner().keyring)?.suspended_at {
            None => Ok(()),
            Some(_) => Err(ManageError::OwnerSuspended),
        }
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

    /// Where a change puts its event. `taken` says that the next number was found taken by an event that no
    /// change of ours has written.
    fn head_to_extend(
        &self,
        head: EventHead,
        seal: Result<(), BrokenSeal>,
        taken: bool,
        now: Time,
    ) -> Result<EventHead, ManageError> {
        if seal.is_ok() && !taken {
            return Ok(head);
        }
        // At random, since whoever forges events would guess any other.
        let skip = if taken { 1 + u64::from(u32::from_be_bytes(self.random.array()?)) } else { 0 };
        Ok(head.despite_tampering(seal.is_ok(), skip, now))
    }

    /// The end of a chain by the events that are stored, for a row whose own word can't be believed, and whether they leave
    /// their subject revoked or suspended. An event that can't be read may have said so.
    async fn stored_history(&self, subject: &Subject) -> Result<(EventHead, bool), ManageError> {
        const PAGE: u32 = 500;
        let (mut head, mut ended) = (EventHead::START, false);
        loop {
            let events = self.store.events(subject, head.seq, PAGE).await?;
            let Some(last) = events.last() else { return Ok((head, ended)) };
            head = last.head();
            for event in &events {
                ended = match event.detail() {
                    Ok(EventDetail::Revoked | EventDetail::Suspended) | Err(_) => true,
                    Ok(EventDetail::Resumed) => false,
                    Ok(EventDetail::Resealed { revoked_at, .. }) => revoked_at.is_some(),
                    Ok(EventDetail::OwnerResealed { suspended_at }) => suspended_at.is_some(),
                    Ok(_) => ended,
                };
            }
        }
    }
}
