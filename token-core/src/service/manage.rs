//! Managing tokens: every change goes through here, as a decision, a guarded commit, and a retry of lost races.

use std::future::Future;

use serde::Serialize;

use crate::actor::Actor;
use crate::change::{Change, ChangeId, Committed, Fingerprint, Outcome, Standing, Write};
use crate::clock::Time;
use crate::edit::{Edit, NewToken};
use crate::event::{Event, EventHead, Subject};
use crate::owner::Owner;
use crate::policy::Policy;
use crate::rotation::Rotation;
use crate::secret::{Selector, TokenText};
use crate::store::Fault;
use crate::text::OwnerId;
use crate::token::{Token, TokenId};

use super::plan::{ChangeOwner, ChangeToken, Create, OwnerChange, SetPolicy, TokenChange};
use super::{Inner, ManageError, Tokens};

/// Token management on behalf of one actor, from [`Tokens::manage`].
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Manage<'a> {
    pub(super) tokens: &'a Tokens,
    pub(super) actor: &'a Actor,
    change: Option<ChangeId>,
    revision: Option<u64>,
    current: Option<Selector>,
}

/// A token and its new secret.
#[derive(Debug)]
pub struct Minted {
    /// The token.
    pub token: Token,
    /// The text of its new secret, to be shown once. `None` if this was a repeat of a change that was made before: the text was
    /// in the first answer, and is not kept anywhere.
    pub text: Option<TokenText>,
}

impl Tokens {
    /// Manages tokens on behalf of an actor.
    pub fn manage<'a>(&'a self, actor: &'a Actor) -> Manage<'a> {
        Manage { tokens: self, actor, change: None, revision: None, current: None }
    }
}

