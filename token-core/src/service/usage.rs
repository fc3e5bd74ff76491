//! Looking at usage: who uses what, and what should be looked into.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Time;
use crate::policy::Policy;
use crate::seal::BrokenSeal;
use crate::store::{ListFilter, Position};
use crate::text::{OwnerId, TokenName};
use crate::token::{Token, TokenId};
use crate::usage::{Advice, RecentCall, Signal, Source, TokenUsage, Usage, Whose, advise};

use super::{Listed, Manage, ManageError};
use crate::actor::Reach;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// So many items need attention at once, at most, and so many of an owner's live tokens are looked at for them.
const ATTENTION_MAX: u32 = 50;
const LOOKED_AT: u32 = 200;
/// The most calls, and the most sources, of one answer.
const CALLS_MAX: u32 = 200;
const SOURCES_MAX: u32 = 100;

/// Usage of a token, and what is advised of it.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Its usage, with the signals that are open.
    pub usage: TokenUsage,
    /// What is advised. Nothing of a token whose row can't be believed.
    pub advice: Vec<Advice>,
}

/// What should be looked into.
#[derive(Debug, Clone)]
pub struct Attention {
    /// At most 50: first what is suspicious, the latest first, then what is advised, the token that expires first first.
    pub items: Vec<Concern>,
    /// Whether there is more, or more tokens than were looked at.
    pub more: bool,
}

/// One thing about a token that should be looked into.
#[derive(Debug, Clone)]
pub struct Concern {
    /// The token.
    pub token: TokenId,
    /// What people call it.
    pub name: TokenName,
    /// What it is.
    pub kind: ConcernKind,
}

/// What should be looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConcernKind {
    /// Something suspicious.
    Signal(Signal),
    /// Something to do.
    Advice(Advice),
}

/// Everything about the usage of one token.
#[derive(Debug, Clone)]
pub struct UsageDetail {
    /// A year of days, refusals of that year by reason, last uses, and the signals that are open.
    pub usage: TokenUsage,
    /// What is advised.
    pub advice: Vec<Advice>,
    /// The networks that it was used or refused from, the last seen first, at most 100.
    pub sources: Vec<SourceSeen>,
    /// A sample of its calls, the latest first.
    pub calls: Vec<RecentCall>,
    /// What a revocation would interrupt.
    pub last_hour: LastHour,
}

/// A source, and whether it is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSeen {
    /// The source.
    pub source: Source,
    /// Whether it is not one of the token's usual ones, and was first seen lately.
    pub is_new: bool,
}

/// How much a token was used within the last hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastHour {
    /// Uses, estimated from the counts of the present and the last clock hour.
    pub uses: u64,
    /// Networks that uses came from, at most 100.
    pub sources: u64,
}

