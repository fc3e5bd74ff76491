//! One request is one use, and a refused one is none.

use token_core::{Grants, Reason};

use crate::service::{Service, all, owner, text};

#[tokio::test]
async fn a_request_is_one_use_however_many_layers_and_extractors_look_at_it() {
    let service = Service::start().await;
    let writer = service.mint(all("projects:write")).await;
    let routes = ["GET /any", "GET /projects", "GET /project/p1", "GET /twice", "GET /open", "GET /no-such-route"];
    for (before, route) in (0..).zip(routes) {
        assert_eq!(service.uses(&writer.token).await, before);
        let answer = service.holder(text(&writer), route).await;
        assert!(matches!(answer.status, 200 | 404), "{route}");
        assert_eq!(service.uses(&writer.token).await, before + 1, "{route}");
    }
    let usage = service.usage(&writer.token).await;
    assert_eq!(usage.last[0].1.address, Some(service.address.ip()));
    assert_eq!(usage.last[0].1.at, service.tokens.now());
    assert!(usage.refusals.is_empty());
}

#[tokio::test]
async fn a_refused_request_is_a_refusal_and_not_a_use() {
    let service = Service::start().await;
    let nobody = service.mint(Grants::default()).await;
    let routes = ["GET /projects", "GET /project/p1", "GET /writers/plain", "GET /twice", "GET /open/maybe-read"];
    for route in routes {
        assert_eq!(service.holder(text(&nobody), route).await.status, 403, "{route}");
    }
    let usage = service.usage(&nobody.token).await;
    assert!(usage.hours.is_empty(), "{usage:?}");
    let refused: Vec<_> = usage.refusals.iter().map(|refusal| (refusal.reason, refusal.count)).collect();
    assert_eq!(refused, [(Reason::InsufficientScope, 5)]);

    service.tokens.manage(&owner()).revoke(nobody.token.id).await.unwrap();
    service.holder(text(&nobody), "GET /any").await;
    let usage = service.usage(&nobody.token).await;
    assert!(usage.hours.is_empty());
    assert!(usage.refusals.iter().any(|refusal| (refusal.reason, refusal.count) == (Reason::Revoked, 1)));
}

#[tokio::test]
async fn a_refused_request_takes_back_no_use_but_its_own() {
    let service = Service::start().await;
    let biller = service.mint(all("billing:read")).await;
    for (route, status) in [("GET /any", 200), ("GET /any", 200), ("GET /twice", 403), ("GET /any", 200)] {
        assert_eq!(service.holder(text(&biller), route).await.status, status, "{route}");
    }
    // By the handler, behind two layers.
    assert_eq!(service.holder(text(&biller), "GET /twice/read").await.status, 403);
    assert_eq!(service.uses(&biller.token).await, 3);
    let refusals = service.usage(&biller.token).await.refusals;
    assert_eq!(refusals.iter().map(|refusal| refusal.count).collect::<Vec<_>>(), [2]);
    let calls = service.calls().await;
    let mut refused: Vec<_> = calls.iter().filter(|call| call.refused.is_some()).map(|call| &call.route).collect();
    refused.sort();
    assert_eq!(refused, [&Some("/twice".to_owned()), &Some("/twice/read".to_owned())]);
    assert_eq!(calls.len(), 5, "each is kept once: {calls:?}");
}

#[tokio::test]
async fn an_excepted_path_counts_nothing() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    assert_eq!(service.holder(text(&minted), "GET /healthz").await.status, 200);
    assert_eq!(service.uses(&minted.token).await, 0);
}

#[tokio::test]
async fn a_call_is_known_by_its_route_and_never_by_its_path() {
    let service = Service::start().await;
    let reader = service.mint(all("projects:read")).await;
    assert_eq!(service.holder(text(&reader), "GET /project/p1-of-a-customer").await.status, 200);
    assert_eq!(service.holder(text(&reader), "GET /writers/plain").await.status, 403);
    service.tokens.manage(&owner()).revoke(reader.token.id).await.unwrap();
    assert_eq!(service.holder(text(&reader), "GET /project/p1-of-a-customer").await.status, 401);
    let mut calls = service.calls().await;
    calls.sort_by_key(|call| call.refused);
    let seen: Vec<_> = calls.iter().map(|call| (call.method.as_str(), call.refused)).collect();
    assert_eq!(
        seen,
        [("GET", None), ("GET", Some(Reason::Revoked)), ("GET", Some(Reason::InsufficientScope))],
        "{calls:?}"
    );
    assert!(calls.iter().all(|call| call.address == Some(service.address.ip())));
    assert!(!format!("{calls:?}").contains("p1-of-a-customer"), "{calls:?}");
    assert!(calls[0].route.as_deref().is_some_and(|route| route.contains('{')), "{calls:?}");
}

#[tokio::test]
async fn what_strangers_do_leaves_no_rows() {
    let service = Service::start().await;
    let minted = service.mint(all("projects:read")).await;
    let guessed = token_core::testing::with_wrong_verifier(text(&minted));
    for _ in 0..3 {
        assert_eq!(service.holder(&guessed, "GET /any").await.status, 401);
    }
    // Cached or not.
    assert_eq!(service.holder(text(&minted), "GET /any").await.status, 200);
    assert_eq!(service.holder(&guessed, "GET /any").await.status, 401);
    let usage = service.usage(&minted.token).await;
    assert!(usage.refusals.is_empty(), "{usage:?}");
    let calls = service.calls().await;
    assert_eq!(calls.len(), 1, "{calls:?}");
    let detail = service.tokens.manage(&owner()).usage_detail(minted.token.id).await.unwrap();
    assert_eq!(detail.sources.iter().map(|seen| seen.source.refusals).sum::<u64>(), 0);
}
