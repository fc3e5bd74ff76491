//! The middleware: verifies the token of every request before anything behind it runs.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Extensions, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage};
use pin_project_lite::pin_project;
use token_core::{Caller, Credential, CredentialError, Refusal, Requirement, Scope, Tokens, TrustedProxies, Verified};

use crate::address::caller;
use crate::call::{Called, client};
use crate::path::within_scopes;
use crate::rejection::{Refused, refusal_of, refusal_of_error, respond};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Lets a request through to the services behind it only with a valid token.
///
/// Everything behind it is protected, and exceptions are named: `App::new().wrap(layer)` covers every route and the answer to requests that
/// match none, `web::scope("/v1").wrap(layer)` all that is below it, `web::resource(..).wrap(layer)` one resource. Of several
/// that are wrapped around one thing, the last is met first.
///
/// It is cheap to clone, and to be made once, before the workers.
///
/// A middleware further out must not keep a clone of the request while it waits for the answer: what is behind could not write to the request
/// any more, and panics before anyone is let in, as actix-web's own routing does. There is no way to ask first. What such a middleware needs of
/// the request, it can copy.
#[derive(Debug, Clone)]
#[must_use = "a layer protects what it is put on: web::scope(..).wrap(layer).route(..)"]
pub struct TokenLayer {
    rules: Rules,
}

impl TokenLayer {
    /// A middleware that refuses a request without a valid token.
    pub fn required(tokens: &Tokens) -> TokenLayer {
        TokenLayer::new(tokens, false)
    }

    /// A middleware that lets a request without a credential through as anonymous. One with a bad credential is refused all the
    /// same: nobody who sends a token is taken for nobody.
    pub fn optional(tokens: &Tokens) -> TokenLayer {
        TokenLayer::new(tokens, true)
    }

    fn new(tokens: &Tokens, anonymous: bool) -> TokenLayer {
        let rules = Rules { tokens: tokens.clone(), anonymous, scopes: Vec::new(), except: Vec::new(), proxies: None };
        TokenLayer { rules }
    }

    /// Asks every request for the scope as well, on every resource. An anonymous request has none, so an optional layer
    /// is a required one from here on.
    pub fn require<S: Scope>(mut self) -> TokenLayer {
        self.rules.scopes.push(self.rules.tokens.requirement::<S>());
        self.rules.anonymous = false;
        self
    }

    /// Takes the client's address from `X-Forwarded-For` where the socket's is one of these proxies. Without it, what is written in headers
    /// counts for nothing; a [`ClientAddress`](crate::ClientAddress) in the extensions still wins.
    pub fn behind(mut self, proxies: TrustedProxies) -> TokenLayer {
        self.rules.proxies = Some(proxies);
        self
    }

    /// Lets requests for exactly these paths through without looking at tokens, such as `/healthz`. The path is compared as it was
    /// sent, and as the layer sees it: inside a scope, without the prefix of the scope.
    pub fn except(mut self, paths: impl IntoIterator<Item = impl Into<Box<str>>>) -> TokenLayer {
        self.rules.except.extend(paths.into_iter().map(Into::into));
        self
    }
}

