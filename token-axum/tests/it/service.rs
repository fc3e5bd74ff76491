//! A service with one route of each kind, and the people who use it.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use token_core::testing::CountingStore;
use token_core::{
    Actor, ActorId, Background, Builder, Ceiling, Ceilings, Expiry, Grant, Grants, Keyring, ManualClock, Minted,
    Networks, NewToken, OwnerId, Reason, RecentCall, ResourceId, ResourceSet, Resources, Risk, ScopeName, Time, Token,
    TokenName, Tokens, Usage,
};

use crate::client::{Answer, request};
use crate::host;
use crate::store::{FailingStore, failing_store};

token_core::scopes! {
    pub(crate) fn catalog;
    pub(crate) ProjectsRead = "projects:read", "See your projects", "Projects", Risk::Low;
    pub(crate) ProjectsWrite = "projects:write", "Create and change projects", "Projects", Risk::Medium, implies "projects:read";
    pub(crate) BillingRead = "billing:read", "See your invoices", "Billing", Risk::Medium;
}

/// Declared nowhere.
#[derive(Debug, Clone)]
pub(crate) struct Undeclared;

impl token_core::Scope for Undeclared {
    const DEF: token_core::ScopeDef = token_core::ScopeDef {
        name: "un:declared",
        says: "Not in the catalog",
        group: "None",
        risk: Risk::Low,
        implies: &[],
    };
}

/// How the host answers when it is asked what an owner may do.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    Everything,
    Only(Grants),
    Deactivated,
    Fails,
    Panics,
}

#[derive(Clone)]
struct Host(Arc<Mutex<Word>>);

#[async_trait]
impl Ceilings for Host {
    async fn ceiling(&self, _owner: &OwnerId) -> Result<Option<Ceiling>, Box<dyn Error + Send + Sync>> {
        let word = self.0.lock().unwrap().clone();
        match word {
            Word::Everything => Ok(Some(Ceiling::Everything)),
            Word::Only(grants) => Ok(Some(Ceiling::Only(grants))),
            Word::Deactivated => Ok(None),
            Word::Fails => Err("canary-of-the-host".into()),
            Word::Panics => panic!("canary-of-the-host"),
        }
    }
}

pub(crate) struct Service {
    pub(crate) tokens: Tokens,
    pub(crate) background: Background,
    pub(crate) store: Arc<FailingStore>,
    pub(crate) statements: Arc<CountingStore>,
    pub(crate) clock: Arc<ManualClock>,
    word: Arc<Mutex<Word>>,
    pub(crate) address: SocketAddr,
}

impl Service {
    /// On a socket of the framework's, with the client's address known.
    pub(crate) async fn start() -> Service {
        Service::start_with(|builder| builder).await
    }

    pub(crate) async fn start_with(choose: impl FnOnce(Builder<Keyring>) -> Builder<Keyring>) -> Service {
        let store = Arc::new(failing_store());
        let statements = Arc::new(CountingStore::new(store.clone()));
        let clock = Arc::new(ManualClock::at("2027-01-31T10:00:00Z".parse().unwrap()));
        let word = Arc::new(Mutex::new(Word::Everything));
        let builder = Tokens::builder_on(statements.clone())
            .prefix("acme_test")
            .keyring(Keyring::parse(&Keyring::generate("k1").unwrap()).unwrap())
            .catalog(catalog())
            .clock(clock.clone())
            .ceilings(Host(word.clone()));
        let (tokens, background) = choose(builder).build().await.unwrap();

        let address = host::serve(&tokens).await;
        Service { tokens, background, store, statements, clock, word, address }
    }

    /// What the host says of owners from now on.
    pub(crate) fn host_says(&self, word: Word) {
        *self.word.lock().unwrap() = word;
    }

    /// A token of the owner.
    pub(crate) async fn mint(&self, grants: Grants) -> Minted {
        self.mint_as(&owner(), NewToken::new(name("deploy"), grants)).await
    }

    pub(crate) async fn mint_as(&self, actor: &Actor, request: NewToken) -> Minted {
        self.tokens.manage(actor).create(&request).await.unwrap()
    }

