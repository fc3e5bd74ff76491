//! What a page needs to show a form and to take it back.

use std::time::Duration;

use crate::nonce::{self, Nonce, NonceError};
use crate::random::RandomError;
use crate::scope::{Resources, Rights, ScopeName};
use crate::text::OwnerId;

use super::{Manage, ManageError};

impl Manage<'_> {
    /// A nonce for a form of the actor's, for one action: `create`, or `rotate` and the id of a token.
    ///
    /// # Errors
    /// [`RandomError`].
    pub fn nonce(&self, action: &str) -> Result<Nonce, RandomError> {
        let inner = self.inner();
        Nonce::issue(&inner.keyring, &inner.random, self.actor.id(), action, inner.clock.now())
    }

    /// Whether a nonce that came back was made for this actor and this action, not longer ago than `max_age`. The change is then made
    /// under it: [`ChangeId::from_key`](crate::ChangeId::from_key) of the nonce is stored with the change, so a form that is sent twice
    /// makes one change.
    ///
    /// # Errors
    /// [`NonceError`].
    pub fn check_nonce(&self, nonce: &str, action: &str, max_age: Duration) -> Result<(), NonceError> {
        let inner = self.inner();
        nonce::check(&inner.keyring, nonce, (self.actor.id(), action), inner.clock.now(), max_age)
    }

    /// What the actor could grant a token of this owner at present: for each scope of the catalog the resources, if there are any. It is
    /// for showing what can be asked for; what is asked for is checked all the same.
    ///
    /// # Errors
    /// [`ManageError::OwnerUnknown`], [`ManageError::CeilingUnavailable`].
    pub async fn grantable(&self, owner: &OwnerId) -> Result<Vec<(ScopeName, Resources)>, ManageError> {
        let catalog = &self.inner().catalog;
        let limit = Rights::under(self.actor.rights(), catalog).intersection(&self.ceiling_of(owner).await?);
        let scopes = catalog.scopes().iter().filter_map(|def| {
            let resources = limit.resources(catalog.index(def.name)?)?;
            Some((ScopeName::new(def.name).ok()?, resources))
        });
        Ok(scopes.collect())
    }
}
