//! Looking at tokens, their history and their usage.

use std::collections::BTreeMap;

use crate::change::ChangeId;
use crate::event::{Event, EventHead, Subject};
use crate::history::{ChainCheck, History};
use crate::owner::Owner;
use crate::policy::Policy;
use crate::receipt::{self, ReceiptContent};
use crate::seal::{BrokenSeal, Sealed};
use crate::store::{ListFilter, ListQuery, Position};
use crate::text::OwnerId;
use crate::token::{Token, TokenId};

use super::{Inner, Manage, ManageError};
use crate::actor::Reach;

/// A token as people see it, and whether its row can be believed.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The token.
    pub token: Token,
    /// Broken if the row was changed behind the application's back: the token is refused, and what is shown here may be wrong.
    pub seal: Result<(), BrokenSeal>,
}

/// An owner as people see it, and whether its row can be believed.
#[derive(Debug, Clone)]
pub struct ListedOwner {
    /// The owner.
    pub owner: Owner,
    /// Broken if the row was changed behind the application's back: all its tokens are refused.
    pub seal: Result<(), BrokenSeal>,
}

/// What a policy would have said of the tokens that live today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rehearsal {
    /// How many tokens live.
    pub live: u64,
    /// How many of them could not be made so under the policy. They live on all the same.
    pub refused: u64,
}

/// A page of tokens.
#[derive(Debug, Clone)]
pub struct TokenList {
    /// The tokens, in order.
    pub tokens: Vec<Listed>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Position>,
}

/// The most tokens on a page.
const PAGE_MAX: u32 = 200;

