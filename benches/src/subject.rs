//! What is measured: a service as a host builds it, with tokens made by it, and the way of a request through it.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use token_core::{
    Actor, ActorId, Background, Call, Caller, Ceiling, Credential, CredentialError, Grant, Grants, Keyring, NewToken,
    OwnerId, Policy, Refusal, Risk, TokenName, TokenStore, Tokens, Verified,
};

use crate::Trouble;
use crate::shelf::Shelf;

token_core::scopes! {
    /// Eight scopes, all of which every token here has.
    pub fn catalog;
    pub ProjectsRead = "projects:read", "See your projects", "Projects", Risk::Low;
    pub ProjectsWrite = "projects:write", "Change your projects", "Projects", Risk::Medium;
    pub ReportsRead = "reports:read", "See your reports", "Reports", Risk::Low;
    pub ReportsWrite = "reports:write", "Change your reports", "Reports", Risk::Medium;
    pub PeopleRead = "people:read", "See people", "People", Risk::Low;
    pub PeopleWrite = "people:write", "Change people", "People", Risk::High;
    pub BillsRead = "bills:read", "See bills", "Bills", Risk::Low;
    pub BillsPay = "bills:pay", "Pay bills", "Bills", Risk::High;
}

/// Makes a service on the runtime that is to serve it.
pub type Building = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Result<(Tokens, Background), Trouble>>>> + Send>;

/// No secret: what is under it is thrown away.
const KEYS: &str = "bench:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// Tokens that one owner has.
const OF_ONE_OWNER: usize = 10;

/// How much the service keeps, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// Snapshots in the cache.
    pub snapshots: usize,
    /// How old they may grow.
    pub max_staleness: Duration,
}

impl Keeping {
    /// All of so many tokens, for as long as a measurement takes.
    #[must_use]
    pub fn all(tokens: usize) -> Keeping {
        // Shards of a cache fill unevenly: with room to spare none of them drops what others still have room for.
        Keeping { snapshots: tokens + tokens / 4 + 1000, max_staleness: Duration::from_secs(3600) }
    }

    /// Nothing: each token that comes is a miss, if it is not the one that came before.
    #[must_use]
    pub fn nothing() -> Keeping {
        Keeping { snapshots: 1, max_staleness: Duration::from_millis(100) }
    }

    /// What a host gets that chooses nothing.
    #[must_use]
    pub fn default_of_the_service() -> Keeping {
        Keeping { snapshots: 100_000, max_staleness: Duration::from_secs(5) }
    }
}

/// A service, and the header values of its tokens.
#[derive(Debug)]
pub struct Subject {
    /// The service.
    pub tokens: Tokens,
    /// `Bearer …` of each token.
    pub headers: Vec<Box<[u8]>>,
}

