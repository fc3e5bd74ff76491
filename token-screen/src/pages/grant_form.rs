//! The fields by which people say what a token may do, as a page shows them.

use token_core::{Grants, OwnerId, Policy, Resources, ScopeName};

use crate::words as w;

use super::draft::{Choice, Draft, Reach, default_key, ends};
use super::permissions::{Kind, kinds, split};
use super::{Refused, Visit};

/// The fields of a form of permissions.
pub(crate) const FIELDS: [&str; 5] = ["name", "permissions", "resources", "expires", "networks"];

/// All that a form of permissions shows beside what was filled in.
#[derive(Debug)]
pub(crate) struct GrantForm {
    pub(crate) draft: Draft,
    pub(crate) rows: Vec<PermissionRow>,
    pub(crate) ends: Vec<Choice>,
    pub(crate) first_day: String,
    pub(crate) last_day: Option<String>,
    /// Whether each permission may go on reaching what it reaches.
    pub(crate) may_keep_reach: bool,
}

/// A resource with the steps that can be chosen.
#[derive(Debug)]
pub(crate) struct PermissionRow {
    pub(crate) label: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) is_ladder: bool,
    /// Whether nothing of it is chosen.
    pub(crate) is_none: bool,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) scope: &'static str,
    pub(crate) action: &'static str,
    pub(crate) word: String,
    pub(crate) says: &'static str,
    /// For the summary.
    pub(crate) summary: String,
    pub(crate) is_chosen: bool,
    pub(crate) is_high: bool,
    /// Whether the actor may not grant it.
    pub(crate) is_beyond: bool,
    /// Whether it can't be chosen. What a token has already can stay chosen: what is disabled is not sent, and would be lost.
    pub(crate) is_disabled: bool,
}

impl GrantForm {
    /// A form that shows this draft. `keep` is what a token has, its grants and its end, where there is one to keep them.
    pub(crate) async fn new(
        visit: &Visit<'_>,
        mut draft: Draft,
        policy: &Policy,
        keep: Option<(&Grants, Choice)>,
    ) -> Result<GrantForm, Refused> {
        let kinds = kinds(visit.tokens().catalog());
        let grantable = grantable(visit, &draft).await?;
        let mut ends = ends(policy, &visit.dates);
        let held = keep.as_ref().map(|(held, _)| *held);
        if let Some((_, end)) = keep {
            ends.insert(0, end);
        }
        if !ends.iter().any(|end| end.key == draft.expires) {
            draft.expires = default_key(policy);
        }
        let last = policy.max_lifetime.and_then(|max| visit.dates.now.checked_add(max));
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        Ok(GrantForm {
            rows: kinds.iter().map(|kind| row(kind, &draft, held, grantable.as_deref())).collect(),
            ends,
            first_day: visit.dates.input_day(visit.dates.now),
            // The day before, which ends in time wherever it does.
            last_day: last.map(|last| visit.dates.input_day(last.saturating_sub(day))),
            may_keep_reach: draft.reach == Reach::Kept,
            draft,
        })
    }

    pub(crate) fn reaches_all(&self) -> bool {
        self.draft.reach == Reach::All
    }

    pub(crate) fn reaches_some(&self) -> bool {
        self.draft.reach == Reach::Some
    }

    pub(crate) fn keeps_reach(&self) -> bool {
        self.draft.reach == Reach::Kept
    }
}

/// What the actor could grant; `None` while it is not said to whom.
async fn grantable(visit: &Visit<'_>, draft: &Draft) -> Result<Option<Vec<(ScopeName, Resources)>>, Refused> {
    let owner = match visit.actor.own() {
        Some(own) => own.clone(),
        None => match OwnerId::new(draft.owner.as_str()) {
            Ok(owner) => owner,
            Err(_) => return Ok(None),
        },
    };
    match visit.manage().grantable(&owner).await {
        Ok(grantable) => Ok(Some(grantable)),
        // It is said where the form is sent.
        Err(token_core::ManageError::OwnerUnknown) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn row(
    kind: &Kind,
    draft: &Draft,
    held: Option<&Grants>,
    grantable: Option<&[(ScopeName, Resources)]>,
) -> PermissionRow {
    let held = held.map(|held| kind.shown(held)).unwrap_or_default();
    let highest = kind.scopes.iter().rev().find(|def| draft.chosen.contains(def.name)).map(|def| def.name);
    let steps = kind.scopes.iter().map(|def| {
        let word = kind.word(def);
        let is_beyond = grantable.is_some_and(|may| !may.iter().any(|(scope, _)| scope.as_str() == def.name));
        Step {
            scope: def.name,
            action: split(def.name).1,
            summary: w::permission(kind.label, &word, None),
            word,
            says: def.says,
            is_chosen: if kind.is_ladder { highest == Some(def.name) } else { draft.chosen.contains(def.name) },
            is_high: def.risk == token_core::Risk::High,
            is_beyond,
            is_disabled: is_beyond && !held.contains(&def.name),
        }
    });
    PermissionRow {
        label: kind.label,
        resource: kind.resource,
        is_ladder: kind.is_ladder,
        is_none: highest.is_none(),
        steps: steps.collect(),
    }
}
