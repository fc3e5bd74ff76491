//! Rights: grants compiled against the catalog, for fast and exact answers.

use std::collections::BTreeMap;

use crate::text::ResourceId;

use super::catalog::{Catalog, ScopeIndex, ScopeSet};
use super::grant::{Grants, ResourceSet, Resources, ScopeName};

/// What an id takes besides its text: its place in a set, and what an allocation has in front of it.
const RESOURCE: usize = 48;

/// The most that someone may do: what a host says of an owner or of an actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ceiling {
    /// Every scope of the catalog, on every resource.
    Everything,
    /// These grants and what they imply.
    Only(Grants),
}

/// What grants allow, implications included.
///
/// Two questions are asked of rights, and they are two functions: [`Rights::allows`] says whether they allow an
/// action, [`Rights::contain`] whether they are at least as wide as other rights. A scope that the catalog no
/// longer declares allows nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rights {
    /// Allowed on every resource.
    everywhere: ScopeSet,
    /// Allowed on some resources only: on one at least. Never holds a scope that is allowed everywhere.
    limited: BTreeMap<ScopeIndex, Limits>,
}

/// Where a scope is allowed: on what is in one set at least of each group. The sets are those that were granted, however many scopes a
/// grant implies and whatever ceiling it is under: a copy for each scope would be of any size that a token's maker likes.
#[derive(Debug, Clone)]
struct Limits(Vec<Vec<ResourceSet>>);

impl Limits {
    fn allow(&self, resource: &str) -> bool {
        self.0.iter().all(|group| group.iter().any(|set| set.holds(resource)))
    }

    fn resources(&self) -> impl Iterator<Item = &ResourceId> {
        let first = self.0.first().into_iter().flatten().flat_map(ResourceSet::iter);
        first.filter(|resource| self.allow(resource.as_str()))
    }

    fn and(&self, other: &Limits) -> Limits {
        Limits(self.0.iter().chain(&other.0).cloned().collect())
    }
}

impl Rights {
    pub(crate) fn of(grants: &Grants, catalog: &Catalog) -> Rights {
        let mut rights = Rights::default();
        for (scope, resources) in grants.iter() {
            let Some(index) = catalog.index(scope.as_str()) else { continue };
            match resources {
                Resources::All => rights.everywhere = rights.everywhere.union(catalog.closure(index)),
                Resources::Only(set) => {
                    for implied in catalog.closure(index).iter() {
                        let limits = rights.limited.entry(implied).or_insert_with(|| Limits(vec![Vec::new()]));
                        limits.0.iter_mut().for_each(|group| group.push(set.clone()));
                    }
                }
            }
        }
        let everywhere = rights.everywhere;
        rights.limited.retain(|scope, _| !everywhere.holds(*scope));
        rights
    }

    pub(crate) fn under(ceiling: &Ceiling, catalog: &Catalog) -> Rights {
        match ceiling {
            Ceiling::Everything => Rights { everywhere: catalog.every_scope(), limited: BTreeMap::new() },
            Ceiling::Only(grants) => Rights::of(grants, catalog),
        }
    }

    /// Whether the scope is allowed on every resource.
    pub(crate) fn allows_everywhere(&self, scope: ScopeIndex) -> bool {
        self.everywhere.holds(scope)
    }

    /// Whether the scope is allowed on this resource.
    pub(crate) fn allows(&self, scope: ScopeIndex, resource: &str) -> bool {
        self.everywhere.holds(scope) || self.limited.get(&scope).is_some_and(|limits| limits.allow(resource))
    }

    /// The resources that the scope is allowed on; `None` if there are none.
    pub(crate) fn resources(&self, scope: ScopeIndex) -> Option<Resources> {
        if self.everywhere.holds(scope) {
            return Some(Resources::All);
        }
        let limits = self.limited.get(&scope)?;
        ResourceSet::from_set(limits.resources().cloned().collect()).map(Resources::Only)
    }

    /// Whether everything that `other` allows is allowed by these rights too.
    pub(crate) fn contain(&self, other: &Rights) -> bool {
        self.lacking(other).next().is_none()
    }

    /// The scopes that `other` allows further than these rights do.
    fn lacking(&self, other: &Rights) -> impl Iterator<Item = ScopeIndex> {
        let everywhere = other.everywhere.iter().filter(|scope| !self.everywhere.holds(*scope));
        let limited = other.limited.iter().filter(|(scope, wanted)| {
            let held = self.limited.get(scope);
            let all = |held: &Limits| wanted.resources().all(|resource| held.allow(resource.as_str()));
            !self.everywhere.holds(**scope) && !held.is_some_and(all)
        });
        everywhere.chain(limited.map(|(scope, _)| *scope))
    }

    /// The names of the scopes that `other` allows further than these rights do.
    pub(crate) fn lacking_names(&self, other: &Rights, catalog: &Catalog) -> Vec<ScopeName> {
        self.lacking(other).filter_map(|scope| ScopeName::new(catalog.name(scope)).ok()).collect()
    }

