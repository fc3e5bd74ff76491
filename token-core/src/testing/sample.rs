//! Sample rows and changes to check stores with.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;

use crate::change::{Change, ChangeId, Committed, Fingerprint, LongerLife, OwnerGuard, Write};
use crate::clock::{ManualClock, Time};
use crate::event::{Event, EventDetail, EventHead, Subject};
use crate::format::TokenFormat;
use crate::keyring::Keyring;
use crate::network::Networks;
use crate::owner::Owner;
use crate::policy::Policy;
use crate::random::Random;
use crate::scope::{Grant, Grants, ResourceSet, Resources, Risk, ScopeDef, ScopeName};
use crate::seal::Sealed;
use crate::secret::{Generation, Scheme, Secret};
use crate::service::Tokens;
use crate::store::TokenStore;
use crate::text::{ActorId, OwnerId, ResourceId, TokenName};
use crate::token::{SecretRef, Superseded, Token, TokenId};

/// What a check answers: nothing, or what was seen instead.
pub(super) type Checked<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// What was seen, unless the condition holds.
pub(super) fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(seen().into()) }
}

pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: &T, expected: &T) -> Checked {
    ensure(seen == expected, || format!("{what}: {seen:?} instead of {expected:?}"))
}

/// A key for tests; no secret.
pub(super) const KEYRING: &str =
    "test-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8,test-2:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA";

pub(super) fn time(seconds: i64) -> Time {
    // With microseconds that a store which keeps less would lose.
    Time::from_micros(1_800_000_000_000_000 + seconds * 1_000_000 + 123_457).unwrap_or(Time::MAX)
}

/// Makes rows and changes whose only randomness is a fixed seed.
pub(super) struct Sample {
    pub(super) keyring: Keyring,
    random: Random,
    format: TokenFormat,
    /// Each token is made a second after the one before, so that their ids are in order.
    made: AtomicI64,
}

impl Sample {
    pub(super) fn new() -> Checked<Sample> {
        Ok(Sample {
            keyring: Keyring::parse(KEYRING)?,
            random: Random::injected(ChaCha20Rng::from_seed([3; 32])),
            format: TokenFormat::new("test")?,
            made: AtomicI64::new(0),
        })
    }

    pub(super) fn owner(&self, id: &str) -> Checked<Sealed<Owner>> {
        Ok(self.sealed_owner(Owner::new(OwnerId::new(id)?)))
    }

    pub(super) fn sealed_owner(&self, owner: Owner) -> Sealed<Owner> {
        Sealed::new(owner, &self.keyring)
    }

    pub(super) fn sealed(&self, token: &Token) -> Sealed<Token> {
        Sealed::new(token.clone(), &self.keyring)
    }

    /// A token of this owner at revision 0, before its first event.
    pub(super) fn token(&self, owner: &str, name: &str) -> Checked<(Token, Secret)> {
        let id = TokenId::new(time(self.made.fetch_add(1, Ordering::Relaxed)), &self.random)?;
        let secret = self.secret(id, Generation::FIRST)?;
        let token = Token {
            id,
            owner: OwnerId::new(owner)?,
            name: TokenName::new(name)?,
            grants: Grants::new([Grant::all("projects:read")?])?,
            networks: None,
            created_at: time(0),
            created_by: ActorId::new("sample")?,
            expires_at: None,
            revoked_at: None,
            current: SecretRef { generation: secret.generation, selector: secret.selector },
            superseded: None,
            revision: 0,
            head: EventHead::START,
        };
        Ok((token, secret))
    }

    /// A token with something in every field, at the ends of what fields may hold.
    pub(super) fn full_token(&self, owner: &str) -> Checked<(Token, Secret)> {
        let (token, secret) = self.token(owner, "Ünïcödé 🔑 %_'\"<b>\\ ")?;
        let some =
            ResourceSet::new(["b", "a", "Ä", "ä"].into_iter().map(ResourceId::new).collect::<Result<Vec<_>, _>>()?)?;
        let grants = Grants::new([
            Grant { scope: ScopeName::new("projects:read")?, resources: Resources::Only(some) },
            Grant::all("unknown-to.catalogs:act_1")?,
        ])?;
        let old = self.secret(token.id, Generation::FIRST)?;
        let token = Token {
            grants,
            networks: Some(Networks::parse(["198.51.100.0/24", "2001:db8::/32", "203.0.113.7"])?),
            created_by: ActorId::new("Ädmin ")?,
            expires_at: Some(Time::MAX),
            superseded: Some(Superseded {
                secret: SecretRef { generation: old.generation, selector: old.selector },
                until: time(1),
            }),
            ..token
        };
        Ok((token, secret))
    }

    pub(super) fn secret(&self, token: TokenId, generation: Generation) -> Checked<Secret> {
        let (_text, selector, verifier) = self.format.mint(&self.random)?;
        let digest = self.keyring.digest(verifier.as_bytes(), token, generation);
        let key = self.keyring.current().clone();
        Ok(Secret { selector, token, generation, scheme: Scheme::HmacSha256, digest, key })
    }

    pub(super) fn change(&self, event: Event, write: Write) -> Checked<Change> {
        let id = ChangeId::random(&self.random)?;
        let fingerprint = Fingerprint::of(&id.as_bytes())?;
        Ok(Change { id, fingerprint, event, write })
    }

