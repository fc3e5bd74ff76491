//! What an actor may, and what must stand for a change: asked by every decision.

use crate::clock::Time;
use crate::event::{Event, EventDetail, Subject};
use crate::owner::Owner;
use crate::scope::{Ceiling, Grants, Rights};
use crate::seal::{BrokenSeal, Sealed};
use crate::store::{ListFilter, ListQuery, Position};
use crate::text::OwnerId;
use crate::token::{Token, TokenId};

use crate::service::{Manage, ManageError, Minted};

impl Manage<'_> {
    /// A token that the actor may see, its seal not checked yet. Foreign and missing are the same.
    pub(in crate::service) async fn visible(&self, id: TokenId) -> Result<Sealed<Token>, ManageError> {
        let stored = self.inner().store.token(id).await?;
        stored.filter(|stored| self.actor.sees(&stored.unverified().owner)).ok_or(ManageError::NotFound)
    }

    pub(in crate::service) fn check_admin(&self) -> Result<(), ManageError> {
        if self.actor.is_admin() { Ok(()) } else { Err(ManageError::Forbidden) }
    }

    /// Grants that someone writes down: declared scopes only, within the actor's rights and the owner's ceiling.
    pub(super) async fn check_new_grants(&self, owner: &OwnerId, grants: &Grants) -> Result<(), ManageError> {
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
    pub(super) fn check_held_grants(&self, grants: &Grants) -> Result<(), ManageError> {
        let catalog = &self.inner().catalog;
        let unknown = catalog.unknown(grants);
        if !unknown.is_empty() && *self.actor.rights() != Ceiling::Everything {
            return Err(ManageError::ExceedsRights(unknown));
        }
        self.within(&Rights::under(self.actor.rights(), catalog), &Rights::of(grants, catalog))
    }

    /// The owner's row; `None` if the owner is new. One without a row that has left traces had its row taken away, and with it perhaps a
    /// suspension: an admin suspends the owner first, and then resumes it.
    pub(super) async fn known_owner(&self, owner: &OwnerId) -> Result<Option<Sealed<Owner>>, ManageError> {
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
    pub(super) async fn check_active(&self, owner: &OwnerId) -> Result<(), ManageError> {
        self.ceiling_of(owner).await?;
        let stored = self.inner().store.owner(owner).await?.ok_or(ManageError::OwnerUnknown)?;
        match stored.open(&self.inner().keyring)?.suspended_at {
            None => Ok(()),
            Some(_) => Err(ManageError::OwnerSuspended),
        }
    }

    pub(in crate::service) async fn ceiling_of(&self, owner: &OwnerId) -> Result<Rights, ManageError> {
        let ceiling = self.inner().ceiling(owner).await.map_err(|_| ManageError::CeilingUnavailable)?;
        ceiling.ok_or(ManageError::OwnerUnknown)
    }

    pub(super) fn within(&self, limit: &Rights, wanted: &Rights) -> Result<(), ManageError> {
        if limit.contain(wanted) {
            return Ok(());
        }
        Err(ManageError::ExceedsRights(limit.lacking_names(wanted, &self.inner().catalog)))
    }

    /// Only an admin vouches for a row, and only for one that needs it.
    pub(super) fn check_reseal(
        &self,
        checked: Result<(), BrokenSeal>,
        seal: &crate::seal::Seal,
    ) -> Result<(), ManageError> {
        self.check_admin()?;
        if checked.is_ok() && seal.key == *self.inner().keyring.current() {
            return Err(ManageError::SealInOrder);
        }
        Ok(())
    }

    /// The token one revision on, with the event that leads there.
    pub(super) fn next(&self, token: Token, now: Time, detail: &EventDetail) -> Result<(Token, Event), ManageError> {
        let subject = Subject::Token(token.id);
        let actor = self.actor.id().clone();
        let event = Event::after(token.head, subject, Some(token.owner.clone()), now, actor, detail)?;
        let token = Token { revision: token.revision.saturating_add(1), head: event.head(), ..token };
        Ok((token, event))
    }

    /// The token that an event of the past was about, as it stands now.
    pub(super) async fn token_of(&self, event: &Event) -> Result<Minted, ManageError> {
        let Subject::Token(id) = event.subject else { return Err(ManageError::NotFound) };
        let token = self.visible(id).await?.open(&self.inner().keyring)?;
        Ok(Minted { token, text: None })
    }
}
