//! Verification: from the credential of a request to a token that may do something, or a refusal.

use std::net::IpAddr;
use std::sync::Arc;

use crate::bearer::{Credential, CredentialError};
use crate::clock::Time;
use crate::format::Parsed;
use crate::keyring::KeyIndex;
use crate::near::Held;
use crate::network::Packed;
use crate::receipt::Receipt;
use crate::refusal::{Reason, Refusal};
use crate::scope::{Resources, Rights, Scope, ScopeDef, ScopeIndex};
use crate::secret::Selector;
use crate::snapshot::Snapshot;
use crate::tally::{Refused, Used};
use crate::text::{OwnerId, TokenName};
use crate::token::TokenId;
use crate::usage::{Call, Redigest};

use super::{Inner, Tokens};

/// Who sends a request, as far as the host knows.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Caller {
    /// The client's address: the socket's, or what a trusted proxy says. `None` refuses tokens that are restricted to networks.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// A caller at this address. An IPv4 address mapped into IPv6 is taken as IPv4.
    #[inline]
    #[must_use]
    pub fn at(address: IpAddr) -> Caller {
        Caller { address: Some(address.to_canonical()) }
    }
}

/// A token of ours as it was presented.
pub(super) struct Presented {
    pub(super) token: TokenId,
    pub(super) at: Time,
    /// Taken apart where it is looked at, which is after few verifications.
    pub(super) address: Packed,
    /// Whether the secret was right.
    pub(super) proven: bool,
}

/// A token that was verified for one request.
#[derive(Debug, Clone)]
pub struct Verified {
    snapshot: Held,
    at: Time,
    address: Packed,
}

impl Verified {
    /// The token's id.
    #[must_use]
    pub fn token_id(&self) -> TokenId {
        self.snapshot.token
    }

    /// Whom the token acts for.
    #[must_use]
    pub fn owner(&self) -> &OwnerId {
        &self.snapshot.owner
    }

    /// What people call the token.
    #[must_use]
    pub fn name(&self) -> &TokenName {
        &self.snapshot.name
    }

    /// The selector of the secret that was presented; safe to log.
    #[must_use]
    pub fn selector(&self) -> Selector {
        self.snapshot.selector
    }

    /// When the token ends; `None` is never.
    #[must_use]
    pub fn expires_at(&self) -> Option<Time> {
        self.snapshot.expires_at()
    }

    /// Its use, by a client that calls itself so.
    #[inline(always)]
    fn used<'a>(&self, client: Option<&'a [u8]>) -> Used<'a> {
        let Verified { snapshot, at, address } = self;
        let client = client.unwrap_or_default();
        Used { token: snapshot.token, generation: snapshot.generation, at: *at, address: *address, client }
    }

    /// Whether the token, under its owner's ceiling, allows the scope on every resource.
    #[must_use]
    pub fn allows_everywhere<S: Scope>(&self) -> bool {
        let catalog = &self.snapshot.catalog;
        catalog.index_of::<S>().is_some_and(|scope| self.snapshot.rights.allows_everywhere(scope))
    }

    /// The scopes that the token, under its owner's ceiling, allows on every resource, in the order of the catalog.
    pub fn scopes(&self) -> impl Iterator<Item = &'static str> {
        let (catalog, rights) = (&self.snapshot.catalog, &self.snapshot.rights);
        let allowed = |name: &&str| catalog.index(name).is_some_and(|scope| rights.allows_everywhere(scope));
        catalog.scopes().iter().map(|scope| scope.name).filter(allowed)
    }

    /// Whether the token allows the scope of this name on every resource.
    #[cfg(feature = "testing")]
    pub(crate) fn allows_scope(&self, scope: &str) -> bool {
        let scope = self.snapshot.catalog.index(scope);
        scope.is_some_and(|scope| self.snapshot.rights.allows_everywhere(scope))
    }

    /// Whether the token, under its owner's ceiling, allows the scope on this resource.
    #[must_use]
    pub fn allows<S: Scope>(&self, resource: &str) -> bool {
        let catalog = &self.snapshot.catalog;
        catalog.index_of::<S>().is_some_and(|scope| self.snapshot.rights.allows(scope, resource))
    }

    /// The resources on which the token, under its owner's ceiling, allows the scope; `None` if there are none.
    #[must_use]
    pub fn resources<S: Scope>(&self) -> Option<Resources> {
        let catalog = &self.snapshot.catalog;
        catalog.index_of::<S>().and_then(|scope| self.snapshot.rights.resources(scope))
    }
}

