//! A scripted day: twelve tokens, those who call with them, and what is to be seen of it at each hour, on the real middleware and
//! every database. The table [`STORY`] is what the day is about; nothing else may be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use token_axum::{Authorized, ClientAddress, TokenLayer};
use token_core::{
    Actor, ActorId, Advice, Background, Ceiling, ConcernKind, Expiry, Grant, Grants, Keyring, ListFilter, ManualClock,
    Minted, NewToken, Overlap, OwnerId, Policy, Position, Reason, Replace, Rotation, Time, TokenId, TokenName, Tokens,
};
use token_store_sqlx::SqlStore;
use token_trials::{ProjectsRead, ProjectsWrite, catalog};
use tower::ServiceExt as _;

use crate::database::Database;

/// What is to be seen: of which token, what, and from which hour to which.
const STORY: &[(&str, &str, u32, u32)] = &[
    // A token that does every day what it did the day before is no news: "steady" is not in this table.
    ("traveller", "new_network", 5, 23),
    ("leaver", "used_after_revoke", 8, 23),
    ("ending", "expiring", 0, 9),
    ("ending", "used_after_expiry", 10, 23),
    // Its old value goes on being used until it ends, and after.
    ("rotator", "old_value_in_use", 4, 8),
    ("rotator", "used_after_overlap", 9, 23),
    // Everyone has the new value at once.
    ("mover", "old_value_silent", 5, 15),
    ("burster", "burst", 12, 23),
    ("sleeper", "idle", 0, 5),
    ("sleeper", "dormant_awake", 6, 23),
    ("grabber", "refusal_spike", 7, 23),
    ("forgotten", "never_used", 0, 23),
    // Its row is changed behind the application's back at 15.
    ("eternal", "never_expires", 0, 14),
    ("eternal", "broken_seal", 15, 23),
    // Granted write, only ever read, until 20.
    ("wide", "scope_unused", 0, 19),
];

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The address that a token's callers have, unless the story says otherwise.
const USUAL: &str = "198.51.100.4";

struct World {
    tokens: Tokens,
    background: Background,
    clock: Arc<ManualClock>,
    app: Router,
    ann: Actor,
    texts: BTreeMap<&'static str, Minted>,
}

impl World {
    async fn on(db: &Database) -> World {
        let begin: Time = "2027-01-01T00:30:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::at(begin));
        let (tokens, background) = Tokens::builder(SqlStore::open(&db.url).await.unwrap())
            .prefix("acme_trial")
            .keyring(Keyring::parse("k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").unwrap())
            .catalog(catalog())
            .initial_policy(Policy { never_expires: true, ..Policy::default() })
            .clock(Arc::clone(&clock))
            .rng(ChaCha20Rng::from_seed([7; 32]))
            .build()
            .await
            .unwrap();
        let app = Router::new()
            .route(
                "/projects/{id}",
                get(async |_: Authorized<ProjectsRead>| "a project")
                    .put(async |_: Authorized<ProjectsWrite>| "changed"),
            )
            .layer(TokenLayer::required(&tokens));
        let ann = Actor::owner(ActorId::new("ann").unwrap(), OwnerId::new("ann").unwrap(), Ceiling::Everything);
        World { tokens, background, clock, app, ann, texts: BTreeMap::new() }
    }

    async fn create(&mut self, name: &'static str, scope: &str, expires: Expiry) {
        let grants = Grants::new([Grant::all(scope).unwrap()]).unwrap();
        let request = NewToken { expiry: Some(expires), ..NewToken::new(TokenName::new(name).unwrap(), grants) };
        let minted = self.tokens.manage(&self.ann).create(&request).await.unwrap();
        self.texts.insert(name, minted);
    }

    fn id(&self, name: &str) -> TokenId {
        self.texts[name].token.id
    }

    fn text(&self, name: &str) -> String {
        self.texts[name].text.as_ref().unwrap().expose_secret().to_owned()
    }

    /// Calls with the newest value of a token, or with an older one.
    async fn call(&self, name: &str, method: &str, address: &str, times: u32) -> Vec<u16> {
        self.call_by(&self.text(name), method, address, times).await
    }

