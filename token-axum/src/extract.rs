//! The extractors: what a handler asks for in its signature.

use std::any::type_name;
use std::marker::PhantomData;
use std::ops::Deref;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::Extensions;
use http::request::Parts;
use token_core::{Refusal, Resources, Scope, Tokens, Verified};

use crate::call::{Called, route};
use crate::layer::Passed;
use crate::rejection::Rejection;

/// Any valid token, whatever it may do. Reads as the [`Verified`] token.
///
/// `Option<AnyToken>` is `None` for an anonymous request behind [`TokenLayer::optional`](crate::TokenLayer::optional), and
/// only for that: a bad token is refused there too.
#[derive(Debug, Clone)]
pub struct AnyToken(Verified);

/// A token that has the scope `S` on every resource. Reads as the [`Verified`] token.
///
/// ```
/// # token_core::scopes! {
/// #     fn catalog;
/// #     ProjectsRead = "projects:read", "See your projects", "Projects", token_core::Risk::Low;
/// # }
/// use token_axum::Authorized;
///
/// async fn list_projects(token: Authorized<ProjectsRead>) -> String {
///     format!("the projects of {}", token.owner())
/// }
/// ```
///
/// Only a declared scope can be asked for:
///
/// ```compile_fail,E0277
/// struct NotAScope;
///
/// async fn list_projects(token: token_axum::Authorized<NotAScope>) {}
/// ```
#[derive(Debug, Clone)]
pub struct Authorized<S: Scope> {
    token: Verified,
    scope: PhantomData<S>,
}

/// A token that has the scope `S` on some resource at least. Reads as the [`Verified`] token; what it reaches is for the
/// handler to keep to, by [`check`](Limited::check) or by [`resources`](Limited::resources).
///
/// ```
/// # token_core::scopes! {
/// #     fn catalog;
/// #     ProjectsRead = "projects:read", "See your projects", "Projects", token_core::Risk::Low;
/// # }
/// use axum::extract::Path;
/// use token_axum::{Limited, Rejection};
///
/// async fn show_project(token: Limited<ProjectsRead>, Path(project): Path<String>) -> Result<String, Rejection> {
///     token.check(&project)?;
///     Ok(format!("{project} of {}", token.owner()))
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a limited token reaches some resources only: check the one that is asked for"]
pub struct Limited<S: Scope> {
    tokens: Tokens,
    token: Verified,
    resources: Resources,
    called: Called,
    scope: PhantomData<S>,
}

impl AnyToken {
    /// The token that [`TokenLayer`](crate::TokenLayer) verified, for services that have no extractors. `None` if the
    /// request is anonymous, or no layer covers it.
    #[must_use]
    pub fn of(request: &Extensions) -> Option<AnyToken> {
        request.get::<Passed>()?.token().cloned().map(AnyToken)
    }
}

impl<S: Scope> Limited<S> {
    /// The resources on which the token has the scope.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Checks that the token has the scope on this resource.
    ///
    /// # Errors
    /// [`Rejection`], a 403 that names the scope, for the handler to return. It is the same for a resource that does not exist.
    pub fn check(&self, resource: &str) -> Result<(), Rejection> {
        let checked = self.tokens.require_on::<S>(&self.token, resource);
        checked.map_err(|refusal| Rejection::refused(&self.tokens, &self.token, refusal, self.called.clone()))
    }
}

/// What each extractor wants of a verified token.
trait Demand: Sized {
    fn meet(tokens: &Tokens, token: &Verified, request: &Parts) -> Result<Self, Refusal>;

    fn extract(parts: &Parts) -> Result<Self, Rejection> {
        let passed = passed::<Self>(parts)?;
        match Self::of(passed, parts)? {
            Some(met) => Ok(met),
            None => Err(Rejection::anonymous(passed.tokens())),
        }
    }

    fn extract_optional(parts: &Parts) -> Result<Option<Self>, Rejection> {
        Self::of(passed::<Self>(parts)?, parts)
    }

    fn of(passed: &Passed, parts: &Parts) -> Result<Option<Self>, Rejection> {
        let Some(token) = passed.token() else { return Ok(None) };
        match Self::meet(passed.tokens(), token, parts) {
            Ok(met) => Ok(Some(met)),
            Err(refusal) => Err(Rejection::refused(passed.tokens(), token, refusal, Called::of_parts(parts))),
        }
    }
}

impl Demand for AnyToken {
    fn meet(_tokens: &Tokens, token: &Verified, _request: &Parts) -> Result<Self, Refusal> {
        Ok(AnyToken(token.clone()))
    }
}

impl<S: Scope> Demand for Authorized<S> {
    fn meet(tokens: &Tokens, token: &Verified, _request: &Parts) -> Result<Self, Refusal> {
        tokens.require::<S>(token)?;
        Ok(Authorized { token: token.clone(), scope: PhantomData })
    }
}

impl<S: Scope> Demand for Limited<S> {
    fn meet(tokens: &Tokens, token: &Verified, request: &Parts) -> Result<Self, Refusal> {
        let resources = tokens.require_some::<S>(token)?;
        let (tokens, token, called) = (tokens.clone(), token.clone(), Called::of_parts(request));
        Ok(Limited { tokens, token, resources, called, scope: PhantomData })
    }
}

fn passed<T>(parts: &Parts) -> Result<&Passed, Rejection> {
    parts.extensions.get().ok_or_else(|| {
        tracing::error!(
            extractor = type_name::<T>(),
            method = %parts.method,
            route = route(&parts.extensions),
            "a handler asks for a token on a route that no TokenLayer covers, or that one lets through by `except`; put the \
             layer behind the routes: Router::new().route(..).route_layer(TokenLayer::required(&tokens))"
        );
        Rejection::uncovered()
    })
}

macro_rules! extractor {
    ($extractor:ty, $token:tt $(, $scope:ident)?) => {
        impl<State: Sync $(, $scope: Scope)?> FromRequestParts<State> for $extractor {
            type Rejection = Rejection;

            async fn from_request_parts(parts: &mut Parts, _state: &State) -> Result<Self, Rejection> {
                Self::extract(parts)
            }
        }

        impl<State: Sync $(, $scope: Scope)?> OptionalFromRequestParts<State> for $extractor {
            type Rejection = Rejection;

            async fn from_request_parts(parts: &mut Parts, _state: &State) -> Result<Option<Self>, Rejection> {
                Self::extract_optional(parts)
            }
        }

        impl$(<$scope: Scope>)? Deref for $extractor {
            type Target = Verified;

            fn deref(&self) -> &Verified {
                &self.$token
            }
        }
    };
}

extractor!(AnyToken, 0);
extractor!(Authorized<S>, token, S);
extractor!(Limited<S>, token, S);
