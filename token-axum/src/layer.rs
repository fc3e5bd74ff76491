//! The layer: verifies the token of every request before anything behind it runs.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Response, Uri};
use pin_project_lite::pin_project;
use token_core::{Caller, CredentialError, Refusal, Requirement, Scope, Tokens, TrustedProxies, Verified};
use tower_layer::Layer;
use tower_service::Service;

use crate::address::caller;
use crate::call::{Called, call};
use crate::lines::hide_credentials;
use crate::rejection::{refusal_of, respond};

/// Lets a request through to the services behind it only with a valid token.
///
/// Everything behind it is protected, and exceptions are named. On an axum router it comes after the routes it is to cover:
/// `route_layer` leaves requests that match no route to the 404, `layer` refuses those too.
///
/// It works on any tower service whose response body can be made of a `String`.
#[derive(Debug, Clone)]
#[must_use = "a layer protects what it is put on: Router::new().route(..).route_layer(layer)"]
pub struct TokenLayer {
    rules: Arc<Rules>,
}

impl TokenLayer {
    /// A layer that refuses a request without a valid token.
    pub fn required(tokens: &Tokens) -> TokenLayer {
        TokenLayer::new(tokens, false)
    }

    /// A layer that lets a request without a credential through as anonymous. One with a bad credential is refused all the
    /// same: nobody who sends a token is taken for nobody.
    pub fn optional(tokens: &Tokens) -> TokenLayer {
        TokenLayer::new(tokens, true)
    }

    fn new(tokens: &Tokens, anonymous: bool) -> TokenLayer {
        let rules = Rules { tokens: tokens.clone(), anonymous, scopes: Vec::new(), except: Vec::new(), proxies: None };
        TokenLayer { rules: Arc::new(rules) }
    }

    /// Asks every request for the scope as well, on every resource. An anonymous request has none, so an optional layer
    /// is a required one from here on.
    pub fn require<S: Scope>(mut self) -> TokenLayer {
        let rules = Arc::make_mut(&mut self.rules);
        rules.scopes.push(rules.tokens.requirement::<S>());
        rules.anonymous = false;
        self
    }

    /// Takes the client's address from `X-Forwarded-For` where the socket's is one of these proxies. Without it, what is written in headers
    /// counts for nothing; a [`ClientAddress`](crate::ClientAddress) in the extensions still wins.
    pub fn behind(mut self, proxies: TrustedProxies) -> TokenLayer {
        Arc::make_mut(&mut self.rules).proxies = Some(proxies);
        self
    }

    /// Lets requests for exactly these paths through without looking at tokens, such as `/healthz`. The path is compared as
    /// the layer sees it: inside a nested router, without the prefix that it is nested at.
    pub fn except(mut self, paths: impl IntoIterator<Item = impl Into<Box<str>>>) -> TokenLayer {
        Arc::make_mut(&mut self.rules).except.extend(paths.into_iter().map(Into::into));
        self
    }
}

impl<S> Layer<S> for TokenLayer {
    type Service = TokenService<S>;

    fn layer(&self, inner: S) -> TokenService<S> {
        TokenService { inner, rules: Arc::clone(&self.rules) }
    }
}

#[derive(Debug, Clone)]
struct Rules {
    tokens: Tokens,
    anonymous: bool,
    scopes: Vec<Requirement>,
    except: Vec<Box<str>>,
    proxies: Option<TrustedProxies>,
}

/// In the extensions of a request: a layer let it through.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    rules: Arc<Rules>,
    /// `None` if the request is anonymous.
    token: Option<Verified>,
}

impl Passed {
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.rules.tokens
    }

    /// `None` if the request is anonymous.
    pub(crate) fn token(&self) -> Option<&Verified> {
        self.token.as_ref()
    }
}

/// How a request may go on.
enum Admission {
    /// This layer lets it through, and has counted its use; its call may be one of those that are kept.
    Passed(Passed, Option<KeptCall>),
    /// A layer further out let it through.
    Before,
}

impl Rules {
    fn excepts(&self, uri: &Uri) -> bool {
        // Most layers except nothing, and need not find where the path ends.
        !self.except.is_empty() && {
            let path = uri.path();
            self.except.iter().any(|except| **except == *path)
        }
    }

