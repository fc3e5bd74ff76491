//! A small world: a service with tokens of two owners, its management, and those who use it.

use std::sync::{Arc, Mutex};

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use serde_json::Value;
use token_core::{
    Actor, ActorId, Caller, Ceiling, Clock, Grant, Grants, Keyring, ListFilter, ManualClock, MemoryStore, NewToken,
    OwnerId, Position, Risk, Rotation, Sources, Subject, Time, TokenName, TokenStore, Tokens,
};
use token_screen::{Management, Request, Response, SignedIn};

token_core::scopes! {
    pub fn catalog;
    pub ProjectsRead = "projects:read", "See projects", "Projects", Risk::Low;
    pub ProjectsWrite = "projects:write", "Change projects", "Projects", Risk::Medium, implies "projects:read";
    pub TokensSelf = "tokens:self", "Rotate itself", "Tokens", Risk::Low;
}

pub(crate) const ORIGIN: &str = "https://example.org";

pub(crate) fn start() -> Time {
    "2027-01-31T12:00:00Z".parse().unwrap()
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Anonymous,
    /// Ann, whose tokens are looked at.
    Owner,
    /// Bob.
    OtherOwner,
    Admin,
    /// Someone who may look at Ann's tokens and not change them.
    Viewer,
    /// Ann, who signed in an hour ago.
    Stale,
    /// A token of Ann's with every scope of projects.
    PlainToken,
    /// A token of Ann's that may manage itself.
    SelfToken,
}

impl Who {
    pub(crate) const ALL: [Who; 8] = [
        Who::Anonymous,
        Who::Owner,
        Who::OtherOwner,
        Who::Admin,
        Who::Viewer,
        Who::Stale,
        Who::PlainToken,
        Who::SelfToken,
    ];
}

/// A token that is there from the start.
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) text: String,
}

pub(crate) struct World {
    pub(crate) tokens: Tokens,
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) management: Management,
    /// Ann's, rotated once, both values live.
    pub(crate) rotated: Known,
    pub(crate) plain: Known,
    pub(crate) itself: Known,
    /// Bob's.
    pub(crate) bobs: Known,
    /// Every text that was ever minted.
    pub(crate) texts: Mutex<Vec<String>>,
    /// Every body that was answered, those that mint a text without it.
    pub(crate) answered: Mutex<Vec<Vec<u8>>>,
}

impl World {
    pub(crate) async fn new() -> World {
        World::on(Arc::new(MemoryStore::new())).await
    }

    pub(crate) async fn on(store: Arc<dyn TokenStore>) -> World {
        World::reading(store, Sources::default()).await
    }

    /// One whose tokens may come from these places too.
    pub(crate) async fn reading(store: Arc<dyn TokenStore>, sources: Sources) -> World {
        let clock = Arc::new(ManualClock::at(start()));
        let (tokens, _background) = Tokens::builder_on(Arc::clone(&store))
            .prefix("acme_test")
            .keyring(Keyring::parse("k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").unwrap())
            .catalog(catalog())
            .sources(sources)
            .clock(Arc::clone(&clock))
            .rng(ChaCha20Rng::from_seed([1; 32]))
            .build()
            .await
            .unwrap();
        let management = Management::new(&tokens, "/api/tokens")
            .origin(ORIGIN)
            .reauthenticate_at("/sign-in")
            .self_service::<TokensSelf>();
        let (ann, bob) = (owner("ann"), owner("bob"));
        let plain = known(&tokens, &ann, "plain", &["projects:write"]).await;
        let itself = known(&tokens, &ann, "itself", &["projects:read", "tokens:self"]).await;
        let bobs = known(&tokens, &bob, "bobs", &[]).await;
        let mut rotated = known(&tokens, &ann, "rotated", &["projects:read"]).await;
        let first = rotated.text.clone();
        let minted = tokens.manage(&ann).rotate(rotated.id.parse().unwrap(), &Rotation::default()).await.unwrap();
        rotated.text = minted.text.unwrap().expose_secret().to_owned();
        let texts = vec![plain.text.clone(), itself.text.clone(), bobs.text.clone(), first, rotated.text.clone()];
        World {
            tokens,
            store,
            clock,
            management,
            rotated,
            plain,
            itself,
            bobs,
            texts: Mutex::new(texts),
            answered: Mutex::default(),
        }
    }

