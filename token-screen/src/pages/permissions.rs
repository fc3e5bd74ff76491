//! Scopes as people see them: a row for each resource, with the steps from nothing to everything.

use std::collections::BTreeMap;

use token_core::{Catalog, Grants, Resources, Risk, ScopeDef};

use crate::words as w;

/// The scopes of one resource, in the order of the catalog.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    /// As in `resource:action`.
    pub(crate) resource: &'static str,
    pub(crate) label: &'static str,
    pub(crate) scopes: Vec<ScopeDef>,
    /// Whether each scope allows all that the one before it does, so that one of them says it all.
    pub(crate) is_ladder: bool,
}

/// The rows of a catalog.
pub(crate) fn kinds(catalog: &Catalog) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    for def in catalog.scopes() {
        let resource = split(def.name).0;
        match kinds.iter_mut().find(|kind| kind.resource == resource) {
            Some(kind) => {
                let below = kind.scopes.last().map_or("", |last| last.name);
                kind.is_ladder &= allows(def, below);
                kind.scopes.push(*def);
            }
            None => kinds.push(Kind { resource, label: def.group, scopes: vec![*def], is_ladder: true }),
        }
    }
    kinds
}

/// A scope's resource and action.
pub(crate) fn split(scope: &str) -> (&str, &str) {
    scope.split_once(':').unwrap_or((scope, ""))
}

/// Whether a declaration says by itself that it allows another scope.
fn allows(def: &ScopeDef, other: &str) -> bool {
    let wildcard = match split(def.name) {
        ("*", "*") => true,
        (resource, "*") => resource == split(other).0,
        _ => false,
    };
    wildcard || def.implies.contains(&other)
}

impl Kind {
    /// The scopes that a form shows as chosen where these are granted: of a ladder only the highest.
    pub(crate) fn shown(&self, grants: &Grants) -> Vec<&'static str> {
        let granted = |name: &str| grants.iter().any(|(scope, _)| scope.as_str() == name);
        let mut held = self.scopes.iter().map(|def| def.name).filter(|name| granted(name));
        if self.is_ladder { held.next_back().into_iter().collect() } else { held.collect() }
    }

    /// What a scope of this row is called.
    pub(crate) fn word(&self, scope: &ScopeDef) -> String {
        let action = split(scope.name).1;
        let reads = self.is_ladder && self.scopes.first().is_some_and(|first| split(first.name).1 == "read");
        let is_first = self.scopes.first().is_some_and(|first| first.name == scope.name);
        let word = action.replace(['_', '-', '.'], " ");
        match action {
            "*" => w::EVERYTHING.to_owned(),
            _ if reads && !is_first => w::read_and(&word),
            _ => w::capitalized(&word),
        }
    }
}

/// What a token may do, as words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permission {
    pub(crate) says: String,
    /// What it allows in full, and the names of its scopes.
    pub(crate) title: String,
    /// Whether its leak would do great harm.
    pub(crate) is_high: bool,
}

/// The permissions of grants, in the order of the catalog; with one for everything, where that is granted.
pub(crate) fn permissions(grants: &Grants, kinds: &[Kind]) -> Vec<Permission> {
    let granted: BTreeMap<&str, &Resources> = grants.iter().map(|(scope, reach)| (scope.as_str(), reach)).collect();
    if let Some(everything) = full_access(&granted, kinds) {
        return vec![everything];
    }
    let mut found = Vec::new();
    for kind in kinds {
        let mut held: Vec<&ScopeDef> = kind.scopes.iter().filter(|def| granted.contains_key(def.name)).collect();
        // Of steps that reach the same the highest says it all.
        let same = held.windows(2).all(|two| granted[two[0].name] == granted[two[1].name]);
        if kind.is_ladder && same {
            held = held.pop().into_iter().collect();
        }
        found.extend(held.into_iter().map(|def| Permission {
            says: w::permission(kind.label, &kind.word(def), limited(granted[def.name])),
            title: w::permission_title(def.says, def.name),
            is_high: def.risk == Risk::High,
        }));
    }
    let known = |name: &str| kinds.iter().flat_map(|kind| &kind.scopes).any(|def| def.name == name);
    found.extend(granted.keys().filter(|name| !known(name)).map(|name| Permission {
        says: w::no_longer_offered(name),
        title: w::NO_LONGER_OFFERED.to_owned(),
        is_high: false,
    }));
    found
}

/// How many resources, where not all.
fn limited(reach: &Resources) -> Option<usize> {
    match reach {
        Resources::All => None,
        Resources::Only(set) => Some(set.iter().len()),
    }
}

fn full_access(granted: &BTreeMap<&str, &Resources>, kinds: &[Kind]) -> Option<Permission> {
    let everywhere = |name: &str| granted.get(name).is_some_and(|reach| **reach == Resources::All);
    let covers = |kind: &Kind| {
        let top = kind.scopes.last().is_some_and(|top| everywhere(top.name));
        kind.is_ladder && top || kind.scopes.iter().all(|def| everywhere(def.name))
    };
    let scopes: usize = kinds.iter().map(|kind| kind.scopes.len()).sum();
    let full = scopes > 1 && (everywhere("*:*") || kinds.iter().all(covers));
    full.then(|| Permission { says: w::FULL_ACCESS.to_owned(), title: w::FULL_ACCESS_TITLE.to_owned(), is_high: true })
}

#[cfg(test)]
mod tests {
    use token_core::{Grant, ResourceId, ResourceSet, ScopeName};

    use super::*;

    fn catalog() -> Catalog {
        let def = |name, group, risk, implies| ScopeDef { name, says: "Says so", group, risk, implies };
        Catalog::new([
            def("projects:read", "Projects", Risk::Low, &[]),
            def("projects:write", "Projects", Risk::Medium, &["projects:read"]),
            def("billing:pay", "Billing", Risk::High, &[]),
            def("billing:refund", "Billing", Risk::High, &[]),
        ])
        .unwrap()
    }

    fn says(grants: impl IntoIterator<Item = Grant>) -> Vec<String> {
        let found = permissions(&Grants::new(grants).unwrap(), &kinds(&catalog()));
        found.into_iter().map(|permission| permission.says).collect()
    }

    #[test]
    fn grants_are_said_in_words() {
        let all = |scope| Grant::all(scope).unwrap();
        let some = |scope| {
            let set = ResourceSet::new([ResourceId::new("a").unwrap(), ResourceId::new("b").unwrap()]).unwrap();
            Grant { scope: ScopeName::new(scope).unwrap(), resources: Resources::Only(set) }
        };
        assert_eq!(says([]), Vec::<String>::new());
        assert_eq!(says([all("projects:read"), all("projects:write")]), ["Projects: read and write"]);
        assert_eq!(
            says([all("projects:read"), some("projects:write")]),
            ["Projects: read", "Projects: read and write (2 selected)"]
        );
        assert_eq!(says([all("billing:pay"), all("gone:read")]), ["Billing: pay", "gone:read"]);
        assert_eq!(says([all("projects:write"), all("billing:pay"), all("billing:refund")]), ["Full access"]);
        assert_eq!(says([some("projects:write"), all("billing:pay"), all("billing:refund")]).len(), 3);
    }
}
