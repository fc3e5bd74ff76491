//! Looking at usage takes as many calls to the store for many tokens as for few.

use std::sync::Arc;

use token_core::testing::CountingStore;
use token_core::{ListFilter, MemoryStore, Position};

use crate::world::World;

#[tokio::test]
async fn looking_at_the_usage_of_many_tokens_asks_the_store_as_often_as_of_few() {
    let store = Arc::new(CountingStore::new(Arc::new(MemoryStore::new())));
    let world = World::on(store.clone()).await;
    let minted = world.create(&["projects:read"]).await;
    let mut made = 1;
    for tokens in [1, 40] {
        for _ in made..tokens {
            world.create(&["projects:read"]).await;
        }
        made = tokens;
        let (ann, root) = (world.tokens.manage(&world.owner), world.tokens.manage(&world.admin));
        let page = ann.list(None, ListFilter::Any, None, Position::Created(None), 100).await.unwrap().tokens;
        assert_eq!(page.len() as u64, tokens);

        let before = store.calls();
        let mut counts = Vec::new();
        let mut count = || {
            counts.push(store.calls() - before - counts.iter().sum::<u64>());
        };
        assert_eq!(ann.overview(&page, 30).await.unwrap().len() as u64, tokens);
        count();
        ann.attention(None).await.unwrap();
        count();
        root.attention(None).await.unwrap();
        count();
        ann.recent_calls(None, 200).await.unwrap();
        count();
        ann.usage_detail(minted.token.id).await.unwrap();
        count();
        // The policy each, but for calls; and then: usage of all; signals, tokens and their usage, twice; calls; the token, its
        // usage by day and by hour, sources and calls.
        assert_eq!(counts, [2, 4, 4, 1, 6], "of {tokens} tokens");
    }
}
