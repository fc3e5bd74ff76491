//! The catalog: a host's scopes, declared once.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;

use crate::text::TextError;

use super::by_type::ByType;
use super::grant::{Grants, ScopeName, check_scope_name};

/// A scope that a handler asks for by type, such as `Authorized<ProjectsRead>`. Declared with [`scopes!`](crate::scopes).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a scope",
    label = "expected a type declared with `token_core::scopes!`",
    note = "declare it once with `token_core::scopes! {{ ... }}` and pass the catalog made there to `Tokens::builder(..).catalog(..)`"
)]
pub trait Scope: Send + Sync + 'static {
    /// The declaration.
    const DEF: ScopeDef;
}

/// How much harm a leaked token with a scope could do, as the screen shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Reads what is not confidential.
    Low,
    /// Reads confidential data, or changes what can be changed back.
    Medium,
    /// Deletes, pays, or gives access.
    High,
}

/// The declaration of one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeDef {
    /// `resource:action`; see [`ScopeName`].
    pub name: &'static str,
    /// What it allows, as a sentence for people.
    pub says: &'static str,
    /// The heading it is listed under.
    pub group: &'static str,
    /// How much harm it could do.
    pub risk: Risk,
    /// Names of scopes that it allows as well. `projects:*` allows every scope of `projects` without naming them,
    /// and `*:*` every scope.
    pub implies: &'static [&'static str],
}