impl<'a> Manage<'a> {
    /// Makes the change of this handle under this id: made again under the same id, it is one change, and its outcome can be asked for.
    pub fn change_id(mut self, id: ChangeId) -> Manage<'a> {
        self.change = Some(id);
        self
    }

    /// Changes a token or an owner only if it is still at this revision. Creating and setting the policy have none to name.
    pub fn if_revision(mut self, revision: u64) -> Manage<'a> {
        self.revision = Some(revision);
        self
    }

    /// Changes a token only while this selects its current secret: for a token that changes itself, by a value that may have been replaced.
    pub fn if_current(mut self, selector: Selector) -> Manage<'a> {
        self.current = Some(selector);
        self
    }

    /// Creates a token, with no more rights than the actor and the owner's ceiling have.
    ///
    /// # Errors
    /// [`ManageError`], among others for rights, expiry, cap, and a suspended owner.
    pub async fn create(&self, request: &NewToken) -> Result<Minted, ManageError> {
        self.execute(&Create(request)).await
    }

    /// Changes name, grants, networks or expiry of a live token. The result has no more rights than the actor.
    ///
    /// # Errors
    /// [`ManageError`], among others for rights and expiry.
    pub async fn edit(&self, token: TokenId, edit: &Edit) -> Result<Token, ManageError> {
        self.change_token(token, TokenChange::Edit(edit)).await.map(|minted| minted.token)
    }

    /// Gives a live token a new secret, while the old one works on for the overlap.
    ///
    /// # Errors
    /// [`ManageError`]; with two secrets live already, [`RotationError::TwoLive`](crate::RotationError::TwoLive) until the
    /// rotation names which to end.
    pub async fn rotate(&self, token: TokenId, rotation: &Rotation) -> Result<Minted, ManageError> {
        self.change_token(token, TokenChange::Rotate(rotation)).await
    }

    /// Ends the overlap of a rotation now. Without one, nothing is changed.
    ///
    /// # Errors
    /// [`ManageError`].
    pub async fn end_overlap(&self, token: TokenId) -> Result<Token, ManageError> {
        self.change_token(token, TokenChange::EndOverlap).await.map(|minted| minted.token)
    }

    /// Revokes a token, all its secrets at once and for good. Revoking twice is one revoke. A token whose row was tampered
    /// with can be revoked too.
    ///
    /// # Errors
    /// [`ManageError`].
    pub async fn revoke(&self, token: TokenId) -> Result<Token, ManageError> {
        self.change_token(token, TokenChange::Revoke).await.map(|minted| minted.token)
    }

    /// Vouches for a token's row and its events as they stand, after they were changed behind the application's back, or to renew a
    /// seal that was made with an old key. For admins who hold all that the token may do; the log says who did it, and what the row
    /// was. A row whose history says that it was revoked is not vouched for as anything else.
    ///
    /// # Errors
    /// [`ManageError`].
    pub async fn reseal(&self, token: TokenId) -> Result<Token, ManageError> {
        self.change_token(token, TokenChange::Reseal).await.map(|minted| minted.token)
    }

    /// Suspends all tokens of an owner, those made later included. For admins.
    ///
    /// # Errors
    /// [`ManageError`].
    pub async fn suspend(&self, owner: &OwnerId) -> Result<Owner, ManageError> {
        self.execute(&ChangeOwner { owner, change: OwnerChange::Suspend }).await
    }

    /// Lets the tokens of a suspended owner work again. For admins.
    ///
    /// # Errors
    /// [`ManageError`].
    pub async fn resume(&self, owner: &OwnerId) -> Result<Owner, ManageError> {
        self.execute(&ChangeOwner { owner, change: OwnerChange::Resume }).await
    }

    /// Vouches for an owner's row as it stands, as [`Manage::reseal`] does for a token's. For admins.
    ///
    /// # Errors
    /// [`ManageError`].
    pub async fn reseal_owner(&self, owner: &OwnerId) -> Result<Owner, ManageError> {
        self.execute(&ChangeOwner { owner, change: OwnerChange::Reseal }).await
    }

    /// Changes the policy. Tokens that exist live on as they are. For admins.
    ///
    /// # Errors
    /// [`ManageError`].
    pub async fn set_policy(&self, policy: &Policy) -> Result<Policy, ManageError> {
        self.execute(&SetPolicy(policy)).await
    }

    async fn change_token(&self, id: TokenId, change: TokenChange<'_>) -> Result<Minted, ManageError> {
        self.execute(&ChangeToken { id, change }).await
    }

    /// Decides, commits, and decides again on what is there by then if another change was first.
    async fn execute<O: Operation>(&self, operation: &O) -> Result<O::Output, ManageError> {
        if !self.actor.may_manage() {
            return Err(ManageError::Forbidden);
        }
        let inner = self.inner();
        let whole = (operation.name(), self.actor.id(), self.actor.reach(), self.revision, operation);
        let fingerprint = Fingerprint::of(&whole)?;
        // Before any decision: what was decided the first time may not be decidable again.
        if let Some(outcome) = self.outcome_under_own_id().await? {
            return self.repeat(operation, fingerprint, outcome).await;
        }
        let id = self.change.map_or_else(|| ChangeId::random(&inner.random), Ok)?;
        let mut lost_at: Option<Expected> = None;
        for _ in 0..operation.attempts() {
            let planned = match operation.plan(self, Attempt { now: inner.clock.now(), lost_at }).await {
                Ok(planned) => planned,
                // What is in the way may be what this very request has done, sent at the same time.
                Err(refused) => match self.outcome_under_own_id().await? {
                    Some(outcome) => return self.repeat(operation, fingerprint, outcome).await,
                    None => return Err(refused),
                },
            };
            let (event, write, output) = match planned {
                Plan::Change(decision) => (decision.event, decision.write, decision.output),
                Plan::Nothing { output, standing, last } => match self.last_event(last).await? {
                    Some(event) => (event, Write::Nothing(standing), output),
                    None => return Ok(output),
                },
            };
            let change = Change { id, fingerprint, event, write };
            match inner.commit(&change).await? {
                Committed::Done => return Ok(output),
                // Ours, whose answer was lost: an event holds the selector of its secret, so no other is equal.
                Committed::Repeat(outcome) if outcome == (Outcome { fingerprint, event: change.event.clone() }) => {
                    return Ok(output);
                }
                Committed::Repeat(outcome) => return self.repeat(operation, fingerprint, outcome).await,
                Committed::CapReached => return Err(ManageError::CapReached { cap: change.write.cap() }),
                Committed::Conflict => lost_at = Some(change.write.expected()),
            }
        }
        Err(ManageError::Contention)
    }

    /// What is known of the change, where the caller has given it an id.
    async fn outcome_under_own_id(&self) -> Result<Option<Outcome>, ManageError> {
        match &self.change {
            Some(id) => Ok(self.inner().store.outcome(id).await?),
            None => Ok(None),
        }
    }

    async fn repeat<O: Operation>(
        &self,
        operation: &O,
        fingerprint: Fingerprint,
        outcome: Outcome,
    ) -> Result<O::Output, ManageError> {
        if outcome.fingerprint != fingerprint {
            return Err(ManageError::ChangeIdReused);
        }
        operation.repeated(self, &outcome.event).await
    }

    /// Whether a change of nothing needs no event of its own: it is noted with the last one, or nobody will ask for it.
    pub(super) fn may_note(&self, head: EventHead) -> bool {
        head != EventHead::START || self.change.is_none()
    }

    /// The event that a change of nothing is noted with, where someone may ask for it: under an id of the caller's own.
    async fn last_event(&self, last: Option<(Subject, EventHead)>) -> Result<Option<Event>, ManageError> {
        let Some((subject, head)) = last.filter(|_| self.change.is_some()) else { return Ok(None) };
        let events = self.inner().store.events(&subject, head.seq.saturating_sub(1), 1).await?;
        Ok(events.into_iter().next().filter(|event| event.seq == head.seq))
    }

    pub(super) fn inner(&self) -> &'a Inner {
        &self.tokens.0
    }

    pub(super) fn check_revision(&self, current: u64) -> Result<(), ManageError> {
        match self.revision {
            Some(expected) if expected != current => Err(ManageError::StaleRevision { current }),
            _ => Ok(()),
        }
    }

    pub(super) fn check_current(&self, current: Selector) -> Result<(), ManageError> {
        if self.current.is_none_or(|expected| expected == current) { Ok(()) } else { Err(ManageError::Superseded) }
    }
}

