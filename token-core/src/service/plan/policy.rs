//! Changing the policy.

use serde::Serialize;

use crate::change::{Standing, Write};
use crate::event::{Event, EventDetail, EventHead, Subject};
use crate::policy::{Policy, PolicyRow};
use crate::seal::Sealed;

use crate::service::manage::{Attempt, Expected, Operation, Plan};
use crate::service::{Manage, ManageError, POLICY_KEY};

/// Changing the policy.
#[derive(Serialize)]
pub(in crate::service) struct SetPolicy<'a>(pub(in crate::service) &'a Policy);

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