    pub(crate) async fn mint_for_networks(&self, networks: &[&str]) -> Minted {
        let networks = Some(Networks::parse(networks.iter().copied()).unwrap());
        self.mint_as(&owner(), NewToken { networks, ..NewToken::new(name("office"), all("projects:read")) }).await
    }

    pub(crate) async fn mint_until(&self, end: Time) -> Minted {
        let expiry = Some(Expiry::At(end));
        self.mint_as(&owner(), NewToken { expiry, ..NewToken::new(name("brief"), all("projects:read")) }).await
    }

    pub(crate) async fn anonymous(&self, method_and_path: &str) -> Answer {
        self.send(method_and_path, &[]).await
    }

    /// A request of whoever holds this text.
    pub(crate) async fn holder(&self, text: &str, method_and_path: &str) -> Answer {
        self.send(method_and_path, &[&bearer(text)]).await
    }

    pub(crate) async fn send(&self, method_and_path: &str, lines: &[&[u8]]) -> Answer {
        request(self.address, method_and_path, lines).await
    }

    /// The exact reason, as its receipt tells this actor.
    pub(crate) async fn reason(&self, actor: &Actor, answer: &Answer) -> Reason {
        self.tokens.manage(actor).receipt(&answer.receipt()).await.unwrap().reason
    }

    /// All that was counted of a token.
    pub(crate) async fn usage(&self, token: &Token) -> Usage {
        self.background.turn().await.unwrap();
        self.tokens.manage(&admin()).usage(token.id, Time::EPOCH).await.unwrap()
    }

    pub(crate) async fn uses(&self, token: &Token) -> u64 {
        self.usage(token).await.hours.iter().map(|hour| hour.count).sum()
    }

    pub(crate) async fn calls(&self) -> Vec<RecentCall> {
        self.tokens.flush().await.unwrap();
        self.tokens.manage(&owner()).recent_calls(None, 10).await.unwrap()
    }
}

pub(crate) fn bearer(text: &str) -> Vec<u8> {
    format!("Authorization: Bearer {text}").into_bytes()
}

pub(crate) fn owner() -> Actor {
    Actor::owner(ActorId::new("user:ada").unwrap(), OwnerId::new("ada").unwrap(), Ceiling::Everything)
}

pub(crate) fn other_owner() -> Actor {
    Actor::owner(ActorId::new("user:bob").unwrap(), OwnerId::new("bob").unwrap(), Ceiling::Everything)
}

pub(crate) fn admin() -> Actor {
    Actor::admin(ActorId::new("user:root").unwrap(), Ceiling::Everything)
}

pub(crate) fn all(scope: &str) -> Grants {
    Grants::new([Grant::all(scope).unwrap()]).unwrap()
}

pub(crate) fn only(scope: &str, resources: &[&str]) -> Grants {
    let set = ResourceSet::new(resources.iter().map(|id| ResourceId::new(*id).unwrap())).unwrap();
    Grants::new([Grant { scope: ScopeName::new(scope).unwrap(), resources: Resources::Only(set) }]).unwrap()
}

pub(crate) fn name(text: &str) -> TokenName {
    TokenName::new(text).unwrap()
}

pub(crate) fn text(minted: &Minted) -> &str {
    minted.text.as_ref().unwrap().expose_secret()
}

/// The same text with its verifier's first or last character replaced, and the checksum made right again.
pub(crate) fn with_wrong_verifier(text: &str, first: bool) -> String {
    let body = text.len() - 54;
    let at = if first { body + 16 } else { body + 16 + 31 };
    let other = if text.as_bytes()[at] == b'x' { "y" } else { "x" };
    let mut wrong = text[..text.len() - 6].to_owned();
    wrong.replace_range(at..=at, other);
    let checksum = checksum(&wrong);
    wrong + &checksum
}

fn checksum(covered: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let crc = u64::from(crc32fast::hash(covered.as_bytes()));
    let digit = |place: u32| char::from(DIGITS[usize::try_from(crc / 62_u64.pow(place) % 62).unwrap()]);
    (0..6).rev().map(digit).collect()
}