impl Write {
    fn cap(&self) -> u32 {
        match self {
            Write::CreateToken { cap, .. } => *cap,
            Write::UpdateToken { longer: Some(longer), .. } => longer.cap,
            _ => 0,
        }
    }

    /// What the row must still be.
    fn expected(&self) -> Expected {
        match self {
            Write::UpdateToken { token, .. } => Expected::Revision(token.unverified().revision.saturating_sub(1)),
            Write::PutOwner { expected, .. } => Expected::Revision(expected.unwrap_or(0)),
            Write::PutMeta { expected, .. } => Expected::Value(expected.clone()),
            Write::CreateToken { .. } | Write::Nothing(_) => Expected::Other,
        }
    }
}

/// A management action: what it decides on what is stored now, and what it answers when it was done before.
pub(super) trait Operation: Serialize + Sync {
    type Output: Send;

    fn name(&self) -> &'static str;

    /// How many lost races are made up for.
    fn attempts(&self) -> u32 {
        16
    }

    fn plan(
        &self,
        manage: &Manage<'_>,
        attempt: Attempt,
    ) -> impl Future<Output = Result<Plan<Self::Output>, ManageError>> + Send;

    fn repeated(
        &self,
        manage: &Manage<'_>,
        event: &Event,
    ) -> impl Future<Output = Result<Self::Output, ManageError>> + Send;
}

/// One try of an operation.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) now: Time,
    lost_at: Option<Expected>,
}

/// What a row was when a change of it was decided.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Revision(u64),
    Value(Option<Vec<u8>>),
    Other,
}

impl Attempt {
    /// Whether the try before was in conflict with something else than another change of the row, which is as it was: with an
    /// event that no change of ours has written, under the number that is next.
    pub(super) fn number_is_taken(&self, row: &Expected) -> bool {
        self.lost_at.as_ref() == Some(row)
    }
}

/// What an operation decided.
pub(super) enum Plan<T> {
    /// It is so already, as long as the row stands as it was read. `last` is the end of its history, if it has one.
    Nothing { output: T, standing: Standing, last: Option<(Subject, EventHead)> },
    /// Something is to be committed.
    Change(Box<Decision<T>>),
}

/// What is to be committed, and the answer once it is.
pub(super) struct Decision<T> {
    pub(super) event: Event,
    pub(super) write: Write,
    pub(super) output: T,
}

impl<T> Plan<T> {
    pub(super) fn change(event: Event, write: Write, output: T) -> Plan<T> {
        Plan::Change(Box::new(Decision { event, write, output }))
    }
}

/// A change that may be stored by the time this is dropped.
struct Changed<'a> {
    inner: &'a Inner,
    subject: &'a Subject,
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        self.inner.cache.invalidate(self.subject);
    }
}

impl Inner {
    /// Commits, and commits the same again while it is not known whether that happened: its id tells.
    async fn commit(&self, change: &Change) -> Result<Committed, ManageError> {
        const TRIES: u32 = 4;
        // When all is said, or when nobody waits to hear it: what is cached of the subject may be what it was before.
        let _changed = Changed { inner: self, subject: &change.event.subject };
        let mut unknown = false;
        let mut tried = 1;
        loop {
            match self.store.commit(change).await {
                Ok(committed) => return Ok(committed),
                Err(error) if error.fault() == Fault::OutcomeUnknown && tried < TRIES => unknown = true,
                // Whatever is in the way now, the first try may have been stored.
                Err(source) if unknown || source.fault() == Fault::OutcomeUnknown => {
                    return Err(ManageError::OutcomeUnknown { change: change.id, source });
                }
                Err(error) => return Err(error.into()),
            }
            tried += 1;
        }
    }
}
