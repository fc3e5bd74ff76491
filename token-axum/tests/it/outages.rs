//! What can't be known is neither allowed nor called invalid: 503, try again.

use token_core::Reason;

use crate::client::Answer;
use crate::service::{Service, Word, admin, all, text};
use crate::store::set_down;

fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), ["1"]);
    assert_eq!(answer.challenge(), None);
    assert_eq!(answer.problem()["code"], "temporarily_unavailable");
    assert!(!answer.body.contains("canary"), "{}", answer.body);
}

#[tokio::test]
async fn a_store_that_is_down_is_never_a_401_and_never_lets_anyone_in() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    set_down(&service.store, true);
    let down = service.holder(text(&minted), "GET /any").await;
    assert_unavailable(&down);
    // What needs no store is answered as ever.
    assert_eq!(service.anonymous("GET /any").await.status, 401);
    assert_eq!(service.holder("x", "GET /any").await.status, 401);
    assert_eq!(service.anonymous("GET /healthz").await.status, 200);
    set_down(&service.store, false);
    assert_eq!(service.reason(&admin(), &down).await, Reason::StoreUnavailable);
    assert_eq!(service.holder(text(&minted), "GET /any").await.status, 200);
}

#[tokio::test]
async fn a_host_that_does_not_know_is_an_outage_and_not_a_permission() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    for word in [Word::Fails, Word::Panics] {
        service.host_says(word);
        let answer = service.holder(text(&minted), "GET /any").await;
        assert_unavailable(&answer);
        assert_eq!(service.reason(&admin(), &answer).await, Reason::CeilingUnavailable);
    }
    service.host_says(Word::Everything);
    assert_eq!(service.holder(text(&minted), "GET /any").await.status, 200);
}