/// What [`Tokens::require`] asks of a token, to be asked of many: the scope is looked up once. Made by [`Tokens::requirement`].
#[derive(Debug, Clone)]
pub struct Requirement {
    tokens: Tokens,
    def: ScopeDef,
    /// `None` if the catalog does not declare it: nothing meets that.
    scope: Option<ScopeIndex>,
}

impl Requirement {
    /// Checks that a verified token has the scope on every resource. A refusal is tallied here.
    ///
    /// # Errors
    /// [`Refusal`] of class [`InsufficientScope`](crate::Class::InsufficientScope).
    #[inline]
    pub fn check(&self, token: &Verified) -> Result<(), Refusal> {
        self.tokens.require_defined(token, &self.def, self.scope, everywhere)
    }
}

/// Whether rights reach every resource with a scope.
fn everywhere(rights: &Rights, scope: ScopeIndex) -> Option<()> {
    rights.allows_everywhere(scope).then_some(())
}

impl Tokens {
    /// Verifies the credential of a request: everything but the route's scope. A refusal is tallied here.
    ///
    /// # Errors
    /// [`Refusal`], with the answer for the client and the exact reason for everyone else.
    pub async fn authenticate(
        &self,
        credential: Result<Credential<'_>, CredentialError>,
        caller: Caller,
    ) -> Result<Verified, Refusal> {
        let parsed = match self.parse(credential.as_ref().map_err(|error| *error)) {
            Ok(parsed) => parsed,
            Err(reason) => return Err(self.refused(reason)),
        };
        match self.look_up(parsed, caller) {
            Some(answer) => answer,
            None => self.load_and_verify(parsed, caller).await,
        }
    }

    /// What [`authenticate`](Tokens::authenticate) would answer, if that takes no asking of the store: for an adapter to try before
    /// it makes a future. `None` on a miss, of which nothing is tallied.
    ///
    /// The store is not asked for what is malformed, nor for a secret that was verified within the bound of
    /// [`Builder::max_staleness`](crate::Builder::max_staleness) and not changed since, as far as this process knows.
    #[inline]
    pub fn authenticate_cached(
        &self,
        credential: Result<&Credential<'_>, CredentialError>,
        caller: Caller,
    ) -> Option<Result<Verified, Refusal>> {
        match self.parse(credential) {
            Ok(parsed) => self.look_up(parsed, caller),
            Err(reason) => Some(Err(self.refused(reason))),
        }
    }

    #[inline(always)]
    fn parse<'a>(&self, credential: Result<&'a Credential<'_>, CredentialError>) -> Result<Parsed<'a>, Reason> {
        match credential {
            Ok(credential) => self.0.format.parse(credential.expose_secret()).map_err(Reason::from),
            Err(error) => Err(error.into()),
        }
    }

    /// What can be said without the store. Inlined, or every verification copies its answer once more.
    #[inline(always)]
    fn look_up(&self, parsed: Parsed<'_>, caller: Caller) -> Option<Result<Verified, Refusal>> {
        let Inner { cache, keyring, clock, .. } = &*self.0;
        let selector = parsed.selector();
        // What this thread keeps is looked at first, and what all share if that won't do.
        if let Some(kept) = cache.kept(&selector) {
            // The MAC at every request: what is cached is what it is compared with, not that it was right.
            let right = kept.is_of(parsed.verifier(), keyring);
            // The clock last: it is what everything is as late as, and a processor that reads it waits for what was begun before.
            let now = clock.reading();
            if cache.may_serve_kept(&kept, now) {
                return Some(self.judge(parsed, Held::Kept(kept), right, now.wall, caller));
            }
        }
        let snapshot = cache.shared(&selector)?;
        let right = snapshot.is_of(parsed.verifier(), keyring);
        let now = clock.reading();
        let may_serve = cache.may_serve_shared(&snapshot, now);
        may_serve.then(|| self.judge(parsed, Held::Shared(snapshot), right, now.wall, caller))
    }

    #[inline(always)]
    fn judge(
        &self,
        parsed: Parsed<'_>,
        snapshot: Held,
        right: bool,
        now: Time,
        caller: Caller,
    ) -> Result<Verified, Refusal> {
        let counters = &self.0.counters;
        match if right { snapshot.standing(caller.address, now) } else { Err(Reason::WrongVerifier) } {
            Ok(()) => {
                counters.accepted_on_hit();
                Ok(self.verified(parsed, snapshot, now, caller))
            }
            Err(reason) => {
                counters.refused_on_hit();
                let address = Packed::new(caller.address);
                let presented = Presented { token: snapshot.token, at: now, address, proven: right };
                Err(self.refused_token(reason, presented, None))
            }
        }
    }

