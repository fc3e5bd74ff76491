//! Changing a token: editing, rotating, ending an overlap, revoking, resealing.

use serde::Serialize;

use crate::change::{LongerLife, Standing, Write};
use crate::clock::{Moment, Time};
use crate::edit::Edit;
use crate::event::{Event, EventDetail, Subject};
use crate::rotation::{Rotation, end_overlap};
use crate::seal::Sealed;
use crate::token::{SecretRef, Token, TokenId, TokenState};

use crate::service::manage::{Attempt, Expected, Operation, Plan};
use crate::service::{Manage, ManageError, Minted};

/// Changing one token.
#[derive(Serialize)]
pub(in crate::service) struct ChangeToken<'a> {
    pub(in crate::service) id: TokenId,
    pub(in crate::service) change: TokenChange<'a>,
}

/// What may be done to a token.
#[derive(Serialize)]
pub(in crate::service) enum TokenChange<'a> {
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
        manage.check_current(token.current.selector)?;
        let taken = attempt.number_is_taken(&Expected::Revision(token.revision));
        token.head = inner.head_to_extend(token.head, seal, taken, attempt.now)?;
        let moment = Moment::new(attempt.now).not_before(token.head.at);
        let now = moment.in_order;
        let must_be_live = || match token.state(now) {
            TokenState::Live => Ok(()),
            dead => Err(ManageError::NotLive(dead)),
        };

        let expired_at = token.expires_at;
        let (next, detail, secret) = match &self.change {
            TokenChange::Edit(edit) => {
                seal?;
                must_be_live()?;
                manage.check_active(&token.owner).await?;
                let next = edit.apply(&token, &inner.policy_in_force().await?, moment)?;
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
                let next = rotation.apply(&token, new, &inner.policy_in_force().await?, moment)?;
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
        let longer = if outlives(token.expires_at, expired_at) {
            Some(LongerLife { cap: inner.policy_in_force().await?.live_tokens_per_owner, now: moment.by_clock })
        } else {
            None
        };
        let write = Write::UpdateToken { token: Sealed::new(token.clone(), &inner.keyring), secret, longer };
        Ok(Plan::change(event, write, Minted { token, text }))
    }

    async fn repeated(&self, manage: &Manage<'_>, event: &Event) -> Result<Minted, ManageError> {
        manage.token_of(event).await
    }
}

/// Whether the one expiry is later than the other.
fn outlives(expiry: Option<Time>, other: Option<Time>) -> bool {
    other.is_some_and(|other| expiry.is_none_or(|expiry| expiry > other))
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
