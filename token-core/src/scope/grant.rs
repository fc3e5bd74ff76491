//! Grants as they are asked for, stored and shown: scopes by name, with the resources they reach.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::encoding::Encoder;
use crate::text::{ResourceId, TextError, text_type};

/// A token may hold at most so many grants, name so many resources in all of them, and take so many bytes for that: a row stays small
/// enough to load, to check and to keep in a log.
const GRANTS_MAX: usize = 256;
const RESOURCES_MAX: usize = 1000;
const BYTES_MAX: usize = 32 * 1024;

text_type! {
    /// The name of a scope, `resource:action`: each side lower-case words of `a-z 0-9 . _ -` that start with a
    /// letter, at most 64 characters in all. The action, or both sides, may be `*`; such a scope exists only
    /// where the catalog declares it.
    ScopeName, check_scope_name
}

pub(super) fn check_scope_name(text: &str) -> Result<(), TextError> {
    let rule = "write resource:action in lower case, such as projects:read, at most 64 characters";
    let word = |word: &str| {
        word.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
    };
    let fits = text.len() <= 64
        && match text.split_once(':') {
            Some(("*", action)) => action == "*",
            Some((resource, action)) => word(resource) && (action == "*" || word(action)),
            None => false,
        };
    if fits { Ok(()) } else { Err(TextError { what: "scope", rule }) }
}

/// The resources that a grant reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resources {
    /// Every resource, those made later included.
    All,
    /// These and no others.
    Only(ResourceSet),
}

/// A non-empty set of at most 1,000 resources. Clones are the same set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceSet(Arc<BTreeSet<ResourceId>>);

/// Why grants are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// A grant is limited to no resource at all.
    #[error("a grant limited to resources must name at least one; leave the grant out to allow nothing")]
    NoResources,
    /// More than 1,000 resources, or more than 32 KiB of them, in one grant or in all grants of a token.
    #[error("a token's grants may name at most 1000 resources, in at most 32768 bytes")]
    TooManyResources,
    /// More than 256 grants.
    #[error("a token may hold at most 256 grants")]
    TooManyGrants,
    /// The same scope is granted twice.
    #[error("scope {0} is granted twice; write one grant with all its resources")]
    Duplicate(ScopeName),
}

impl ResourceSet {
    /// A set of these resources.
    ///
    /// # Errors
    /// [`GrantError`] if there are none, or more than 1,000 in 32 KiB.
    pub fn new(resources: impl IntoIterator<Item = ResourceId>) -> Result<ResourceSet, GrantError> {
        let set: BTreeSet<ResourceId> = resources.into_iter().collect();
        let set = ResourceSet(Arc::new(set));
        match set.0.len() {
            0 => Err(GrantError::NoResources),
            1..=RESOURCES_MAX if set.bytes() <= BYTES_MAX => Ok(set),
            _ => Err(GrantError::TooManyResources),
        }
    }

    /// Whether the set holds a resource of this id.
    #[must_use]
    pub fn holds(&self, resource: &str) -> bool {
        self.0.contains(resource)
    }

    /// The resources, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ResourceId> {
        self.0.iter()
    }

    /// Of the ids alone.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|resource| resource.as_str().len()).sum()
    }

    pub(super) fn from_set(set: BTreeSet<ResourceId>) -> Option<ResourceSet> {
        (!set.is_empty()).then(|| ResourceSet(Arc::new(set)))
    }

    /// Whether it is in the same memory.
    pub(super) fn is_same(&self, other: &ResourceSet) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Serialize for ResourceSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ResourceSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ResourceSet, D::Error> {
        ResourceSet::new(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

// `"all"` or a list of ids: what a missing field would mean is never left to a default.
impl Serialize for Resources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Resources::All => serializer.serialize_str("all"),
            Resources::Only(set) => set.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Resources, D::Error> {
        struct Reach;

        impl<'de> Visitor<'de> for Reach {
            type Value = Resources;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(REACH)
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Resources, E> {
                if word == "all" { Ok(Resources::All) } else { Err(E::custom(REACH)) }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Resources, A::Error> {
                ResourceSet::deserialize(SeqAccessDeserializer::new(list)).map(Resources::Only)
            }
        }

        // Whatever else was written is not repeated.
        deserializer.deserialize_any(Reach).map_err(|_| D::Error::custom(REACH))
    }
}

const REACH: &str = "resources: write \"all\" or a list of resource ids";

/// A scope and the resources it reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What may be done.
    pub scope: ScopeName,
    /// To what.
    pub resources: Resources,
}

impl Grant {
    /// The scope on every resource.
    ///
    /// # Errors
    /// [`TextError`] if the text is not a scope's name.
    pub fn all(scope: &str) -> Result<Grant, TextError> {
        Ok(Grant { scope: ScopeName::new(scope)?, resources: Resources::All })
    }
}

/// A set of grants, at most one for each scope, sorted by scope. Empty grants allow nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants(BTreeMap<ScopeName, Resources>);

impl Grants {
    /// A set of these grants.
    ///
    /// # Errors
    /// [`GrantError`] if a scope is granted twice, or there are more than 256, or they name too many resources.
    pub fn new(grants: impl IntoIterator<Item = Grant>) -> Result<Grants, GrantError> {
        let mut adding = Adding::default();
        grants.into_iter().try_for_each(|grant| adding.add(grant))?;
        Ok(adding.grants)
    }

    /// The grants, sorted by scope.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ScopeName, &Resources)> {
        self.0.iter()
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        encoder.list(self.0.iter(), |encoder, (scope, resources)| {
            encoder.text(scope.as_str());
            let only = match resources {
                Resources::All => None,
                Resources::Only(set) => Some(set),
            };
            encoder.option(only, |encoder, set| {
                encoder.list(set.iter(), |encoder, resource| encoder.text(resource.as_str()));
            });
        });
    }
}