    #[inline(always)]
    pub(super) fn verified(&self, parsed: Parsed<'_>, snapshot: Held, at: Time, caller: Caller) -> Verified {
        if snapshot.shown.key != KeyIndex::CURRENT {
            self.0.remake_digest(parsed, &snapshot);
        }
        Verified { snapshot, at, address: Packed::new(caller.address) }
    }

    /// The receipt of a refusal, of the present moment unless it was judged by another.
    pub(crate) fn receipt_for(&self, reason: Reason, of: Option<(TokenId, Time)>) -> Option<Receipt> {
        let inner = &*self.0;
        let at = of.map_or_else(|| inner.clock.now(), |(_, at)| at);
        Receipt::issue(&inner.keyring, &inner.random, at, of.map(|(token, _)| token), reason)
            .map_err(|error| tracing::error!(error = %error, "no receipt could be made for a refusal"))
            .ok()
    }

    /// The refusal of a request that carries no credential that can be read: for a handler that an anonymous request may not
    /// reach.
    #[must_use]
    pub fn refuse(&self, error: CredentialError) -> Refusal {
        self.refused(error.into())
    }

    /// A refusal that names no token of ours. Cheap: there may be any number of them.
    pub(super) fn refused(&self, reason: Reason) -> Refusal {
        self.0.counters.refused(reason);
        tracing::debug!(%reason, "request refused");
        Refusal::new(reason, self.0.id)
    }

    /// A refusal of a token of ours, which is tallied if it was presented by someone who knows its secret: what strangers do leaves no
    /// rows.
    pub(super) fn refused_token(&self, reason: Reason, presented: Presented, needed: Option<&'static str>) -> Refusal {
        let Presented { token, at, address, proven } = presented;
        self.0.counters.refused(reason);
        if proven {
            self.0.tally.refused(&Refused { token, reason, at, address: address.unpacked() });
        }
        if reason == Reason::AddressUnknown {
            self.0.say_that_addresses_are_unknown();
        }
        tracing::debug!(%reason, %token, needed, "request refused");
        let refusal = Refusal::new(reason, self.0.id).of(token, at).proven(proven);
        needed.into_iter().fold(refusal, Refusal::needing)
    }

    /// Checks that a verified token has the scope on every resource. A refusal is tallied here.
    ///
    /// # Errors
    /// [`Refusal`] of class [`InsufficientScope`](crate::Class::InsufficientScope).
    #[inline]
    pub fn require<S: Scope>(&self, token: &Verified) -> Result<(), Refusal> {
        self.require_that::<S, _>(token, everywhere)
    }

    /// The same for a route that asks it of every request.
    #[must_use]
    pub fn requirement<S: Scope>(&self) -> Requirement {
        Requirement { tokens: self.clone(), def: S::DEF, scope: self.0.catalog.index_of::<S>() }
    }

    /// Checks that a verified token has the scope on this resource. A refusal is tallied here.
    ///
    /// # Errors
    /// [`Refusal`] of class [`InsufficientScope`](crate::Class::InsufficientScope).
    pub fn require_on<S: Scope>(&self, token: &Verified, resource: &str) -> Result<(), Refusal> {
        self.require_that::<S, _>(token, |rights, scope| rights.allows(scope, resource).then_some(()))
    }

    /// Checks that a verified token has the scope on some resource, and says on which. A refusal is tallied here.
    ///
    /// # Errors
    /// [`Refusal`] of class [`InsufficientScope`](crate::Class::InsufficientScope).
    pub fn require_some<S: Scope>(&self, token: &Verified) -> Result<Resources, Refusal> {
        self.require_that::<S, _>(token, Rights::resources)
    }

    /// As [`require`](Tokens::require), of a scope by its name, such as one that an operator wrote into a proxy's configuration. `None`
    /// if the catalog does not declare it.
    pub fn require_named(&self, token: &Verified, scope: &str) -> Option<Result<(), Refusal>> {
        let def = self.catalog().scopes().iter().find(|def| def.name == scope)?;
        Some(self.require_defined(token, def, token.snapshot.catalog.index(def.name), everywhere))
    }

    #[inline(always)]
    fn require_that<S: Scope, T>(
        &self,
        token: &Verified,
        holds: impl FnOnce(&Rights, ScopeIndex) -> Option<T>,
    ) -> Result<T, Refusal> {
        self.require_defined(token, &S::DEF, token.snapshot.catalog.index_of::<S>(), holds)
    }