    /// The token one revision on, and the event that leads there.
    pub(super) fn next(&self, token: &Token, detail: &EventDetail) -> Checked<(Token, Event)> {
        let subject = Subject::Token(token.id);
        let actor = ActorId::new("sample")?;
        let event = Event::after(token.head, subject, Some(token.owner.clone()), time(0), actor, detail)?;
        Ok((Token { revision: token.revision + 1, head: event.head(), ..token.clone() }, event))
    }

    /// A change that creates a token.
    pub(super) fn create(&self, token: Token, secret: Secret, owner: OwnerGuard, cap: u32) -> Checked<(Change, Token)> {
        let detail = EventDetail::Created {
            name: token.name.clone(),
            grants: token.grants.clone(),
            networks: token.networks.clone(),
            expires_at: token.expires_at,
            secret: token.current,
        };
        let (token, event) = self.next(&token, &detail)?;
        let write = Write::CreateToken { token: self.sealed(&token), secret, owner, cap, now: time(0) };
        Ok((self.change(event, write)?, token))
    }

    /// A change that updates a token to `after`, whose revision and head are those of the stored row.
    pub(super) fn update(
        &self,
        after: &Token,
        detail: &EventDetail,
        secret: Option<Secret>,
    ) -> Checked<(Change, Token)> {
        let (token, event) = self.next(after, detail)?;
        let write = Write::UpdateToken { token: self.sealed(&token), secret, longer: None };
        Ok((self.change(event, write)?, token))
    }

    /// A change that revokes a token.
    pub(super) fn revoke(&self, token: &Token, at: Time) -> Checked<(Change, Token)> {
        self.update(&Token { revoked_at: Some(at), ..token.clone() }, &EventDetail::Revoked, None)
    }

    /// A change by which a token lives longer, within a cap that is counted at time 0.
    pub(super) fn lengthen(&self, token: &Token, expires_at: Option<Time>, cap: u32) -> Checked<Change> {
        let expiry = Some(expires_at);
        let detail = EventDetail::Edited { name: None, grants: None, networks: None, expires_at: expiry };
        let (mut change, _) = self.update(&Token { expires_at, ..token.clone() }, &detail, None)?;
        if let Write::UpdateToken { longer, .. } = &mut change.write {
            *longer = Some(LongerLife { cap, now: time(0) });
        }
        Ok(change)
    }

    /// A change that renames a token.
    pub(super) fn rename(&self, token: &Token, name: &str) -> Checked<(Change, Token)> {
        let name = TokenName::new(name)?;
        let detail = EventDetail::Edited { name: Some(name.clone()), grants: None, networks: None, expires_at: None };
        self.update(&Token { name, ..token.clone() }, &detail, None)
    }

    /// A change that suspends an owner, and the owner after it.
    pub(super) fn suspend(&self, owner: &Owner) -> Checked<(Change, Owner)> {
        let subject = Subject::Owner(owner.id.clone());
        let actor = ActorId::new("sample")?;
        let event = Event::after(owner.head, subject, Some(owner.id.clone()), time(0), actor, &EventDetail::Suspended)?;
        let after =
            Owner { suspended_at: Some(time(0)), revision: owner.revision + 1, head: event.head(), ..owner.clone() };
        let write = Write::PutOwner { owner: self.sealed_owner(after.clone()), expected: Some(owner.revision) };
        Ok((self.change(event, write)?, after))
    }

    /// Stores a token with its owner, made on the way if it is new.
    pub(super) async fn store(&self, store: &dyn TokenStore, token: Token, secret: Secret) -> Checked<Token> {
        let guard = match store.owner(&token.owner).await? {
            None => OwnerGuard::New(self.owner(token.owner.as_str())?),
            Some(owner) => OwnerGuard::At { owner: token.owner.clone(), revision: owner.unverified().revision },
        };
        let (change, token) = self.create(token, secret, guard, u32::MAX)?;
        self.done(store, &change).await?;
        Ok(token)
    }

    /// Stores a plain token.
    pub(super) async fn stored(&self, store: &dyn TokenStore, owner: &str, name: &str) -> Checked<(Token, Secret)> {
        let (token, secret) = self.token(owner, name)?;
        Ok((self.store(store, token, secret.clone()).await?, secret))
    }

    /// Commits a change that nothing stands against.
    pub(super) async fn done(&self, store: &dyn TokenStore, change: &Change) -> Checked {
        same("a commit that nothing stands against", &store.commit(change).await?, &Committed::Done)
    }

    /// A whole service over the store, for races.
    pub(super) async fn service(store: Arc<dyn TokenStore>, cap: u32) -> Checked<(Tokens, Arc<ManualClock>)> {
        let clock = Arc::new(ManualClock::at(time(0)));
        let scope = |name| ScopeDef { name, says: "Sample", group: "Sample", risk: Risk::Low, implies: &[] };
        let (tokens, background) = Tokens::builder_on(store)
            .prefix("test")
            .keyring(Keyring::parse(KEYRING)?)
            .catalog([scope("projects:read"), scope("projects:write")])
            .initial_policy(Policy { live_tokens_per_owner: cap, ..Policy::default() })
            .clock(Arc::clone(&clock))
            .rng(ChaCha20Rng::from_seed([5; 32]))
            .build()
            .await?;
        drop(background);
        Ok((tokens, clock))
    }
}

pub(super) const LEASE: Duration = Duration::from_secs(60);
