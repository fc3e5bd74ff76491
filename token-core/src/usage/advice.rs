//! Advice: what a token's owner may want to do about it. Pure functions of what is stored and of the time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Time;
use crate::scope::{Catalog, ScopeName};
use crate::token::{Token, TokenState};

use super::rules::AdviceRules;
use super::summary::TokenUsage;

/// Something to do about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// It expires soon: rotate it, or let it end.
    Expiring {
        /// When.
        at: Time,
    },
    /// It was never used: revoke it.
    NeverUsed {
        /// When it was made.
        since: Time,
    },
    /// It was not used for long: revoke it.
    Idle {
        /// When it was last used.
        since: Time,
    },
    /// It never expires: give it an end.
    NeverExpires,
    /// A scope that it was granted was not exercised for long: narrow it.
    ScopeUnused {
        /// The scope.
        scope: ScopeName,
        /// When it was last exercised, if ever.
        last: Option<Time>,
        /// The scopes that it implies and that were exercised meanwhile, by name: what to narrow it to.
        instead: Vec<ScopeName>,
    },
    /// The value that a rotation replaced is still used: whoever uses it has not got the new one.
    OldValueInUse {
        /// When it was last used.
        last: Time,
        /// When it ends.
        until: Time,
    },
    /// The value that a rotation replaced was not used for a while: it may be ended.
    OldValueSilent {
        /// When it was last used, if ever.
        last: Option<Time>,
        /// When it ends.
        until: Time,
    },
}

impl Advice {
    /// A word for logs and programs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Advice::Expiring { .. } => "expiring",
            Advice::NeverUsed { .. } => "never_used",
            Advice::Idle { .. } => "idle",
            Advice::NeverExpires => "never_expires",
            Advice::ScopeUnused { .. } => "scope_unused",
            Advice::OldValueInUse { .. } => "old_value_in_use",
            Advice::OldValueSilent { .. } => "old_value_silent",
        }
    }
}

/// What is advised of a token at a moment; nothing of one that is dead.
#[must_use]
pub fn advise(token: &Token, usage: &TokenUsage, catalog: &Catalog, rules: &AdviceRules, now: Time) -> Vec<Advice> {
    if token.state(now) != TokenState::Live {
        return Vec::new();
    }
    let mut advice = Vec::new();
    match token.expires_at {
        None => advice.push(Advice::NeverExpires),
        Some(at) if at.since(now) <= rules.expiring_within => advice.push(Advice::Expiring { at }),
        Some(_) => {}
    }
    let last_used = usage.last_used();
    match last_used {
        None if now.since(token.created_at) >= rules.never_used_after => {
            advice.push(Advice::NeverUsed { since: token.created_at });
        }
        Some(since) if now.since(since) >= rules.idle_after => advice.push(Advice::Idle { since }),
        // What a token that is used at all could do without.
        Some(_) if now.since(token.created_at) >= rules.scope_unused_after => {
            advice.extend(unused_scopes(token, usage, catalog, rules, now));
        }
        _ => {}
    }
    advice.extend(old_value(token, usage, rules, now));
    advice
}

fn unused_scopes(token: &Token, usage: &TokenUsage, catalog: &Catalog, rules: &AdviceRules, now: Time) -> Vec<Advice> {
    let exercised: BTreeMap<&str, Time> =
        usage.scopes.iter().map(|exercise| (exercise.scope.as_str(), exercise.last)).collect();
    // What is told by the hour may have been at the end of it.
    let hour = Duration::from_secs(3600);
    let lately =
        |scope: &str| exercised.get(scope).is_some_and(|last| now.since(*last) < rules.scope_unused_after + hour);
    let mut advice = Vec::new();
    for (scope, _) in token.grants.iter() {
        // A scope that was granted since might not have had the time, which is not known; one that no route of this version can
        // ask for says nothing.
        let Some(index) = catalog.index(scope.as_str()) else { continue };
        if lately(scope.as_str()) {
            continue;
        }
        let implied = catalog.closure(index).iter().map(|implied| catalog.name(implied));
        let implied: Vec<&str> = implied.filter(|implied| *implied != scope.as_str()).collect();
        let instead: Vec<ScopeName> = implied
            .iter()
            .filter(|implied| lately(implied))
            .filter_map(|implied| ScopeName::new(*implied).ok())
            .collect();
        // A wildcard stands for what it implies: no route asks for it by its own name.
        let is_wildcard = scope.as_str().ends_with(":*");
        if is_wildcard && !implied.is_empty() && instead.len() == implied.len() {
            continue;
        }
        advice.push(Advice::ScopeUnused {
            scope: scope.clone(),
            last: exercised.get(scope.as_str()).copied(),
            instead,
        });
    }
    advice
}

fn old_value(token: &Token, usage: &TokenUsage, rules: &AdviceRules, now: Time) -> Option<Advice> {
    let old = token.superseded.as_ref().filter(|old| now < old.until)?;
    let of = |generation| usage.last.iter().find(|(used, _)| *used == generation).map(|(_, last)| last.at);
    let (last, until) = (of(old.secret.generation), old.until);
    // Rotated no later than at the token's last change: the later of that and the last use tells how long it is silent.
    let changed_at = token.head.at;
    let silent_since = last.map_or(changed_at, |last| last.max(changed_at));
    if now.since(silent_since) >= rules.old_value_silent_after {
        return Some(Advice::OldValueSilent { last, until });
    }
    // In use by what was seen after the new value was there.
    last.filter(|last| *last > changed_at).map(|last| Advice::OldValueInUse { last, until })
}