/// Grants that are put together, and what their resources come to.
#[derive(Default)]
struct Adding {
    grants: Grants,
    resources: usize,
    bytes: usize,
}

impl Adding {
    fn add(&mut self, Grant { scope, resources }: Grant) -> Result<(), GrantError> {
        if let Resources::Only(set) = &resources {
            self.resources += set.0.len();
            self.bytes += set.bytes();
            if self.resources > RESOURCES_MAX || self.bytes > BYTES_MAX {
                return Err(GrantError::TooManyResources);
            }
        }
        if self.grants.0.len() == GRANTS_MAX {
            return Err(GrantError::TooManyGrants);
        }
        match self.grants.0.entry(scope) {
            Entry::Occupied(taken) => Err(GrantError::Duplicate(taken.key().clone())),
            Entry::Vacant(free) => {
                free.insert(resources);
                Ok(())
            }
        }
    }
}

impl Serialize for Grants {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            scope: &'a ScopeName,
            resources: &'a Resources,
        }
        serializer.collect_seq(self.0.iter().map(|(scope, resources)| Wire { scope, resources }))
    }
}

impl<'de> Deserialize<'de> for Grants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Grants, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Grants;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Grants, A::Error> {
                let mut adding = Adding::default();
                while let Some(grant) = list.next_element()? {
                    adding.add(grant).map_err(A::Error::custom)?;
                }
                Ok(adding.grants)
            }
        }

        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_names_follow_the_grammar() {
        for good in ["a:b", "projects:read", "billing.invoices:mark-paid", "p2:a_1", "projects:*", "*:*"] {
            assert!(ScopeName::new(good).is_ok(), "{good}");
        }
        let long = format!("a:{}", "b".repeat(63));
        for bad in
            ["", ":", "a:", ":b", "a", "a:b:c", "A:b", "*:read", "pro*:read", "a:b*", "a b:c", "1a:b", "é:b", &long]
        {
            assert!(ScopeName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn grants_are_bounded_in_all() {
        let some = |scope: &str, from: u32, count: u32| {
            let ids = (from..from + count).map(|id| ResourceId::new(format!("{id:0>30}")).unwrap());
            ResourceSet::new(ids)
                .map(|set| Grant { scope: ScopeName::new(scope).unwrap(), resources: Resources::Only(set) })
        };
        assert!(some("a:b", 0, 1000).is_ok());
        assert_eq!(some("a:b", 0, 1001), Err(GrantError::TooManyResources));
        let long = (0..200).map(|id| ResourceId::new(format!("{id:0>255}")).unwrap());
        assert_eq!(ResourceSet::new(long), Err(GrantError::TooManyResources));
        let two = |count| Grants::new([some("a:b", 0, 500).unwrap(), some("a:c", 0, count).unwrap()]);
        assert!(two(500).is_ok());
        assert_eq!(two(501), Err(GrantError::TooManyResources));
        let many = (0..257).map(|number| Grant::all(&format!("a:b{number}")).unwrap());
        assert_eq!(Grants::new(many), Err(GrantError::TooManyGrants));
    }

    #[test]
    fn grants_are_explicit_about_their_resources() {
        let parse = serde_json::from_str::<Grants>;
        assert!(parse(r#"[{"scope":"a:b","resources":"all"},{"scope":"a:c","resources":["x"]}]"#).is_ok());
        for bad in [
            r#"[{"scope":"a:b"}]"#,
            r#"[{"scope":"a:b","resources":null}]"#,
            r#"[{"scope":"a:b","resources":[]}]"#,
            r#"[{"scope":"a:b","resources":"ALL"}]"#,
            r#"[{"scope":"a:b","resources":"all","also":1}]"#,
            r#"[{"scope":"a:b","resources":"all"},{"scope":"a:b","resources":["x"]}]"#,
            "null",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