impl<S, B> Transform<S, ServiceRequest> for TokenLayer
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = TokenService<S>;
    type InitError = ();
    type Future = Ready<Result<TokenService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        // Of this worker's own: what each request counts itself in is shared with no other thread.
        ready(Ok(TokenService { inner: Rc::new(inner), rules: Rc::new(self.rules.clone()) }))
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
    rules: Rc<Rules>,
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
    fn excepts(&self, request: &ServiceRequest) -> bool {
        !self.except.is_empty() && {
            let path = within_scopes(request);
            self.except.iter().any(|except| **except == *path)
        }
    }

    /// What can be said at once, without a future: `None` if the store has to be asked. Inlined like what follows it, so that a token is
    /// not copied from one answer into the next: reading as a whole what was just written in parts, a processor waits.
    #[inline(always)]
    fn admit_at_once(self: &Rc<Rules>, request: &ServiceRequest) -> Option<Result<Admission, Refusal>> {
        if let Some(token) = self.verified_before(&request.extensions()) {
            return Some(self.check_scopes(token).map(|()| Admission::Before));
        }
        let credential = self.read_credential(request.headers());
        if self.anonymous && matches!(credential, Err(CredentialError::Missing)) {
            return Some(Ok(self.pass(None, None)));
        }
        let credential = credential.as_ref().map_err(|error| *error);
        match self.tokens.authenticate_cached(credential, self.caller(request))? {
            Ok(token) => Some(self.judge(token, request)),
            Err(refusal) => Some(Err(refusal)),
        }
    }

    /// What the store has to be asked for, of a request that nothing could be said of at once.
    async fn admit(self: &Rc<Rules>, request: &ServiceRequest) -> Result<Admission, Refusal> {
        let credential = self.read_credential(request.headers());
        let token = self.tokens.authenticate(credential, self.caller(request)).await?;
        self.judge(token, request)
    }

    #[inline(always)]
    fn caller(&self, request: &ServiceRequest) -> Caller {
        caller(request, self.proxies.as_ref())
    }

    fn read_credential<'a>(&self, headers: &'a HeaderMap) -> Result<Credential<'a>, CredentialError> {
        let sources = self.tokens.sources();
        let values = |asked: HeaderName| headers.get_all(asked).map(HeaderValue::as_bytes);
        // A name is looked for as soon as its values are asked for.
        let api_key = sources.api_key_header.then(|| values(X_API_KEY));
        sources.read(values(AUTHORIZATION), api_key.into_iter().flatten())
    }

    #[inline(always)]
    fn judge(self: &Rc<Rules>, token: Verified, request: &ServiceRequest) -> Result<Admission, Refusal> {
        self.check_scopes(&token)?;
        let kept = self.tokens.count_use(&token, client(request.headers()).map(HeaderValue::as_bytes));
        let kept = kept.then(|| self.keep(&token, Called::of(request.request())));
        Ok(self.pass(Some(token), kept))
    }

    #[inline(always)]
    fn pass(self: &Rc<Rules>, token: Option<Verified>, kept: Option<KeptCall>) -> Admission {
        Admission::Passed(Passed { rules: Rc::clone(self), token }, kept)
    }

    #[cold]
    fn keep(&self, token: &Verified, called: Called) -> KeptCall {
        let (tokens, token) = (self.tokens.clone(), token.clone());
        KeptCall(Box::new(Kept { tokens, token, called, route: None, refused: false }))
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

    /// Notes the call and answers it.
    fn refuse<B>(&self, request: ServiceRequest, refusal: &Refusal) -> ServiceResponse<EitherBody<B>> {
        let (called, route) = (Called::of(request.request()), request.match_pattern());
        let call = called.call(route.as_deref());
        match self.verified_before(&request.extensions()) {
            // A layer further out has counted its use.
            Some(token) => self.tokens.tally_refused_use(token, refusal.reason(), &call),
            None => self.tokens.tally_refused_call(refusal, self.caller(&request), &call),
        }
        let answer = refusal.answer(self.tokens.realm(), self.tokens.sources());
        request.into_response(respond(answer)).map_into_right_body()
    }
}

/// One of the few calls that are kept, until it has ended: with the response, or with a client that went away.
struct KeptCall(Box<Kept>);

struct Kept {
    tokens: Tokens,
    token: Verified,
    called: Called,
    route: Option<String>,
    /// Then it is kept with the refusal instead.
    refused: bool,
}

impl Drop for KeptCall {
    fn drop(&mut self) {
        let Kept { tokens, token, called, route, refused } = &*self.0;
        if !refused {
            tokens.keep_call(token, &called.call(route.as_deref()));
        }
    }
}

/// Notes how a request has ended that was let through. Most leave nothing to note.
#[inline]
fn end<B>(kept: &mut Option<KeptCall>, outcome: &Result<ServiceResponse<B>, Error>) {
    let refused = match outcome {
        Ok(done) => refusal_of(done.response()),
        Err(error) => refusal_of_error(error),
    };
    if kept.is_some() || refused.is_some() {
        // By now the request has been matched to the end. With an error it is gone.
        note_end(kept.take(), refused, outcome.as_ref().ok().and_then(|done| done.request().match_pattern()));
    }
}

