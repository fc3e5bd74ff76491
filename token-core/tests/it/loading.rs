//! Misses: shared, batched, capped, and handed over.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use token_core::testing::with_checksum;
use token_core::{Minted, Reason, Rotation};
use tokio::task::JoinSet;

use crate::store::{WeatheredStore, weathered};
use crate::world::{World, present, text};

async fn world() -> (World, Arc<WeatheredStore>) {
    let (_, store) = weathered();
    (World::on(Arc::clone(&store) as _).await, store)
}

async fn mint(world: &World, count: usize) -> Vec<Minted> {
    let mut minted = Vec::new();
    for _ in 0..count {
        minted.push(world.create(&[]).await);
    }
    minted
}

/// Well-formed, and nobody's.
fn unknown(number: usize) -> String {
    with_checksum(&format!("acme_test_{number:016}{}", "x".repeat(32)))
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    resident.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// A request of its own.
fn send(requests: &mut JoinSet<Option<Reason>>, world: &World, store: &Arc<WeatheredStore>, text: impl Into<String>) {
    let (tokens, store, text) = (world.tokens.clone(), Arc::clone(store), text.into());
    requests.spawn(async move {
        // As far as it comes by itself, in the same turn.
        store.hook().sent.fetch_add(1, Ordering::SeqCst);
        present(&tokens, &text).await.err()
    });
}

#[tokio::test]
async fn a_miss_alone_is_one_statement_at_once() {
    let (world, store) = world().await;
    let minted = world.create(&[]).await;
    assert!(world.verify(&minted).await.is_ok());
    assert_eq!(world.present(&unknown(1)).await.unwrap_err(), Reason::UnknownSelector);
    assert_eq!(world.present(&unknown(1)).await.unwrap_err(), Reason::UnknownSelector, "unknown is not remembered");
    assert_eq!(store.hook().take_loads(), [1, 1, 1]);
}

#[tokio::test]
async fn misses_of_one_token_share_a_load() {
    let (world, store) = world().await;
    let minted = mint(&world, 1).await;
    store.hook().set(&store.hook().loads_wait, true);
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        send(&mut requests, &world, &store, text(&minted[0]));
    }
    store.hook().until_sent(100).await;
    store.hook().let_go();
    assert!(requests.join_all().await.iter().all(Option::is_none));
    assert_eq!(store.hook().take_loads(), [1]);
}

#[tokio::test]
async fn misses_that_wait_together_load_together() {
    let (world, store) = world().await;
    let minted = mint(&world, 64).await;
    store.hook().set(&store.hook().loads_wait, true);
    let mut requests = JoinSet::new();
    for minted in &minted[..2] {
        send(&mut requests, &world, &store, text(minted));
    }
    store.hook().until_loading(2).await;
    for minted in &minted[2..] {
        send(&mut requests, &world, &store, text(minted));
    }
    store.hook().until_sent(64).await;
    store.hook().let_go();
    assert!(requests.join_all().await.iter().all(Option::is_none));
    assert_eq!(store.hook().take_loads(), [1, 1, 62]);
}

/// Loads that hang do not hold up everyone else: where many wait, more go out.
#[tokio::test]
async fn where_many_wait_further_loads_go_out() {
    let (world, store) = world().await;
    let minted = mint(&world, 66).await;
    store.hook().set(&store.hook().loads_wait, true);
    let mut requests = JoinSet::new();
    for minted in &minted[..2] {
        send(&mut requests, &world, &store, text(minted));
    }
    store.hook().until_loading(2).await;
    for minted in &minted[2..] {
        send(&mut requests, &world, &store, text(minted));
    }
    store.hook().until_loading(3).await;
    store.hook().let_go();
    assert!(requests.join_all().await.iter().all(Option::is_none));
    assert_eq!(store.hook().take_loads(), [1, 1, 64]);
}

#[tokio::test]
async fn a_request_that_is_given_up_hands_its_load_over() {
    let (world, store) = world().await;
    let minted = mint(&world, 2).await;
    store.hook().set(&store.hook().loads_wait, true);
    let mut leaving = JoinSet::new();
    for minted in minted.iter().cycle().take(4) {
        send(&mut leaving, &world, &store, text(minted));
    }
    store.hook().until_loading(2).await;
    let mut staying = JoinSet::new();
    for minted in &minted {
        send(&mut staying, &world, &store, text(minted));
    }
    store.hook().until_sent(6).await;
    leaving.abort_all();
    store.hook().let_go();
    assert!(staying.join_all().await.iter().all(Option::is_none));
}

#[tokio::test]
async fn an_error_reaches_all_who_wait_and_nobody_who_comes_later() {
    let (world, store) = world().await;
    let minted = mint(&world, 1).await;
    store.hook().set(&store.hook().loads_wait, true);
    let mut requests = JoinSet::new();
    for _ in 0..10 {
        send(&mut requests, &world, &store, text(&minted[0]));
    }
    store.hook().until_sent(10).await;
    store.hook().unreadable.lock().unwrap().insert(minted[0].token.current.selector);
    store.hook().let_go();
    assert!(requests.join_all().await.iter().all(|refused| *refused == Some(Reason::StoreUnavailable)));
    store.hook().unreadable.lock().unwrap().clear();
    assert!(world.verify(&minted[0]).await.is_ok());
}

