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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventHead;
    use crate::scope::{Grant, Grants, Risk, ScopeDef};
    use crate::secret::{Generation, Selector};
    use crate::text::{ActorId, OwnerId, TokenName};
    use crate::token::{SecretRef, Superseded, TokenId};
    use crate::usage::{LastUse, ScopeUse};

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    fn at(seconds: i64) -> Time {
        Time::from_micros((1_800_000_000 + seconds) * 1_000_000).unwrap()
    }

    fn catalog() -> Catalog {
        let scope = |name, implies| ScopeDef { name, says: "x", group: "x", risk: Risk::Low, implies };
        Catalog::new([
            scope("projects:read", &[]),
            scope("projects:write", &["projects:read"]),
            scope("billing:read", &[]),
            scope("billing:pay", &[]),
            scope("billing:*", &[]),
        ])
        .unwrap()
    }

    /// Made 60 days ago, ends in 60 days, used an hour ago, exercises what it was granted.
    struct Story {
        token: Token,
        usage: TokenUsage,
    }

    impl Story {
        fn granted(scopes: &[&str]) -> Story {
            let secret = |generation| SecretRef {
                generation: Generation::new(generation).unwrap(),
                selector: Selector::from_bytes(b"0123456789abcdef").unwrap(),
            };
            let id = TokenId::from_bytes([1; 16]);
            let token = Token {
                id,
                owner: OwnerId::new("ann").unwrap(),
                name: TokenName::new("deploy").unwrap(),
                grants: Grants::new(scopes.iter().map(|scope| Grant::all(scope).unwrap())).unwrap(),
                networks: None,
                created_at: at(-60 * DAY),
                created_by: ActorId::new("ann").unwrap(),
                expires_at: Some(at(60 * DAY)),
                revoked_at: None,
                current: secret(2),
                superseded: None,
                revision: 1,
                head: EventHead { at: at(-60 * DAY), ..EventHead::START },
            };
            Story { token, usage: TokenUsage::none(id) }.used(2, -HOUR)
        }

        fn used(mut self, generation: u32, ago: i64) -> Story {
            let last = LastUse { at: at(ago), address: None, client: None };
            self.usage.last.push((Generation::new(generation).unwrap(), last));
            self
        }

        fn never_used(mut self) -> Story {
            self.usage.last.clear();
            self
        }

        fn exercised(mut self, scope: &str, ago: i64) -> Story {
            self.usage.scopes.push(ScopeUse { scope: ScopeName::new(scope).unwrap(), last: at(ago).hour() });
            self
        }

        fn with(mut self, change: impl FnOnce(&mut Token)) -> Story {
            change(&mut self.token);
            self
        }

        /// Rotated so long ago, and the old value works for so long yet.
        fn rotated(self, ago: i64, left: i64) -> Story {
            self.with(|token| {
                let secret = SecretRef { generation: Generation::FIRST, ..token.current };
                token.superseded = Some(Superseded { secret, until: at(left) });
                token.head.at = at(ago);
            })
        }
    }

    #[test]
    fn each_advice_is_given_when_its_story_says() {
        let plain = || Story::granted(&[]);
        let wide = || Story::granted(&["projects:write"]);
        let all = || Story::granted(&["billing:*"]);
        let table: Vec<(&str, Story, &[&str])> = vec![
            ("nothing to say", plain(), &[]),
            ("expires in 15 days", plain().with(|t| t.expires_at = Some(at(15 * DAY))), &[]),
            ("expires in 14 days", plain().with(|t| t.expires_at = Some(at(14 * DAY))), &["expiring"]),
            ("has expired", plain().with(|t| t.expires_at = Some(at(0))), &[]),
            ("was revoked", plain().with(|t| (t.expires_at, t.revoked_at) = (None, Some(at(-1)))), &[]),
            ("never expires", plain().with(|t| t.expires_at = None), &["never_expires"]),
            ("made 6 days ago, not used", plain().never_used().with(|t| t.created_at = at(-6 * DAY)), &[]),
            ("made 7 days ago, not used", plain().never_used().with(|t| t.created_at = at(-7 * DAY)), &["never_used"]),
            ("used 89 days ago", plain().never_used().used(2, -89 * DAY), &[]),
            ("used 90 days ago", plain().never_used().used(2, -90 * DAY), &["idle"]),
            ("idle, by the later of two values", plain().never_used().used(1, -90 * DAY).used(2, -5), &[]),
            ("granted write, wrote", wide().exercised("projects:write", -29 * DAY), &[]),
            ("granted write, wrote long ago", wide().exercised("projects:write", -31 * DAY), &["scope_unused"]),
            ("granted write, only ever read", wide().exercised("projects:read", -HOUR), &["scope_unused"]),
            ("granted write lately", wide().with(|t| t.created_at = at(-29 * DAY)), &[]),
            ("granted a wildcard, half of it used", all().exercised("billing:read", -HOUR), &["scope_unused"]),
            ("a scope of another version", Story::granted(&["old:scope"]), &[]),
            ("rotated, nobody uses the old value", plain().rotated(-HOUR, HOUR), &["old_value_silent"]),
            ("rotated just now", plain().rotated(-60, HOUR), &[]),
            ("the old value is used", plain().rotated(-5 * HOUR, HOUR).used(1, -60), &["old_value_in_use"]),
            ("was used for the last time", plain().rotated(-5 * HOUR, HOUR).used(1, -HOUR), &["old_value_silent"]),
            ("used before it was rotated", plain().rotated(-60, HOUR).used(1, -120), &[]),
            ("its overlap has ended", plain().rotated(-5 * HOUR, 0).used(1, -60), &[]),
        ];
        for (story, Story { token, usage }, expected) in table {
            let advice = advise(&token, &usage, &catalog(), &AdviceRules::default(), at(0));
            assert_eq!(advice.iter().map(Advice::as_str).collect::<Vec<_>>(), expected, "{story}");
        }
    }

    #[test]
    fn what_to_narrow_to_is_what_was_exercised() {
        let Story { token, usage } = Story::granted(&["billing:*", "projects:write"])
            .exercised("projects:read", -HOUR)
            .exercised("billing:pay", -HOUR);
        let advice = advise(&token, &usage, &catalog(), &AdviceRules::default(), at(0));
        let instead: Vec<_> = advice
            .iter()
            .map(|advice| match advice {
                Advice::ScopeUnused { scope, instead, .. } => {
                    (scope.as_str(), instead.iter().map(ScopeName::as_str).collect::<Vec<_>>())
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(instead, [("billing:*", vec!["billing:pay"]), ("projects:write", vec!["projects:read"])]);
        let usage = TokenUsage { scopes: Vec::new(), ..usage };
        let Story { usage: both, .. } = Story { token: token.clone(), usage }
            .exercised("billing:pay", 0)
            .exercised("billing:read", 0)
            .exercised("projects:write", 0);
        assert!(
            advise(&token, &both, &catalog(), &AdviceRules::default(), at(0)).is_empty(),
            "a wildcard is what it covers"
        );
    }
}