    async fn call_by(&self, text: &str, method: &str, address: &str, times: u32) -> Vec<u16> {
        let mut answers = BTreeSet::new();
        for number in 0..times {
            let mut request = Request::builder()
                .method(method)
                .uri(format!("/projects/{number}"))
                .header("Authorization", format!("Bearer {text}"))
                .header("User-Agent", "caller/1.0")
                .body(Body::empty())
                .unwrap();
            request.extensions_mut().insert(ClientAddress(address.parse::<IpAddr>().unwrap()));
            answers.insert(self.app.clone().oneshot(request).await.unwrap().status().as_u16());
        }
        answers.into_iter().collect()
    }

    async fn rotate(&mut self, name: &'static str, overlap: Duration) -> String {
        let before = self.text(name);
        let rotation = Rotation { replace: Replace::Current(Overlap::For(overlap)), ..Rotation::default() };
        let rotated = self.tokens.manage(&self.ann).rotate(self.id(name), &rotation).await.unwrap();
        self.texts.insert(name, rotated);
        before
    }

    /// Everything that is to be seen now: of which token, what.
    async fn seen(&self) -> BTreeSet<(String, String)> {
        let manage = self.tokens.manage(&self.ann);
        let list = manage.list(None, ListFilter::Any, None, Position::Created(None), 100).await.unwrap();
        let overviews = manage.overview(&list.tokens, 30).await.unwrap();
        let named = |id| self.texts.iter().find(|(_, minted)| minted.token.id == id).unwrap().0.to_string();
        let mut seen = BTreeSet::new();
        for (listed, overview) in list.tokens.iter().zip(overviews) {
            let signals = overview.usage.signals.iter().map(|signal| signal.kind.as_str());
            let words = signals.chain(overview.advice.iter().map(Advice::as_str));
            seen.extend(words.map(|word| (named(listed.token.id), word.to_owned())));
        }
        // What needs attention is the same, told once more.
        let attention = manage.attention(None).await.unwrap();
        let told = attention.items.iter().map(|item| {
            let word = match &item.kind {
                ConcernKind::Signal(signal) => signal.kind.as_str(),
                ConcernKind::Advice(advice) => advice.as_str(),
            };
            (named(item.token), word.to_owned())
        });
        assert_eq!(told.collect::<BTreeSet<_>>(), seen);
        assert!(!attention.more);
        seen
    }
}

fn expected(hour: u32) -> BTreeSet<(String, String)> {
    let now = STORY.iter().filter(|(_, _, from, to)| (*from..=*to).contains(&hour));
    now.map(|(name, what, ..)| ((*name).to_owned(), (*what).to_owned())).collect()
}

async fn each_signal_and_advice_is_seen_when_its_story_says_and_at_no_other_time(db: Database) {
    let mut world = World::on(&db).await;
    before_the_day(&mut world).await;
    let mut old_value = None;
    for hour in 0..24 {
        let daily =
            ["steady", "traveller", "leaver", "ending", "rotator", "mover", "burster", "grabber", "eternal", "wide"];
        match hour {
            3 => old_value = Some(world.rotate("rotator", 6 * HOUR).await),
            4 => drop(world.rotate("mover", 12 * HOUR).await),
            5 => assert_eq!(world.call("traveller", "GET", "203.0.113.7", 2).await, [200]),
            6 => assert_eq!(world.call("sleeper", "GET", USUAL, 1).await, [200]),
            7 => assert_eq!(world.call("grabber", "PUT", USUAL, 150).await, [403]),
            8 => drop(world.tokens.manage(&world.ann).revoke(world.id("leaver")).await.unwrap()),
            12 => assert_eq!(world.call("burster", "GET", USUAL, 1100).await, [200]),
            15 => tamper(&db).await,
            20 => assert_eq!(world.call("wide", "PUT", USUAL, 1).await, [200]),
            _ => {}
        }
        for name in daily {
            let refused = match name {
                "leaver" => hour >= 8,
                "ending" => hour >= 10,
                "eternal" => hour >= 15,
                _ => false,
            };
            let answers = world.call(name, "GET", USUAL, if name == "burster" { 50 } else { 2 }).await;
            assert_eq!(answers, [if refused { 401 } else { 200 }], "{name} at {hour}");
        }
        if let Some(old) = &old_value {
            assert_eq!(world.call_by(old, "GET", USUAL, 1).await, [if hour < 9 { 200 } else { 401 }]);
        }
        world.background.turn().await.unwrap();
        assert_eq!(world.seen().await, expected(hour), "at {hour}:30");
        world.clock.advance(HOUR);
    }
    after_the_day(&world).await;
}