/// Where requests come from.
#[must_use]
pub fn caller() -> Caller {
    Caller::at(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Builds the service on a store.
///
/// # Errors
/// If the store fails.
pub async fn build(store: Arc<dyn TokenStore>, keeping: Keeping) -> Result<(Tokens, Background), Trouble> {
    let policy = Policy { live_tokens_per_owner: u32::MAX, ..Policy::default() };
    let builder = Tokens::builder_on(store).prefix("acme_live").keyring(Keyring::parse(KEYS)?);
    let builder = builder.catalog(catalog()).initial_policy(policy);
    let builder = builder.cache_size(keeping.snapshots).max_staleness(keeping.max_staleness);
    Ok(builder.build().await?)
}

/// The header value of a new token of this owner, with all scopes.
///
/// # Errors
/// If the store fails.
pub async fn mint(tokens: &Tokens, owner: &str) -> Result<Box<[u8]>, Trouble> {
    let admin = Actor::admin(ActorId::new("bench")?, Ceiling::Everything);
    let all = catalog().iter().map(|scope| Grant::all(scope.name)).collect::<Result<Vec<_>, _>>()?;
    let owner = Some(OwnerId::new(owner)?);
    let request = NewToken { owner, ..NewToken::new(TokenName::new("bench")?, Grants::new(all)?) };
    let minted = tokens.manage(&admin).create(&request).await?;
    let text = minted.text.ok_or("a new token is shown")?;
    Ok(format!("Bearer {}", text.expose_secret()).into_bytes().into())
}

impl Subject {
    /// A service with so many tokens on a store. The background is for whoever runs it for longer than a moment.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn on(
        store: Arc<dyn TokenStore>,
        keeping: Keeping,
        count: usize,
    ) -> Result<(Subject, Background), Trouble> {
        let (tokens, background) = build(store, keeping).await?;
        // Each owner's tokens one after the other, owners side by side: a database has room for more than one at a time.
        let owners = stream::iter(0..count.div_ceil(OF_ONE_OWNER)).map(|owner| {
            let tokens = &tokens;
            async move {
                let mut headers = Vec::new();
                for _ in owner * OF_ONE_OWNER..count.min((owner + 1) * OF_ONE_OWNER) {
                    headers.push(mint(tokens, &format!("owner-{owner}")).await?);
                }
                Ok::<_, Trouble>(headers)
            }
        });
        let headers: Vec<Vec<_>> = owners.buffered(8).try_collect().await?;
        Ok((Subject { tokens, headers: headers.concat() }, background))
    }

    /// A service in memory, with all of its tokens in the cache.
    ///
    /// # Errors
    /// If a token is refused.
    pub async fn in_memory(count: usize) -> Result<Subject, Trouble> {
        let (subject, background) = Subject::on(Arc::new(Shelf::default()), Keeping::all(count), count).await?;
        // Turned once, so that it does not complain; nothing measured here lives long enough to need it.
        background.turn().await?;
        subject.warm().await?;
        Ok(subject)
    }

    /// Verifies every token once.
    ///
    /// # Errors
    /// If one is refused.
    pub async fn warm(&self) -> Result<(), Trouble> {
        for header in &self.headers {
            verify(&self.tokens, header).await.map_err(|refusal| refusal.reason().as_str())?;
        }
        Ok(())
    }
}

/// The credential of a request with this header.
#[inline(always)]
pub fn credential<'a>(tokens: &Tokens, header: &'a [u8]) -> Result<Credential<'a>, CredentialError> {
    tokens.sources().read([header], [])
}

/// Verification, whether the token is cached or not.
///
/// # Errors
/// The refusal.
pub async fn verify(tokens: &Tokens, header: &[u8]) -> Result<Verified, Refusal> {
    tokens.authenticate(credential(tokens, header), caller()).await
}

/// What an adapter does of its own accord before anything else: from the header to a verified token, if it is in the cache.
#[inline(always)]
#[must_use]
pub fn verify_cached(tokens: &Tokens, header: &[u8]) -> Option<Result<Verified, Refusal>> {
    let credential = credential(tokens, header);
    tokens.authenticate_cached(credential.as_ref().map_err(|error| *error), caller())
}

/// What a request to one route of a service says of itself.
const CALL: Call<'static> =
    Call { method: "GET", route: Some("/projects/{id}"), client: Some(b"python-requests/2.32.3") };

/// The whole way of a request with a token that is cached: header, verification, scope, and its use counted. Whether it may pass.
/// Inlined as these steps are in the adapters, so that no copy is measured that only this function makes.
#[inline(always)]
#[must_use]
pub fn pass(tokens: &Tokens, header: &[u8]) -> bool {
    let Some(Ok(verified)) = verify_cached(tokens, header) else { return false };
    let allowed = tokens.require::<ProjectsRead>(&verified).is_ok();
    if allowed {
        tokens.tally_use(&verified, &CALL);
    }
    allowed
}

/// The same for a token that may have to be loaded first.
pub async fn pass_or_load(tokens: &Tokens, header: &[u8]) -> bool {
    if pass(tokens, header) {
        return true;
    }
    let Ok(verified) = verify(tokens, header).await else { return false };
    let allowed = tokens.require::<ProjectsRead>(&verified).is_ok();
    if allowed {
        tokens.tally_use(&verified, &CALL);
    }
    allowed
}