impl Manage<'_> {
    /// What is known of a token's usage by hour: the last use of each secret, and counts of the hours from `since` on, for as long as
    /// the policy keeps hours.
    ///
    /// # Errors
    /// [`ManageError::NotFound`] for a missing token and for someone else's.
    pub async fn usage(&self, id: TokenId, since: Time) -> Result<Usage, ManageError> {
        self.visible(id).await?;
        Ok(self.inner().store.usage(id, since).await?)
    }

    /// Usage and advice for the tokens of a page, in their order: the last `days` days, the present one among them. A token that the
    /// actor may not see has none.
    ///
    /// # Errors
    /// [`ManageError::Store`].
    pub async fn overview(&self, listed: &[Listed], days: u32) -> Result<Vec<Overview>, ManageError> {
        let policy = self.rules().await?;
        self.overview_under(&policy, listed, days).await
    }

    async fn overview_under(
        &self,
        policy: &Policy,
        listed: &[Listed],
        days: u32,
    ) -> Result<Vec<Overview>, ManageError> {
        let now = self.inner().clock.now();
        let ids: Vec<TokenId> =
            listed.iter().filter(|listed| self.actor.sees(&listed.token.owner)).map(|listed| listed.token.id).collect();
        let since = first_day(now, days);
        let open_since = now.saturating_sub(policy.usage.signals.open_for);
        let summaries =
            if ids.is_empty() { Vec::new() } else { self.inner().store.summaries(&ids, since, open_since).await? };
        let mut by_token: HashMap<TokenId, TokenUsage> =
            summaries.into_iter().map(|usage| (usage.token, usage)).collect();
        let overview = |listed: &Listed| {
            let usage = by_token.remove(&listed.token.id).unwrap_or_else(|| TokenUsage::none(listed.token.id));
            let advice = self.advice(policy, &listed.token, listed.seal, &usage, now);
            Overview { usage, advice }
        };
        Ok(listed.iter().map(overview).collect())
    }

    fn advice(
        &self,
        policy: &Policy,
        token: &Token,
        seal: Result<(), BrokenSeal>,
        usage: &TokenUsage,
        now: Time,
    ) -> Vec<Advice> {
        match seal {
            Ok(()) => advise(token, usage, &self.inner().catalog, &policy.usage.advice, now),
            Err(_) => Vec::new(),
        }
    }

    /// What should be looked into among the tokens of an owner, or among everyone's. An actor that is not an admin sees its own
    /// whatever `owner` says. Of tokens, up to 200 live ones are looked at, those that expire first.
    ///
    /// # Errors
    /// [`ManageError::Store`].
    pub async fn attention(&self, owner: Option<&OwnerId>) -> Result<Attention, ManageError> {
        let policy = self.rules().await?;
        let open_since = self.inner().clock.now().saturating_sub(policy.usage.signals.open_for);
        let signals = self.inner().store.signals(&self.whose(owner), open_since, ATTENTION_MAX + 1).await?;
        let page = self.list(owner, ListFilter::Live, None, Position::Expiry(None), LOOKED_AT).await?;
        let overviews = self.overview_under(&policy, &page.tokens, 0).await?;
        let mut items: Vec<Concern> = signals
            .into_iter()
            .map(|signal| Concern { token: signal.token, name: signal.name.clone(), kind: ConcernKind::Signal(signal) })
            .collect();
        for (listed, overview) in page.tokens.iter().zip(overviews) {
            let Token { id, name, .. } = &listed.token;
            items.extend(overview.advice.into_iter().map(|advice| Concern {
                token: *id,
                name: name.clone(),
                kind: ConcernKind::Advice(advice),
            }));
        }
        let most = ATTENTION_MAX as usize;
        let more = items.len() > most || page.next.is_some();
        items.truncate(most);
        Ok(Attention { items, more })
    }

    /// A sample of the latest calls of an owner's tokens, or of everyone's, at most 200. An actor that is not an admin sees its own whatever
    /// `owner` says.
    ///
    /// # Errors
    /// [`ManageError::Store`].
    pub async fn recent_calls(&self, owner: Option<&OwnerId>, limit: u32) -> Result<Vec<RecentCall>, ManageError> {
        Ok(self.inner().store.calls(&self.whose(owner), limit.clamp(1, CALLS_MAX)).await?)
    }

    /// Everything about the usage of one token.
    ///
    /// # Errors
    /// [`ManageError::NotFound`] for a missing token and for someone else's.
    pub async fn usage_detail(&self, id: TokenId) -> Result<UsageDetail, ManageError> {
        let stored = self.visible(id).await?;
        let policy = self.rules().await?;
        let rules = &policy.usage.signals;
        let store = &self.inner().store;
        let now = self.inner().clock.now();
        let summaries = store.summaries(&[id], first_day(now, 366), now.saturating_sub(rules.open_for)).await?;
        let usage = summaries.into_iter().find(|usage| usage.token == id).unwrap_or_else(|| TokenUsage::none(id));
        let hours = store.usage(id, now.saturating_sub(HOUR).hour()).await?.hours;
        let sources = store.sources(id, SOURCES_MAX).await?;
        let calls = store.calls(&Whose::Token(id), CALLS_MAX).await?;

        let uses =
            |hour: Time| hours.iter().filter(|of| of.hour == hour).map(|of| of.count).fold(0, u64::saturating_add);
        // As much of the clock hour before as lies within the last hour.
        let left = HOUR.saturating_sub(now.since(now.hour())).as_secs();
        let before = u128::from(uses(now.hour().saturating_sub(HOUR))) * u128::from(left) / u128::from(HOUR.as_secs());
        let lately = |source: &&Source| source.uses > 0 && now.since(source.last_seen) < HOUR;
        let last_hour = LastHour {
            uses: uses(now.hour()).saturating_add(u64::try_from(before).unwrap_or(u64::MAX)),
            sources: sources.iter().filter(lately).count() as u64,
        };
        let lately_first = |source: &Source| now.since(source.first_seen) < rules.new_network_for;
        let mut novel = Vec::new();
        if sources.iter().any(lately_first) {
            // When the token's first source was first seen: it need not be among those that are shown.
            novel = store.novel_sources(&[id], now.saturating_sub(rules.new_network_for), SOURCES_MAX).await?;
        }
        let seen = |source: Source| {
            let began = novel.iter().find(|novel| novel.source.network == source.network).map(|novel| novel.began);
            let usual = began.is_none_or(|began| source.first_seen.since(began) < rules.learning);
            SourceSeen { is_new: !usual && lately_first(&source), source }
        };
        let advice =
            self.advice(&policy, stored.unverified(), stored.check(&self.inner().keyring).map(drop), &usage, now);
        Ok(UsageDetail { usage, advice, sources: sources.into_iter().map(seen).collect(), calls, last_hour })
    }

    fn whose(&self, owner: Option<&OwnerId>) -> Whose {
        match (self.actor.reach(), owner) {
            (Reach::Own(own), _) => Whose::Owner(own.clone()),
            (Reach::Everyone, Some(owner)) => Whose::Owner(owner.clone()),
            (Reach::Everyone, None) => Whose::Everyone,
        }
    }

    /// The policy in force. One that was tampered with stops all making, and no looking: then it is the default.
    async fn rules(&self) -> Result<Policy, ManageError> {
        match self.inner().policy_in_force().await {
            Err(ManageError::BrokenSeal(_)) => Ok(Policy::default()),
            policy => policy,
        }
    }
}

/// The start of the first of so many days up to the present one.
fn first_day(now: Time, days: u32) -> Time {
    now.day().saturating_sub(DAY * days.saturating_sub(1))
}
