//! What the background asks of stored usage, and what it does to it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use token_core::testing::{Call as Asked, Hook, HookedStore};
use token_core::{Call, Caller, Credential, MemoryStore, Minted, StoreError, Time};

use crate::world::{World, minutes, seconds, text};

/// Notes what the store is asked for.
#[derive(Default)]
struct Noted(Mutex<Vec<Asked>>);

#[async_trait]
impl Hook for Noted {
    async fn before(&self, call: Asked) -> Result<(), StoreError> {
        self.0.lock().unwrap().push(call);
        Ok(())
    }
}

/// How often the store was asked for this since the last time.
fn asked(store: &HookedStore<Noted>, call: Asked) -> usize {
    let all = std::mem::take(&mut *store.hook().0.lock().unwrap());
    all.into_iter().filter(|asked| *asked == call).count()
}

async fn watched() -> (World, Arc<HookedStore<Noted>>) {
    let store = Arc::new(HookedStore::hooked(Arc::new(MemoryStore::new()), Noted::default()));
    (World::on(Arc::clone(&store) as _).await, store)
}

async fn used_from(world: &World, minted: &Minted, address: &str) {
    let address: IpAddr = address.parse().unwrap();
    let credential = Credential::Borrowed(text(minted).as_bytes());
    let verified = world.tokens.authenticate(Ok(credential), Caller::at(address)).await.unwrap();
    world.tokens.tally_use(&verified, &Call::default());
    world.tokens.flush().await.unwrap();
}

/// Whoever has a secret may come from as many networks as there are: each is asked about, and told, once in a while.
#[tokio::test]
async fn a_new_network_is_asked_about_once_in_a_while() {
    let (world, store) = watched().await;
    let minted = world.create(&["projects:read"]).await;
    used_from(&world, &minted, "198.51.100.1").await;
    world.clock.advance(minutes(3 * 24 * 60));
    asked(&store, Asked::NovelSources);

    let mut times = Vec::new();
    for _ in 0..3 {
        used_from(&world, &minted, "203.0.113.1").await;
        times.push(asked(&store, Asked::NovelSources));
        world.clock.advance(seconds(1));
    }
    assert_eq!(times, [1, 0, 0]);
    let concerns = world.tokens.manage(&world.owner).attention(None).await.unwrap();
    assert!(format!("{concerns:?}").contains("203.0.113.0/24"), "{concerns:?}");
    world.clock.advance(minutes(11));
    asked(&store, Asked::NovelSources);
    used_from(&world, &minted, "203.0.113.1").await;
    assert_eq!(asked(&store, Asked::NovelSources), 1, "and is told of again");
}

/// A clock that can't be believed reads as the end of time, by which all usage would be old.
#[tokio::test]
async fn nothing_is_forgotten_by_a_clock_at_the_end_of_time() {
    let (world, store) = watched().await;
    world.clock.set_wall(Time::MAX);
    world.background.turn().await.unwrap();
    assert_eq!(asked(&store, Asked::Fold), 0);

    world.clock.set_wall(crate::world::start());
    world.background.turn().await.unwrap();
    assert_eq!(asked(&store, Asked::Fold), 1);
}