impl Manage<'_> {
    /// A token by its id.
    ///
    /// # Errors
    /// [`ManageError::NotFound`] for a missing one and for someone else's.
    pub async fn token(&self, id: TokenId) -> Result<Listed, ManageError> {
        let stored = self.visible(id).await?;
        Ok(self.inner().listed(stored))
    }

    /// One page of tokens, at most 200. An actor that is not an admin sees its own whatever `owner` says.
    ///
    /// # Errors
    /// [`ManageError::Store`].
    pub async fn list(
        &self,
        owner: Option<&OwnerId>,
        filter: ListFilter,
        text: Option<&str>,
        from: Position,
        limit: u32,
    ) -> Result<TokenList, ManageError> {
        let owner = match self.actor.reach() {
            Reach::Own(own) => Some(own),
            Reach::Everyone => owner,
        };
        let query = ListQuery {
            owner: owner.cloned(),
            filter,
            text: text.filter(|text| !text.is_empty()).map(str::to_owned),
            from,
            now: self.inner().clock.now(),
            limit: limit.clamp(1, PAGE_MAX),
        };
        let page = self.inner().store.list(&query).await?;
        let tokens = page.tokens.into_iter().map(|stored| self.inner().listed(stored)).collect();
        Ok(TokenList { tokens, next: page.next })
    }

    /// At most `limit` events of a history, from the one numbered `after + 1` on.
    ///
    /// # Errors
    /// [`ManageError::NotFound`] for histories that the actor may not see.
    pub async fn events(&self, subject: &Subject, after: u64, limit: u32) -> Result<Vec<Event>, ManageError> {
        self.check_sees(subject).await?;
        Ok(self.inner().store.events(subject, after, limit.clamp(1, PAGE_MAX)).await?)
    }

    /// Checks a whole history, link by link, against the sealed row that it belongs to.
    ///
    /// # Errors
    /// [`ManageError::NotFound`] for histories that the actor may not see, [`ManageError::BrokenSeal`] if the row itself
    /// can't be believed.
    pub async fn verify_history(&self, subject: &Subject) -> Result<History, ManageError> {
        const PAGE: u32 = 500;
        self.check_sees(subject).await?;
        // A change during the walk moves the end: then the walk is done again.
        loop {
            let head = self.head(subject).await?;
            let mut check = ChainCheck::new();
            'walk: loop {
                let events = self.inner().store.events(subject, check.seq(), PAGE).await?;
                if events.is_empty() {
                    break;
                }
                for event in &events {
                    if check.seq() == head.seq {
                        break 'walk;
                    }
                    if let Err(broken) = check.step(subject, event) {
                        return Ok(broken);
                    }
                }
            }
            let beyond = self.inner().store.events(subject, head.seq, 1).await?;
            let unmoved = self.head(subject).await? == head;
            match (beyond.is_empty(), unmoved) {
                (true, true) => return Ok(check.finish(head)),
                (false, true) => return Ok(History::Broken { seq: head.seq + 1 }),
                (_, false) => {}
            }
        }
    }

    /// What a receipt says, for an admin, or for the owner of the token that was refused.
    ///
    /// # Errors
    /// [`ManageError::NotFound`] if it is no receipt of this service, or not for the actor to read.
    pub async fn receipt(&self, text: &str) -> Result<ReceiptContent, ManageError> {
        let content = receipt::read(&self.inner().keyring, text).ok_or(ManageError::NotFound)?;
        match content.token {
            Some(token) if !self.actor.is_admin() => drop(self.visible(token).await?),
            None if !self.actor.is_admin() => return Err(ManageError::NotFound),
            _ => {}
        }
        Ok(content)
    }

    /// The event that records a change, if a change of this id was made. For one that found nothing to do it is the last event from before.
    ///
    /// # Errors
    /// [`ManageError::NotFound`] if there was none, or it is not for the actor to see.
    pub async fn outcome(&self, change: &ChangeId) -> Result<Event, ManageError> {
        let outcome = self.inner().store.outcome(change).await?.ok_or(ManageError::NotFound)?;
        match &outcome.event.owner {
            Some(owner) if self.actor.sees(owner) => Ok(outcome.event),
            None if self.actor.is_admin() => Ok(outcome.event),
            _ => Err(ManageError::NotFound),
        }
    }

    /// The policy in force.
    ///
    /// # Errors
    /// [`ManageError::Store`].
    pub async fn policy(&self) -> Result<Policy, ManageError> {
        self.inner().policy_in_force().await
    }

    /// An owner by its id.
    ///
    /// # Errors
    /// [`ManageError::NotFound`] for one that has never had a token nor been suspended, and for one that the actor may not see.
    pub async fn owner(&self, id: &OwnerId) -> Result<ListedOwner, ManageError> {
        self.check_sees(&Subject::Owner(id.clone())).await?;
        let stored = self.inner().store.owner(id).await?.ok_or(ManageError::NotFound)?;
        let seal = stored.check(&self.inner().keyring).map(drop);
        Ok(ListedOwner { owner: stored.unverified().clone(), seal })
    }

    /// Counts the live tokens that could not be made as they are under this policy: those whose whole life is longer than it
    /// allows, and of each owner as many as it has beyond the cap. Reads all live tokens, page by page. For admins.
    ///
    /// # Errors
    /// [`ManageError::Policy`] for a policy that could not be set, [`ManageError::Forbidden`], [`ManageError::Store`].
    pub async fn rehearse(&self, policy: &Policy) -> Result<Rehearsal, ManageError> {
        self.check_admin()?;
        policy.check()?;
        let mut rehearsal = Rehearsal { live: 0, refused: 0 };
        let mut allowed: BTreeMap<OwnerId, u64> = BTreeMap::new();
        let mut from = Some(Position::Created(None));
        while let Some(position) = from {
            let page = self.list(None, ListFilter::Live, None, position, PAGE_MAX).await?;
            for Listed { token, .. } in page.tokens {
                rehearsal.live += 1;
                if outlives(&token, policy) {
                    rehearsal.refused += 1;
                } else {
                    *allowed.entry(token.owner).or_insert(0) += 1;
                }
            }
            from = page.next;
        }
        let cap = u64::from(policy.live_tokens_per_owner);
        rehearsal.refused += allowed.values().map(|count| count.saturating_sub(cap)).sum::<u64>();
        Ok(rehearsal)
    }

    async fn check_sees(&self, subject: &Subject) -> Result<(), ManageError> {
        match subject {
            Subject::Token(id) => self.visible(*id).await.map(drop),
            Subject::Owner(owner) if self.actor.sees(owner) => Ok(()),
            Subject::Policy if self.actor.is_admin() => Ok(()),
            Subject::Owner(_) | Subject::Policy => Err(ManageError::NotFound),
        }
    }

    /// The end of a history, as its sealed row says.
    async fn head(&self, subject: &Subject) -> Result<EventHead, ManageError> {
        let inner = self.inner();
        Ok(match subject {
            Subject::Token(id) => self.visible(*id).await?.open(&inner.keyring)?.head,
            Subject::Owner(owner) => match inner.store.owner(owner).await? {
                Some(stored) => stored.open(&inner.keyring)?.head,
                None => EventHead::START,
            },
            Subject::Policy => inner.policy_row().await?.head,
        })
    }
}

/// Whether a token lives longer, from its creation to its expiry, than the policy allows.
fn outlives(token: &Token, policy: &Policy) -> bool {
    match token.expires_at {
        None => !policy.never_expires,
        Some(end) => policy.max_lifetime.is_some_and(|max| end.since(token.created_at) > max),
    }
}

impl Inner {
    fn listed(&self, stored: Sealed<Token>) -> Listed {
        let seal = stored.check(&self.keyring).map(drop);
        Listed { token: stored.unverified().clone(), seal }
    }
}
