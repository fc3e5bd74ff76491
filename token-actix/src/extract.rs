//! The extractors: what a handler asks for in its signature.

use std::any::type_name;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::{Extensions, Payload};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use token_core::{Refusal, Resources, Scope, Tokens, Verified};

use crate::call::Called;
use crate::layer::Passed;
use crate::rejection::Rejection;

/// Any valid token, whatever it may do. Reads as the [`Verified`] token.
///
/// [`Optional<AnyToken>`](Optional) holds none for an anonymous request behind
/// [`TokenLayer::optional`](crate::TokenLayer::optional), and only for that: a bad token is refused there too.
#[derive(Debug, Clone)]
pub struct AnyToken(Verified);

/// A token that has the scope `S` on every resource. Reads as the [`Verified`] token.
///
/// ```
/// # token_core::scopes! {
/// #     fn catalog;
/// #     ProjectsRead = "projects:read", "See your projects", "Projects", token_core::Risk::Low;
/// # }
/// use token_actix::Authorized;
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
/// async fn list_projects(token: token_actix::Authorized<NotAScope>) {}
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
/// use actix_web::web::Path;
/// use token_actix::{Limited, Rejection};
///
/// async fn show_project(token: Limited<ProjectsRead>, project: Path<String>) -> Result<String, Rejection> {
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

/// One of the extractors above, or none for an anonymous request behind
/// [`TokenLayer::optional`](crate::TokenLayer::optional), and only for that. Reads as the `Option`.
///
/// Not `Option<AnyToken>`, which actix-web makes of any extractor, and in which every error is `None`: a token that lacks the scope, or a
/// route that no middleware covers, would look like an anonymous request.
///
/// ```
/// use token_actix::{AnyToken, Optional};
///
/// async fn welcome(token: Optional<AnyToken>) -> String {
///     token.as_ref().map_or("welcome".into(), |token| format!("welcome, {}", token.owner()))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Optional<T>(pub Option<T>);

impl<T> Deref for Optional<T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

mod demand {
    use super::{Called, HttpRequest, Passed, Refusal, Rejection, Tokens, Verified};

    /// What each extractor wants of a verified token.
    pub trait Demand: Sized {
        fn meet(tokens: &Tokens, token: &Verified, request: &HttpRequest) -> Result<Self, Refusal>;
    }

    pub(super) fn of<T: Demand>(passed: &Passed, request: &HttpRequest) -> Result<Option<T>, Rejection> {
        let Some(token) = passed.token() else { return Ok(None) };
        match T::meet(passed.tokens(), token, request) {
            Ok(met) => Ok(Some(met)),
            Err(refusal) => Err(Rejection::refused(passed.tokens(), token, refusal, Called::of(request))),
        }
    }
}

use demand::Demand;

fn extract<T: Demand>(request: &HttpRequest) -> Result<T, Rejection> {
    let extensions = request.extensions();
    let passed = passed::<T>(request, &extensions)?;
    demand::of(passed, request)?.ok_or_else(|| Rejection::anonymous(passed.tokens()))
}

fn extract_optional<T: Demand>(request: &HttpRequest) -> Result<Optional<T>, Rejection> {
    demand::of(passed::<T>(request, &request.extensions())?, request).map(Optional)
}

impl Demand for AnyToken {
    fn meet(_tokens: &Tokens, token: &Verified, _request: &HttpRequest) -> Result<Self, Refusal> {
        Ok(AnyToken(token.clone()))
    }
}

impl<S: Scope> Demand for Authorized<S> {
    fn meet(tokens: &Tokens, token: &Verified, _request: &HttpRequest) -> Result<Self, Refusal> {
        tokens.require::<S>(token)?;
        Ok(Authorized { token: token.clone(), scope: PhantomData })
    }
}

impl<S: Scope> Demand for Limited<S> {
    fn meet(tokens: &Tokens, token: &Verified, request: &HttpRequest) -> Result<Self, Refusal> {
        let resources = tokens.require_some::<S>(token)?;
        let (tokens, token, called) = (tokens.clone(), token.clone(), Called::of(request));
        Ok(Limited { tokens, token, resources, called, scope: PhantomData })
    }
}

fn passed<'a, T>(request: &HttpRequest, extensions: &'a Extensions) -> Result<&'a Passed, Rejection> {
    extensions.get().ok_or_else(|| {
        tracing::error!(
            extractor = type_name::<T>(),
            method = %request.method(),
            // The route's template; never the path of the request, which is the client's text.
            route = request.match_pattern(),
            "a handler asks for a token on a route that no TokenLayer covers, or that one lets through by `except`; wrap what holds \
             the routes: web::scope(..).wrap(TokenLayer::required(&tokens)).route(..)"
        );
        Rejection::uncovered()
    })
}

impl<T: Demand> FromRequest for Optional<T> {
    type Error = Rejection;
    type Future = Ready<Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(extract_optional(request))
    }
}

macro_rules! extractor {
    ($extractor:ty, $token:tt $(, $scope:ident)?) => {
        impl$(<$scope: Scope>)? FromRequest for $extractor {
            type Error = Rejection;
            type Future = Ready<Result<Self, Rejection>>;

            fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
                ready(extract(request))
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
