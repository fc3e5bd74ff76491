//! What tokens may do: the catalog of scopes, grants of them, and the two questions asked of grants.

mod catalog;
mod grant;
mod rights;

pub use catalog::{Catalog, CatalogError, Risk, Scope, ScopeDef};
pub(crate) use catalog::{Exercised, ScopeIndex, ScopeSet};
pub use grant::{Grant, GrantError, Grants, ResourceSet, Resources, ScopeName};
pub use rights::Ceiling;
pub(crate) use rights::Rights;