/// Declares scope types and the function that returns them all.
///
/// ```
/// use token_core::{Catalog, Risk};
///
/// token_core::scopes! {
///     /// The scopes of this service.
///     pub fn catalog;
///     pub ProjectsRead = "projects:read", "See your projects", "Projects", Risk::Low;
///     pub ProjectsWrite = "projects:write", "Create and change projects", "Projects", Risk::Medium, implies "projects:read";
/// }
/// assert!(Catalog::new(catalog()).is_ok());
/// ```
#[macro_export]
macro_rules! scopes {
    (
        $(#[$meta:meta])* $fnvis:vis fn $catalog:ident;
        $($vis:vis $name:ident = $scope:literal, $says:literal, $group:literal, $risk:expr $(, implies $($implied:literal)+)?;)+
    ) => {
        $(
            #[doc = concat!("`", $scope, "`: ", $says, ".")]
            #[derive(Debug, Clone, Copy)]
            $vis struct $name;

            impl $crate::Scope for $name {
                const DEF: $crate::ScopeDef = $crate::ScopeDef {
                    name: $scope,
                    says: $says,
                    group: $group,
                    risk: $risk,
                    implies: &[$($($implied),+)?],
                };
            }
        )+

        $(#[$meta])*
        $fnvis fn $catalog() -> Vec<$crate::ScopeDef> {
            vec![$(<$name as $crate::Scope>::DEF),+]
        }
    };
}

/// At most so many scopes: a set of them is four words.
const SCOPES_MAX: usize = 256;

/// Where a scope stands in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ScopeIndex(u8);

/// A set of the catalog's scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ScopeSet([u64; SCOPES_MAX / 64]);

impl ScopeSet {
    pub(crate) fn insert(&mut self, scope: ScopeIndex) {
        self.0[usize::from(scope.0 / 64)] |= 1 << (scope.0 % 64);
    }

    pub(crate) fn holds(&self, scope: ScopeIndex) -> bool {
        self.0[usize::from(scope.0 / 64)] & (1 << (scope.0 % 64)) != 0
    }

    pub(crate) fn union(self, other: ScopeSet) -> ScopeSet {
        self.zip(other, |a, b| a | b)
    }

    pub(crate) fn intersection(self, other: ScopeSet) -> ScopeSet {
        self.zip(other, |a, b| a & b)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = ScopeIndex> {
        (0..=u8::MAX).map(ScopeIndex).filter(move |scope| self.holds(*scope))
    }

    fn zip(self, other: ScopeSet, combine: impl Fn(u64, u64) -> u64) -> ScopeSet {
        let mut words = self.0;
        words.iter_mut().zip(other.0).for_each(|(word, other)| *word = combine(*word, other));
        ScopeSet(words)
    }
}

/// Scopes that were exercised, noted by many at once. Looked at before it is written: all but the first leave the cache line to those
/// who read.
#[derive(Debug, Default)]
pub(crate) struct Exercised([AtomicU64; SCOPES_MAX / 64]);

impl Exercised {
    /// Whether it is the first time.
    #[inline]
    pub(crate) fn note(&self, scope: ScopeIndex) -> bool {
        let (word, bit) = (&self.0[usize::from(scope.0 / 64)], 1 << (scope.0 % 64));
        word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}

/// The scopes of a service, checked, with what each one implies worked out.
#[derive(Debug, Clone)]
pub struct Catalog {
    defs: Vec<ScopeDef>,
    by_name: HashMap<&'static str, ScopeIndex, RandomState>,
    by_type: ByType,
    /// For each scope: itself and all it implies, followed to the end.
    closures: Vec<ScopeSet>,
}

/// Why a catalog is refused, when the service is built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A scope's name does not follow the grammar.
    #[error("scope {name:?}: {error}")]
    Name {
        /// The name as declared.
        name: &'static str,
        /// The rule it breaks.
        error: TextError,
    },
    /// Two scopes have one name.
    #[error("scope {0} is declared twice")]
    Duplicate(&'static str),
    /// A scope implies one that is not declared.
    #[error("scope {scope} implies {implied}, which the catalog does not declare")]
    UnknownImplied {
        /// The scope.
        scope: &'static str,
        /// What it claims to imply.
        implied: &'static str,
    },
    /// More than 256 scopes.
    #[error("a catalog may declare at most 256 scopes")]
    TooMany,
}

impl Catalog {
    /// Checks the declarations.
    ///
    /// # Errors
    /// [`CatalogError`] with the first declaration that is wrong.
    pub fn new(defs: impl IntoIterator<Item = ScopeDef>) -> Result<Catalog, CatalogError> {
        let defs: Vec<ScopeDef> = defs.into_iter().collect();
        let mut by_name = HashMap::default();
        for (index, def) in defs.iter().enumerate() {
            check_scope_name(def.name).map_err(|error| CatalogError::Name { name: def.name, error })?;
            let index = u8::try_from(index).map_err(|_| CatalogError::TooMany)?;
            if by_name.insert(def.name, ScopeIndex(index)).is_some() {
                return Err(CatalogError::Duplicate(def.name));
            }
        }
        let by_type = ByType::for_scopes(defs.len());
        let mut catalog = Catalog { defs, by_name, by_type, closures: Vec::new() };
        let direct = catalog.defs.iter().map(|def| catalog.implied_by(def)).collect::<Result<Vec<_>, _>>()?;
        catalog.closures = direct.iter().map(|set| close(*set, &direct)).collect();
        Ok(catalog)
    }

    /// The declarations, in the order they were made.
    #[must_use]
    pub fn scopes(&self) -> &[ScopeDef] {
        &self.defs
    }

    /// The scopes among the grants that the catalog does not declare.
    pub(crate) fn unknown(&self, grants: &Grants) -> Vec<ScopeName> {
        grants.iter().map(|(scope, _)| scope).filter(|scope| self.index(scope.as_str()).is_none()).cloned().collect()
    }

    pub(crate) fn index(&self, name: &str) -> Option<ScopeIndex> {
        self.by_name.get(name).copied()
    }

    /// Where the scope of this type stands, if it is declared. Its name is looked for once.
    pub(crate) fn index_of<S: Scope>(&self) -> Option<ScopeIndex> {
        self.by_type.get_or_insert_with(TypeId::of::<S>(), || self.index(S::DEF.name))
    }

    pub(crate) fn name(&self, scope: ScopeIndex) -> &'static str {
        self.defs[usize::from(scope.0)].name
    }

    pub(crate) fn closure(&self, scope: ScopeIndex) -> ScopeSet {
        self.closures[usize::from(scope.0)]
    }

    pub(crate) fn every_scope(&self) -> ScopeSet {
        let mut all = ScopeSet::default();
        self.by_name.values().for_each(|scope| all.insert(*scope));
        all
    }

    /// The scope itself, what it names, and what a declared wildcard covers.
    fn implied_by(&self, def: &ScopeDef) -> Result<ScopeSet, CatalogError> {
        let mut set = ScopeSet::default();
        for (name, index) in &self.by_name {
            let covered = match def.name.split_once(':') {
                Some(("*", "*")) => true,
                Some((resource, "*")) => name.split_once(':').is_some_and(|(other, _)| other == resource),
                _ => *name == def.name,
            };
            if covered {
                set.insert(*index);
            }
        }
        for implied in def.implies {
            let index = self.index(implied).ok_or(CatalogError::UnknownImplied { scope: def.name, implied })?;
            set.insert(index);
        }
        Ok(set)
    }
}

/// Follows implications until nothing is added; cycles end there too.
fn close(start: ScopeSet, direct: &[ScopeSet]) -> ScopeSet {
    let mut set = start;
    loop {
        let next = set.iter().fold(set, |all, scope| all.union(direct[usize::from(scope.0)]));
        if next == set {
            return set;
        }
        set = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn def(name: &'static str, implies: &'static [&'static str]) -> ScopeDef {
        ScopeDef { name, says: "s", group: "g", risk: Risk::Low, implies }
    }

    #[test]
    fn wrong_declarations_are_named() {
        let error = |defs: &[ScopeDef]| Catalog::new(defs.iter().copied()).unwrap_err();
        assert_eq!(error(&[def("a:b", &[]), def("a:b", &[])]), CatalogError::Duplicate("a:b"));
        assert_eq!(error(&[def("a:b", &["a:c"])]), CatalogError::UnknownImplied { scope: "a:b", implied: "a:c" });
        assert!(matches!(error(&[def("nonsense", &[])]), CatalogError::Name { name: "nonsense", .. }));
    }

    #[test]
    fn implications_are_followed_through_chains_cycles_and_wildcards() {
        let catalog = Catalog::new([
            def("a:read", &[]),
            def("a:write", &["a:read"]),
            def("a:admin", &["a:write", "b:loop"]),
            def("b:loop", &["a:admin"]),
            def("a:*", &[]),
            def("*:*", &[]),
            def("c:read", &[]),
        ])
        .unwrap();
        let closure = |name: &str| {
            let set = catalog.closure(catalog.index(name).unwrap());
            set.iter().map(|scope| catalog.name(scope)).collect::<Vec<_>>()
        };
        assert_eq!(closure("a:write"), ["a:read", "a:write"]);
        assert_eq!(closure("b:loop"), ["a:read", "a:write", "a:admin", "b:loop"]);
        assert_eq!(closure("a:*"), ["a:read", "a:write", "a:admin", "b:loop", "a:*"]);
        assert_eq!(closure("*:*").len(), 7);
    }
}