    pub(crate) fn visitor(&self, who: Who) -> Option<SignedIn> {
        let now = self.clock.now();
        let hour = std::time::Duration::from_secs(3600);
        let (actor, at) = match who {
            Who::Anonymous | Who::PlainToken | Who::SelfToken => return None,
            Who::Owner => (owner("ann"), now),
            Who::OtherOwner => (owner("bob"), now),
            Who::Admin => (admin(), now),
            Who::Viewer => (owner("ann").read_only(), now),
            Who::Stale => (owner("ann"), now.saturating_sub(hour)),
        };
        Some(SignedIn::by_cookie(actor, at))
    }

    /// Asks as a page of the host's own does, or as a program with its token.
    pub(crate) async fn ask(&self, who: Who, method: &str, path: &str, body: &str) -> Answer {
        self.send(who, request(method, path, body)).await
    }

    pub(crate) async fn send(&self, who: Who, mut request: Request) -> Answer {
        let text = match who {
            Who::PlainToken => Some(&self.plain.text),
            Who::SelfToken => Some(&self.itself.text),
            _ => None,
        };
        if let Some(text) = text {
            request.headers.push(("authorization".to_owned(), format!("Bearer {text}").into_bytes()));
        }
        let visitor = self.visitor(who);
        self.handle(request, visitor).await
    }

    pub(crate) async fn handle(&self, request: Request, visitor: Option<SignedIn>) -> Answer {
        let answer = Answer::of(self.management.handle(request, visitor).await);
        let mut body = answer.body.clone();
        if let Some(text) = answer.json["text"].as_str() {
            self.texts.lock().unwrap().push(text.to_owned());
            body = String::from_utf8(body).unwrap().replace(text, "").into_bytes();
        }
        let headers = format!("{:?}", answer.headers).into_bytes();
        self.answered.lock().unwrap().extend([body, headers]);
        answer
    }

    /// Everything that is stored of tokens, owners and the policy, to be compared.
    pub(crate) async fn state(&self) -> String {
        let admin = admin();
        let manage = self.tokens.manage(&admin);
        let list = manage.list(None, ListFilter::Any, None, Position::Created(None), 200).await.unwrap();
        let mut state = format!("{:?}\n", manage.policy().await.unwrap());
        for listed in list.tokens {
            let events = manage.events(&Subject::Token(listed.token.id), 0, 200).await.unwrap().len();
            state += &format!("{:?} {:?} {events}\n", listed.token, listed.seal);
        }
        for id in ["ann", "bob", "none"] {
            let id = OwnerId::new(id).unwrap();
            let owner = self.store.owner(&id).await.unwrap().map(|owner| owner.unverified().clone());
            let events = manage.events(&Subject::Owner(id), 0, 200).await.unwrap().len();
            state += &format!("{owner:?} {events}\n");
        }
        state
    }
}

/// A response with its body read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) json: Value,
}

impl Answer {
    fn of(response: Response) -> Answer {
        let json = serde_json::from_slice(&response.body).unwrap_or_default();
        Answer { status: response.status, headers: response.headers, body: response.body, json }
    }

    pub(crate) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or("")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) fn request(method: &str, path: &str, body: &str) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut headers = vec![("origin".to_owned(), ORIGIN.as_bytes().to_vec())];
    if !body.is_empty() {
        headers.push(("content-type".to_owned(), b"application/json".to_vec()));
    }
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: body.as_bytes().to_vec(),
        caller: Caller::default(),
    }
}

pub(crate) fn with(mut request: Request, name: &str, value: &str) -> Request {
    request.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    request
}

pub(crate) fn without(mut request: Request, name: &str) -> Request {
    request.headers.retain(|(header, _)| header != name);
    request
}

pub(crate) fn owner(id: &str) -> Actor {
    Actor::owner(ActorId::new(id).unwrap(), OwnerId::new(id).unwrap(), Ceiling::Everything)
}

pub(crate) fn admin() -> Actor {
    Actor::admin(ActorId::new("root").unwrap(), Ceiling::Everything)
}

async fn known(tokens: &Tokens, actor: &Actor, name: &str, scopes: &[&str]) -> Known {
    let grants = Grants::new(scopes.iter().map(|scope| Grant::all(scope).unwrap())).unwrap();
    let minted = tokens.manage(actor).create(&NewToken::new(TokenName::new(name).unwrap(), grants)).await.unwrap();
    Known { id: minted.token.id.to_string(), text: minted.text.unwrap().expose_secret().to_owned() }
}

pub(crate) const MISSING: &str = "01935b2a-7c1e-7000-8000-0123456789ab";

/// The committed text of a file, compared or written anew with `UPDATE_SNAPSHOTS=1`.
pub(crate) fn matches_file(file: &str, actual: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{file} differs; if that is meant, run with UPDATE_SNAPSHOTS=1 and review it:\n{actual}"
    );
}