    /// What both allow.
    pub(crate) fn intersection(&self, other: &Rights) -> Rights {
        let everywhere = self.everywhere.intersection(other.everywhere);
        let mut limited = BTreeMap::new();
        for scope in self.limited.keys().chain(other.limited.keys()) {
            let limits = match (self.limited.get(scope), other.limited.get(scope)) {
                (Some(a), Some(b)) => a.and(b),
                (Some(a), None) if other.everywhere.holds(*scope) => a.clone(),
                (None, Some(b)) if self.everywhere.holds(*scope) => b.clone(),
                _ => continue,
            };
            if limits.resources().next().is_some() {
                limited.insert(*scope, limits);
            }
        }
        Rights { everywhere, limited }
    }

    /// About how much memory the resources take that they name.
    pub(crate) fn bytes_of_resources(&self) -> usize {
        let mut sets: Vec<&ResourceSet> = Vec::new();
        for set in self.limited.values().flat_map(|limits| limits.0.iter().flatten()) {
            if !sets.iter().any(|known| known.is_same(set)) {
                sets.push(set);
            }
        }
        sets.iter().map(|set| set.bytes() + set.iter().len() * RESOURCE).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scope::{Grant, Risk, ScopeDef};

    const NAMES: [&str; 6] = ["a:read", "a:write", "a:*", "b:read", "b:write", "*:*"];
    const RESOURCES: [&str; 3] = ["x", "y", "z"];

    fn catalog() -> Catalog {
        Catalog::new(NAMES.map(|name| ScopeDef {
            name,
            says: "s",
            group: "g",
            risk: Risk::Low,
            implies: match name {
                "a:write" => &["a:read"],
                "b:write" => &["b:read", "a:read"],
                _ => &[],
            },
        }))
        .unwrap()
    }

    prop_compose! {
        fn grants()(picks in proptest::collection::btree_map(0..NAMES.len(), proptest::option::of(1..8_u8), 0..4)) -> Grants {
            Grants::new(picks.into_iter().map(|(scope, resources)| Grant {
                scope: ScopeName::new(NAMES[scope]).unwrap(),
                resources: resources.map_or(Resources::All, |bits| {
                    let ids = (0..3).filter(|i| bits & (1 << i) != 0).map(|i| ResourceId::new(RESOURCES[i]).unwrap());
                    Resources::Only(ResourceSet::new(ids).unwrap())
                }),
            })).unwrap()
        }
    }

    /// The plain meaning, asked scope by scope and resource by resource; "w" stands for every other resource.
    fn table(rights: &Rights, catalog: &Catalog) -> Vec<bool> {
        NAMES
            .iter()
            .flat_map(|name| ["x", "y", "z", "w"].map(|resource| rights.allows(catalog.index(name).unwrap(), resource)))
            .collect()
    }

    proptest! {
        #[test]
        fn contain_means_every_action_of_the_other_is_allowed(a in grants(), b in grants()) {
            let catalog = catalog();
            let (a, b) = (Rights::of(&a, &catalog), Rights::of(&b, &catalog));
            let every = table(&a, &catalog).iter().zip(table(&b, &catalog)).all(|(a, b)| *a || !b);
            prop_assert_eq!(a.contain(&b), every);
            prop_assert_eq!(a.lacking_names(&b, &catalog).is_empty(), every);
        }

        #[test]
        fn intersection_allows_what_both_allow(a in grants(), b in grants()) {
            let catalog = catalog();
            let (a, b) = (Rights::of(&a, &catalog), Rights::of(&b, &catalog));
            let both = a.intersection(&b);
            let expected: Vec<bool> = table(&a, &catalog).iter().zip(table(&b, &catalog)).map(|(a, b)| *a && b).collect();
            prop_assert_eq!(table(&both, &catalog), expected);
            prop_assert!(a.contain(&both) && b.contain(&both));
        }
    }

    #[test]
    fn however_many_scopes_a_grant_implies_its_resources_are_kept_once() {
        let catalog = catalog();
        let only = |scope: &str, ids: &[&str]| Grant {
            scope: ScopeName::new(scope).unwrap(),
            resources: Resources::Only(ResourceSet::new(ids.iter().map(|id| ResourceId::new(*id).unwrap())).unwrap()),
        };
        let rights = |grants: &[Grant]| Rights::of(&Grants::new(grants.to_vec()).unwrap(), &catalog);
        let one = rights(&[only("a:read", &["x", "y"])]);
        let every = rights(&[only("*:*", &["x", "y"])]);
        assert_eq!(every.limited.len(), NAMES.len());
        assert_eq!(every.bytes_of_resources(), one.bytes_of_resources());
        // Nor are they copied where grants meet, or under a ceiling.
        let meeting = rights(&[only("*:*", &["x", "y"]), only("a:*", &["z"])]);
        assert_eq!(meeting.bytes_of_resources(), one.bytes_of_resources() / 2 * 3);
        let under = every.intersection(&meeting);
        assert_eq!(under.bytes_of_resources(), every.bytes_of_resources() + meeting.bytes_of_resources());
        assert_eq!(Rights::default().bytes_of_resources(), 0);
    }

    #[test]
    fn empty_grants_allow_nothing_and_unknown_scopes_too() {
        let catalog = catalog();
        let unknown = Grants::new([Grant::all("gone:read").unwrap()]).unwrap();
        for grants in [Grants::default(), unknown] {
            assert!(table(&Rights::of(&grants, &catalog), &catalog).iter().all(|allowed| !allowed));
        }
    }
}