    #[inline(always)]
    fn require_defined<T>(
        &self,
        token: &Verified,
        def: &ScopeDef,
        scope: Option<ScopeIndex>,
        holds: impl FnOnce(&Rights, ScopeIndex) -> Option<T>,
    ) -> Result<T, Refusal> {
        let snapshot = &*token.snapshot;
        // What another service has verified is nothing here.
        let ours = Arc::ptr_eq(&snapshot.catalog, &self.0.catalog);
        match scope.filter(|_| ours).and_then(|scope| Some((scope, holds(&snapshot.rights, scope)?))) {
            Some((scope, held)) => {
                if snapshot.exercised.note(scope) {
                    self.exercised(token, scope);
                }
                Ok(held)
            }
            None => {
                let Verified { at, address, .. } = *token;
                let presented = Presented { token: snapshot.token, at, address, proven: true };
                Err(self.lacking(presented, def))
            }
        }
    }

    /// Told what it needs of a token rather than given the token, which need not be in memory for it.
    #[cold]
    fn lacking(&self, presented: Presented, scope: &ScopeDef) -> Refusal {
        if self.0.catalog.index(scope.name).is_none() {
            tracing::error!(
                scope = scope.name,
                "a route needs a scope that the catalog does not declare; nothing is allowed there"
            );
        }
        self.refused_token(Reason::InsufficientScope, presented, Some(scope.name))
    }

    /// Tallies a use: called once for each request that a verified token was let through, with what is known of the request.
    #[inline]
    pub fn tally_use(&self, token: &Verified, call: &Call<'_>) {
        if self.count_use(token, call.client) {
            self.keep_call(token, call);
        }
    }

    /// The same for what learns only later how the request ends, or what was called: counts the use, with what the client calls
    /// itself, and says whether the call is one of the few that are kept, by [`keep_call`](Tokens::keep_call) when it has ended. If
    /// it is refused after all, [`tally_refused_use`](Tokens::tally_refused_use) takes the use back.
    #[inline]
    #[must_use = "a call that is to be kept is told when it has ended"]
    pub fn count_use(&self, token: &Verified, client: Option<&[u8]>) -> bool {
        self.0.tally.used(&token.used(client))
    }

    /// Keeps a call whose use was counted.
    pub fn keep_call(&self, token: &Verified, call: &Call<'_>) {
        // Without a method nobody has said what was called.
        if !call.method.is_empty() {
            self.0.tally.keep_call(&token.used(None), call);
        }
    }

    #[cold]
    fn exercised(&self, token: &Verified, scope: ScopeIndex) {
        self.0.tally.exercised(&token.used(None), scope);
    }

    /// Puts a request that was refused among the calls of its token, if whoever sent it knows the token's secret. The refusal itself
    /// is counted already.
    pub fn tally_refused_call(&self, refusal: &Refusal, caller: Caller, call: &Call<'_>) {
        if let Some((token, at)) = refusal.counts_for() {
            let refused = Refused { token, reason: refusal.reason(), at, address: caller.address };
            self.0.tally.refused_call(&refused, call);
        }
    }

    /// The same for a request that was refused after its use had been counted, which is taken back. If it was stored meanwhile, it
    /// stays, beside the refusal.
    pub fn tally_refused_use(&self, token: &Verified, reason: Reason, call: &Call<'_>) {
        self.0.tally.take_back(&token.used(None));
        let Verified { snapshot, at, address } = token;
        let refused = Refused { token: snapshot.token, reason, at: *at, address: address.unpacked() };
        self.0.tally.refused_call(&refused, call);
    }
}

impl Inner {
    /// What is wrong is most likely how the service is set up, whatever asks it: every such request would say it again.
    #[cold]
    fn say_that_addresses_are_unknown(&self) {
        self.address_unknown.call_once(|| {
            tracing::warn!(
                "a token that is restricted to networks was refused, since the client's address is not known; serve on a socket that \
                 knows its peer (on axum: `into_make_service_with_connect_info::<SocketAddr>()`), name your proxies with \
                 `TokenLayer::behind` and `Management::trusted_proxies`, or put a `ClientAddress` into the request's extensions; where \
                 a service asks about a token by introspection, nobody knows it; this is said once"
            );
        });
    }

    /// Makes the digest of a secret under the current key, for the next flush to store: once for each snapshot.
    #[cold]
    fn remake_digest(&self, parsed: Parsed<'_>, snapshot: &Snapshot) {
        if !snapshot.redigest.first() {
            return;
        }
        self.tally.redigested(Redigest {
            selector: snapshot.selector,
            from: self.keyring.id(snapshot.shown.key).clone(),
            to: self.keyring.current().clone(),
            digest: self.keyring.digest(parsed.verifier(), snapshot.token, snapshot.generation),
        });
    }
}
