//! Changing an owner: suspending, resuming, resealing.

use serde::Serialize;

use crate::change::{Standing, Write};
use crate::event::{Event, EventDetail, Subject};
use crate::owner::Owner;
use crate::seal::Sealed;
use crate::text::OwnerId;

use crate::service::manage::{Attempt, Expected, Operation, Plan};
use crate::service::{Manage, ManageError};

/// Changing one owner.
#[derive(Serialize)]
pub(in crate::service) struct ChangeOwner<'a> {
    pub(in crate::service) owner: &'a OwnerId,
    pub(in crate::service) change: OwnerChange,
}

/// What may be done to an owner.
#[derive(Serialize, PartialEq, Eq)]
pub(in crate::service) enum OwnerChange {
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
