//! Pages while something is out of order, and pages of very much.

use std::sync::Arc;

use async_trait::async_trait;
use token_core::testing::{Call, CountingStore, Hook, HookedStore};
use token_core::{Fault, MemoryStore, NewToken, Policy, StoreError, TokenName};

use crate::pages::get;
use crate::world::{Who, World, admin, owner};

/// Makes some calls fail once that is asked for.
struct Failing {
    calls: fn(Call) -> bool,
    armed: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Hook for Failing {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        if self.armed.load(std::sync::atomic::Ordering::Relaxed) && (self.calls)(call) {
            return Err(StoreError::new(Fault::ConnectionLost, "as the test says"));
        }
        Ok(())
    }
}

async fn failing(calls: fn(Call) -> bool) -> World {
    let hook = Failing { calls, armed: false.into() };
    let store = Arc::new(HookedStore::hooked(Arc::new(MemoryStore::new()), hook));
    let world = World::on(Arc::clone(&store) as Arc<_>).await;
    store.hook().armed.store(true, std::sync::atomic::Ordering::Relaxed);
    world
}

#[tokio::test]
async fn without_usage_pages_are_shown_and_say_so_and_never_zeros() {
    let usage = |call| matches!(call, Call::Summaries | Call::Usage | Call::Sources | Call::Calls | Call::Signals);
    let world = failing(usage).await;
    let list = world.page(Who::Owner, get("/")).await;
    assert_eq!(list.status, 200);
    assert!(list.html.contains("Usage can’t be read") && list.html.contains("plain"));
    assert!(list.html.contains("Not known") && !list.html.contains("<svg") && !list.html.contains("Never used</span>"));
    let detail = world.page(Who::Owner, get(&format!("/{}", world.plain.id))).await;
    assert!(detail.status == 200 && detail.html.contains("Usage can’t be read") && detail.html.contains("unbroken"));
    // What is not known is not taken for nobody, and ending access goes on.
    let path = format!("/{}/revoke", world.plain.id);
    let revoke = world.page(Who::Owner, get(&path)).await;
    assert!(revoke.html.contains("can’t be read at the moment") && revoke.field("name").is_some());
    assert_eq!(world.send_form(Who::Owner, &path, "name=plain").await.status, 303);
}

#[tokio::test]
async fn without_a_store_every_page_says_so_and_nothing_is_lost() {
    let world = failing(|_| true).await;
    for path in ["/", "/new", "/policy", &format!("/{}", world.plain.id), &format!("/{}/revoke", world.plain.id)] {
        let page = world.page(Who::Admin, get(path)).await;
        assert_eq!(
            (page.status, page.title(), page.header("retry-after")),
            (503, "Not available right now", Some("1"))
        );
    }
}

#[tokio::test]
async fn a_commit_that_fails_shows_no_value() {
    let world = failing(|call| call == Call::Commit).await;
    let page = world
        .send_form(Who::Owner, "/new", "name=x&p.projects=read&reach=all&resources=&expires=30&date=&networks=")
        .await;
    assert_eq!(page.status, 503);
    assert!(page.value().is_none() && !page.html.contains("acme_test_"));
}

#[tokio::test]
async fn a_page_of_an_owner_with_ten_thousand_tokens_is_small_and_asks_little() {
    let store = Arc::new(CountingStore::new(Arc::new(MemoryStore::new())));
    let world = World::on(Arc::clone(&store) as Arc<_>).await;
    let policy = Policy { live_tokens_per_owner: 20_000, ..Policy::default() };
    world.tokens.manage(&admin()).set_policy(&policy).await.unwrap();
    let ann = owner("ann");
    for number in 0..10_000 {
        let name = TokenName::new(format!("one of very many {number}")).unwrap();
        world.tokens.manage(&ann).create(&NewToken::new(name, Default::default())).await.unwrap();
    }
    let before = store.calls();
    let page = world.page(Who::Owner, get("/")).await;
    let asked = store.calls() - before;
    assert_eq!(page.status, 200);
    assert!(page.html.len() < 100 * 1024, "{} bytes", page.html.len());
    assert!(page.html.contains("100+"));
    assert!(asked <= 16, "{asked} statements");
    let next = page.html.split('"').find(|text| text.contains("cursor=")).unwrap().replace("&#38;", "&");
    let second = world.page(Who::Owner, get(&next["/settings/tokens".len()..].replacen('?', "/?", 1))).await;
    assert!(second.status == 200 && second.html.contains("First page"));
    // Few tokens ask less.
    let before = store.calls();
    world.page(Who::OtherOwner, get("/")).await;
    assert!(store.calls() - before <= 11, "{} statements", store.calls() - before);
}