#[tokio::test]
async fn a_row_that_cannot_be_read_makes_no_other_unknown() {
    let (world, store) = world().await;
    let minted = mint(&world, 40).await;
    store.hook().set(&store.hook().loads_wait, true);
    store.hook().unreadable.lock().unwrap().insert(minted[30].token.current.selector);
    let mut requests = JoinSet::new();
    for (number, minted) in minted.iter().enumerate() {
        let (tokens, text) = (world.tokens.clone(), text(minted).to_owned());
        requests.spawn(async move { (number, present(&tokens, &text).await.err()) });
    }
    store.hook().until_loading(2).await;
    store.hook().let_go();
    for (number, refused) in requests.join_all().await {
        assert_eq!(refused, (number == 30).then_some(Reason::StoreUnavailable), "{number}");
    }
}

/// A load that was under way when a change was confirmed answers no request that came after.
#[tokio::test]
async fn a_load_under_way_is_not_joined_past_a_change() {
    let (world, store) = world().await;
    let minted = mint(&world, 1).await;
    let id = minted[0].token.id;
    store.hook().set(&store.hook().loads_wait, true);
    let (mut early, mut late) = (JoinSet::new(), JoinSet::new());
    send(&mut early, &world, &store, text(&minted[0]));
    store.hook().until_loading(1).await;
    world.tokens.manage(&world.owner).revoke(id).await.unwrap();
    send(&mut late, &world, &store, text(&minted[0]));
    store.hook().until_sent(2).await;
    store.hook().let_go();
    assert_eq!(late.join_all().await, [Some(Reason::Revoked)]);
    early.join_all().await;
    assert_eq!(store.hook().take_loads(), [1, 1], "one for each side of the change");
}

#[tokio::test]
async fn beyond_the_cap_requests_are_refused_at_once_and_for_now() {
    let (world, store) = world().await;
    let minted = mint(&world, 1).await;
    store.hook().set(&store.hook().loads_wait, true);
    let mut flood = JoinSet::new();
    for number in 0..10_000 {
        send(&mut flood, &world, &store, unknown(number));
    }
    store.hook().until_sent(10_000).await;
    assert_eq!(world.verify(&minted[0]).await.unwrap_err(), Reason::StoreUnavailable);
    store.hook().let_go();
    assert!(flood.join_all().await.iter().all(|refused| *refused == Some(Reason::UnknownSelector)));
    assert!(store.hook().take_loads().len() < 40, "10,000 in loads of up to 512");
    assert!(world.verify(&minted[0]).await.is_ok());
}

#[tokio::test]
async fn a_flood_of_unknown_tokens_leaves_nothing_behind() {
    let flood = if std::env::var_os("TOKEN_TEST_FULL").is_some() { 1_000_000 } else { 100_000 };
    let (world, store) = world().await;
    let minted = mint(&world, 50).await;
    for minted in &minted {
        assert!(world.verify(minted).await.is_ok());
    }
    store.hook().take_loads();
    let mut settled = 0;
    for wave in 0..flood / 5000 {
        store.hook().set(&store.hook().loads_wait, true);
        let mut requests = JoinSet::new();
        for number in 0..5000 {
            send(&mut requests, &world, &store, unknown(wave * 5000 + number));
        }
        store.hook().until_sent((wave + 1) * 5000).await;
        // Good tokens need none of what the flood is waiting for.
        assert!(minted.iter().all(|minted| world.cached(minted).unwrap().is_ok()));
        store.hook().let_go();
        assert!(requests.join_all().await.iter().all(|refused| *refused == Some(Reason::UnknownSelector)));
        // What 5,000 that wait at once take has been taken by then.
        if wave == 3 {
            settled = resident();
        }
    }
    let grown = resident().saturating_sub(settled);
    assert!(grown < 6 << 20, "{grown} bytes for tokens that are nobody's");
    let loads = store.hook().take_loads();
    assert_eq!(loads.iter().sum::<usize>(), flood);
    assert!(loads.len() < flood / 100, "{} loads", loads.len());
    assert!(minted.iter().all(|minted| world.cached(minted).unwrap().is_ok()));
}

#[tokio::test]
async fn both_values_of_a_rotation_are_loaded_each_for_itself() {
    let (world, store) = world().await;
    let old = world.create(&[]).await;
    let new = world.tokens.manage(&world.owner).rotate(old.token.id, &Rotation::default()).await.unwrap();
    for _ in 0..3 {
        assert!(world.verify(&old).await.is_ok() && world.verify(&new).await.is_ok());
    }
    assert_eq!(store.hook().take_loads(), [1, 1]);
}