    /// What can be said at once, without a future: `None` if the store has to be asked. Inlined like what follows it, so that a token is
    /// not copied from one answer into the next: reading as a whole what was just written in parts, a processor waits.
    #[inline(always)]
    fn admit_at_once<B>(self: &Arc<Rules>, request: &mut Request<B>) -> Option<Result<Admission, Refusal>> {
        let before = self.verified_before(request.extensions()).map(|token| self.check_scopes(token));
        let caller = self.caller(request.headers(), request.extensions());
        let lines = hide_credentials(request.headers_mut());
        if let Some(checked) = before {
            return Some(checked.map(|()| Admission::Before));
        }
        let credential = lines.credential(self.tokens.sources());
        if self.anonymous && matches!(credential, Err(CredentialError::Missing)) {
            return Some(Ok(self.pass(None, None)));
        }
        match self.tokens.authenticate_cached(credential.as_ref().map_err(|error| *error), caller)? {
            Ok(token) => Some(self.count_use(&token, lines.client()).map(|kept| {
                let kept = kept.then(|| {
                    let called = Called::of(request.method(), request.headers(), request.extensions());
                    self.keep(&token, called)
                });
                self.pass(Some(token), kept)
            })),
            Err(refusal) => Some(Err(refusal)),
        }
    }

    /// What the store has to be asked for, of a request that nothing could be said of at once.
    async fn admit(self: &Arc<Rules>, parts: &mut Parts) -> Result<Admission, Refusal> {
        let caller = self.caller(&parts.headers, &parts.extensions);
        let lines = hide_credentials(&mut parts.headers);
        let token = self.tokens.authenticate(lines.credential(self.tokens.sources()), caller).await?;
        let kept = self.count_use(&token, lines.client())?;
        let kept = kept.then(|| self.keep(&token, Called::of_parts(parts)));
        Ok(self.pass(Some(token), kept))
    }

    #[inline(always)]
    fn caller(&self, headers: &HeaderMap, extensions: &Extensions) -> Caller {
        caller(extensions, self.proxies.as_ref().map(|proxies| (proxies, headers)))
    }

    /// Puts a request that is refused among the calls of its token.
    fn note_refused(&self, refusal: &Refusal, method: &Method, headers: &HeaderMap, extensions: &Extensions) {
        let call = call(method, headers, extensions);
        match self.verified_before(extensions) {
            // A layer further out has counted its use.
            Some(token) => self.tokens.tally_refused_use(token, refusal.reason(), &call),
            None => self.tokens.tally_refused_call(refusal, self.caller(headers, extensions), &call),
        }
    }

    /// Whether the call of a token that may pass is one of those that are kept.
    #[inline(always)]
    fn count_use(&self, token: &Verified, client: Option<&[u8]>) -> Result<bool, Refusal> {
        self.check_scopes(token)?;
        Ok(self.tokens.count_use(token, client))
    }

    #[inline(always)]
    fn pass(self: &Arc<Rules>, token: Option<Verified>, kept: Option<KeptCall>) -> Admission {
        Admission::Passed(Passed { rules: Arc::clone(self), token }, kept)
    }

    #[cold]
    fn keep(&self, token: &Verified, called: Called) -> KeptCall {
        KeptCall(Box::new(Kept { tokens: self.tokens.clone(), token: token.clone(), called, refused: false }))
    }

    fn verified_before<'a>(&self, extensions: &'a Extensions) -> Option<&'a Verified> {
        let passed = extensions.get::<Passed>()?;
        // The token of another service means nothing here.
        passed.token().filter(|_| passed.tokens().is_same(&self.tokens))
    }

    #[inline(always)]
    fn check_scopes(&self, token: &Verified) -> Result<(), Refusal> {
        for scope in &self.scopes {
            scope.check(token)?;
        }
        Ok(())
    }
}

/// One of the few calls that are kept, until it has ended: with the response, or with a client that went away.
struct KeptCall(Box<Kept>);

struct Kept {
    tokens: Tokens,
    token: Verified,
    called: Called,
    /// Then it is kept with the refusal instead.
    refused: bool,
}

impl Drop for KeptCall {
    fn drop(&mut self) {
        let Kept { tokens, token, called, refused } = &*self.0;
        if !refused {
            tokens.keep_call(token, &called.call());
        }
    }
}