#[cold]
fn note_end(mut kept: Option<KeptCall>, refused: Option<Refused>, route: Option<String>) {
    if let Some(refused) = &refused {
        refused.tally(route.as_deref());
    }
    if let Some(KeptCall(kept)) = &mut kept {
        (kept.route, kept.refused) = (route, refused.is_some());
    }
}

/// Keeps credentials out of whatever prints the headers of a request, such as a logger further in.
pub(crate) fn hide_credentials(headers: &mut HeaderMap) {
    headers.retain(|name, value| {
        if *name == AUTHORIZATION || *name == X_API_KEY || *name == COOKIE {
            value.set_sensitive(true);
        }
        true
    });
}

/// A service behind a [`TokenLayer`].
#[derive(Debug)]
pub struct TokenService<S> {
    inner: Rc<S>,
    rules: Rc<Rules>,
}

impl<S, B> Service<ServiceRequest> for TokenService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = TokenFuture<S, B>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, mut request: ServiceRequest) -> TokenFuture<S, B> {
        hide_credentials(request.headers_mut());
        let stage = if self.rules.excepts(&request) {
            Stage::Running { response: self.inner.call(request), kept: None }
        } else {
            match self.rules.admit_at_once(&request) {
                Some(Ok(admission)) => {
                    let kept = admission.note(&request);
                    Stage::Running { response: self.inner.call(request), kept }
                }
                Some(Err(refusal)) => Stage::Refused { response: Some(Box::new(self.rules.refuse(request, &refusal))) },
                None => Stage::Verifying {
                    verification: Box::pin(verify(Rc::clone(&self.rules), request)),
                    inner: Rc::clone(&self.inner),
                    rules: Rc::clone(&self.rules),
                },
            }
        };
        TokenFuture { stage }
    }
}

type Verification = Pin<Box<dyn Future<Output = (ServiceRequest, Result<Admission, Refusal>)>>>;

async fn verify(rules: Rc<Rules>, request: ServiceRequest) -> (ServiceRequest, Result<Admission, Refusal>) {
    let admission = rules.admit(&request).await;
    (request, admission)
}

pin_project! {
    /// The response of a service behind a [`TokenLayer`].
    pub struct TokenFuture<S, B>
    where
        S: Service<ServiceRequest>,
    {
        #[pin]
        stage: Stage<S, B>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<S, B>
    where
        S: Service<ServiceRequest>,
    {
        // Apart, since few are refused, and all are moved.
        Refused { response: Option<Box<ServiceResponse<EitherBody<B>>>> },
        Verifying { verification: Verification, inner: Rc<S>, rules: Rc<Rules> },
        Running { #[pin] response: S::Future, kept: Option<KeptCall> },
    }
}

impl<S, B> Future for TokenFuture<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Output = Result<ServiceResponse<EitherBody<B>>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        loop {
            let next = match stage.as_mut().project() {
                // Taken once: what is ready is not polled again.
                StageProjection::Refused { response } => {
                    return response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(*response)));
                }
                StageProjection::Verifying { verification, inner, rules } => {
                    let (request, admission) = ready!(verification.as_mut().poll(context));
                    match admission {
                        Ok(admission) => {
                            let kept = admission.note(&request);
                            Stage::Running { response: inner.call(request), kept }
                        }
                        Err(refusal) => return Poll::Ready(Ok(rules.refuse(request, &refusal))),
                    }
                }
                StageProjection::Running { response, kept } => {
                    let polled = response.poll(context);
                    if let Poll::Ready(outcome) = &polled {
                        end(kept, outcome);
                    }
                    return polled.map_ok(ServiceResponse::map_into_left_body);
                }
            };
            stage.set(next);
        }
    }
}

impl Admission {
    /// Leaves word in the request for what is behind the layer.
    #[inline(always)]
    fn note(self, request: &ServiceRequest) -> Option<KeptCall> {
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
    S: Service<ServiceRequest>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFuture").finish_non_exhaustive()
    }
}