/// What made the tokens what they are in the morning.
async fn before_the_day(world: &mut World) {
    let in_days = |days: u32| Expiry::After(DAY * days);
    world.create("sleeper", "projects:read", in_days(200)).await;
    world.clock.advance(5 * DAY);
    world.call("sleeper", "GET", USUAL, 1).await;
    world.background.turn().await.unwrap();
    world.clock.advance(55 * DAY);
    for name in ["steady", "traveller", "leaver", "rotator", "mover", "burster", "grabber"] {
        world.create(name, "projects:read", in_days(200)).await;
    }
    world.create("ending", "projects:read", Expiry::After(40 * DAY + 9 * HOUR + HOUR / 2)).await;
    world.create("wide", "projects:write", in_days(200)).await;
    world.create("eternal", "projects:read", Expiry::Never).await;
    for name in ["traveller", "burster", "steady"] {
        world.call(name, "GET", USUAL, 3).await;
    }
    world.background.turn().await.unwrap();
    world.clock.advance(32 * DAY);
    world.create("forgotten", "projects:read", in_days(200)).await;
    world.clock.advance(8 * DAY);
}

/// Someone with access to the database gives a token a longer name.
async fn tamper(db: &Database) {
    db.execute("UPDATE api_tokens SET name = 'eternally' WHERE name = 'eternal'").await;
}

async fn after_the_day(world: &World) {
    let manage = world.tokens.manage(&world.ann);
    let detail = manage.usage_detail(world.id("traveller")).await.unwrap();
    let sources: Vec<_> =
        detail.sources.iter().map(|seen| (seen.source.network.to_string(), seen.is_new, seen.source.uses)).collect();
    let usual = ("198.51.100.0/24".to_owned(), false, 3 + 2 * 24);
    assert_eq!(sources, [usual, ("203.0.113.0/24".to_owned(), true, 2)]);
    assert_eq!(detail.usage.total(), (3 + 2 * 24 + 2, 0), "every request is counted, and once");

    let detail = manage.usage_detail(world.id("grabber")).await.unwrap();
    assert_eq!(detail.usage.refusals, [(Reason::InsufficientScope, 150)]);
    assert_eq!(detail.usage.signals[0].count, 150);

    let detail = manage.usage_detail(world.id("leaver")).await.unwrap();
    assert_eq!((detail.usage.signals.len(), detail.usage.signals[0].count), (1, 2 * 16));
    let refused = &detail.calls[0];
    assert_eq!((refused.method.as_str(), refused.route.as_deref()), ("GET", Some("/projects/{id}")));
    assert_eq!(refused.refused, Some(Reason::Revoked));
    let detail = manage.usage_detail(world.id("burster")).await.unwrap();
    assert_eq!(detail.usage.signals[0].count, 1150);
    let wide = manage.usage_detail(world.id("wide")).await.unwrap();
    let scopes: Vec<_> = wide.usage.scopes.iter().map(|exercised| exercised.scope.as_str()).collect();
    assert_eq!(scopes, ["projects:read", "projects:write"]);
    let (_, last) = wide.usage.last.last().unwrap();
    assert_eq!(last.client.as_ref().map(token_core::Client::as_str), Some("caller/1.0"));
    assert_eq!(last.address, Some(USUAL.parse().unwrap()));

    let recent = manage.recent_calls(None, 50).await.unwrap();
    assert_eq!(recent.len(), 50);
    assert!(recent.is_sorted_by(|a, b| a.at >= b.at));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_on_sqlite() {
    each_signal_and_advice_is_seen_when_its_story_says_and_at_no_other_time(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the server at TOKEN_TEST_POSTGRES_URL"]
async fn a_day_on_postgres() {
    each_signal_and_advice_is_seen_when_its_story_says_and_at_no_other_time(Database::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the server at TOKEN_TEST_MYSQL_URL"]
async fn a_day_on_mariadb() {
    each_signal_and_advice_is_seen_when_its_story_says_and_at_no_other_time(Database::mysql().await).await;
}