/// A service behind a [`TokenLayer`].
#[derive(Debug, Clone)]
pub struct TokenService<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S, B, R> Service<Request<B>> for TokenService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = TokenFuture<S, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> TokenFuture<S, B> {
        if self.rules.excepts(request.uri()) {
            hide_credentials(request.headers_mut());
            return TokenFuture { stage: Stage::Running { response: self.inner.call(request), kept: None } };
        }
        match self.rules.admit_at_once(&mut request) {
            Some(Ok(admission)) => {
                let kept = admission.note(&mut request);
                return TokenFuture { stage: Stage::Running { response: self.inner.call(request), kept } };
            }
            Some(Err(refusal)) => {
                let (method, headers) = (request.method(), request.headers());
                self.rules.note_refused(&refusal, method, headers, request.extensions());
                return TokenFuture { stage: Stage::Refused { refusal, rules: Arc::clone(&self.rules) } };
            }
            None => {}
        }
        // The service that was polled ready is the one to call; a clone of it need not be ready.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let rules = Arc::clone(&self.rules);
        let (mut parts, body) = request.into_parts();
        let verification = Box::pin({
            let rules = Arc::clone(&rules);
            async move {
                let admission = rules.admit(&mut parts).await;
                if let Err(refusal) = &admission {
                    rules.note_refused(refusal, &parts.method, &parts.headers, &parts.extensions);
                }
                (parts, admission)
            }
        });
        TokenFuture { stage: Stage::Verifying { verification, rules, waiting: Some((inner, body)) } }
    }
}

type Verification = Pin<Box<dyn Future<Output = (Parts, Result<Admission, Refusal>)> + Send>>;

pin_project! {
    /// The response of a service behind a [`TokenLayer`].
    pub struct TokenFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        stage: Stage<S, B>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<S, B>
    where
        S: Service<Request<B>>,
    {
        Refused { refusal: Refusal, rules: Arc<Rules> },
        // The request's body waits outside of the boxed future, so that it may be of any type.
        Verifying { verification: Verification, rules: Arc<Rules>, waiting: Option<(S, B)> },
        Running { #[pin] response: S::Future, kept: Option<KeptCall> },
    }
}

impl<S, B, R> Future for TokenFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<String>,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        loop {
            let next = match stage.as_mut().project() {
                StageProjection::Refused { refusal, rules } => return Poll::Ready(Ok(refuse(refusal, rules))),
                StageProjection::Verifying { verification, rules, waiting } => {
                    let (parts, admission) = ready!(verification.as_mut().poll(context));
                    let admission = match admission {
                        Ok(admission) => admission,
                        Err(refusal) => return Poll::Ready(Ok(refuse(&refusal, rules))),
                    };
                    // Taken once: the verification is over, and is not polled again.
                    let Some((mut inner, body)) = waiting.take() else { return Poll::Pending };
                    let mut request = Request::from_parts(parts, body);
                    let kept = admission.note(&mut request);
                    Stage::Running { response: inner.call(request), kept }
                }
                StageProjection::Running { response, kept } => {
                    // Only looked at: an answer that is moved costs more than all that is to be seen in it.
                    let polled = response.poll(context);
                    if let Poll::Ready(outcome) = &polled {
                        let refused = outcome.as_ref().ok().and_then(|done| refusal_of(done.extensions()));
                        if let Some(KeptCall(kept)) = kept {
                            kept.refused = refused.is_some();
                        }
                        *kept = None;
                        if let Some(refused) = refused {
                            refused.tally();
                        }
                    }
                    return polled;
                }
            };
            stage.set(next);
        }
    }
}

fn refuse<R: From<String>>(refusal: &Refusal, rules: &Rules) -> Response<R> {
    respond(refusal.answer(rules.tokens.realm(), rules.tokens.sources()))
}

impl Admission {
    /// Leaves word in the request for what is behind the layer.
    #[inline(always)]
    fn note<B>(self, request: &mut Request<B>) -> Option<KeptCall> {
        match self {
            Admission::Passed(passed, kept) => {
                request.extensions_mut().insert(passed);
                kept
            }
            Admission::Before => None,
        }
    }
}

impl<S, B> fmt::Debug for TokenFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFuture").finish_non_exhaustive()
    }
}
