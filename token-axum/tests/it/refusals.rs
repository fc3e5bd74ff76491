//! Well-formed tokens that don't work: one answer for the client, the exact reason for those who may know it.

use std::time::Duration;

use token_core::{Overlap, Reason, Replace, Rotation};

use crate::client::Answer;
use crate::service::{Service, Word, admin, all, other_owner, owner, text, with_wrong_verifier};

/// One request of each kind of token that is not valid, with its reason. `true` where it is a token of the owner.
async fn each_invalid_token(service: &Service) -> Vec<(Answer, Reason, bool)> {
    let ask = async |text: &str| service.holder(text, "GET /any").await;
    let owner = owner();
    let manage = service.tokens.manage(&owner);
    let mut answers = Vec::new();

    let unknown = Service::start().await.mint(all("projects:read")).await;
    answers.push((ask(text(&unknown)).await, Reason::UnknownSelector, false));

    let good = service.mint(all("projects:read")).await;
    for first in [true, false] {
        answers.push((ask(&with_wrong_verifier(text(&good), first)).await, Reason::WrongVerifier, true));
    }

    let soon = service.tokens.now().checked_add(Duration::from_secs(60)).unwrap();
    let brief = service.mint_until(soon).await;
    service.clock.advance(Duration::from_micros(59_999_999));
    assert_eq!(ask(text(&brief)).await.status, 200);
    service.clock.advance(Duration::from_micros(1));
    answers.push((ask(text(&brief)).await, Reason::Expired, true));

    let revoked = service.mint(all("projects:read")).await;
    manage.revoke(revoked.token.id).await.unwrap();
    answers.push((ask(text(&revoked)).await, Reason::Revoked, true));

    let old = service.mint(all("projects:read")).await;
    let overlap = Replace::Current(Overlap::For(Duration::from_secs(60)));
    let new = manage.rotate(old.token.id, &Rotation { replace: overlap, expiry: None }).await.unwrap();
    for secret in [&old, &new] {
        assert_eq!(ask(text(secret)).await.status, 200);
    }
    service.clock.advance(Duration::from_secs(60));
    answers.push((ask(text(&old)).await, Reason::OverlapEnded, true));
    assert_eq!(ask(text(&new)).await.status, 200);

    let elsewhere = service.mint_for_networks(&["198.51.100.0/24"]).await;
    answers.push((ask(text(&elsewhere)).await, Reason::NetworkNotAllowed, true));

    service.host_says(Word::Deactivated);
    answers.push((ask(text(&good)).await, Reason::OwnerMissing, true));
    service.host_says(Word::Everything);

    service.tokens.manage(&admin()).suspend(&good.token.owner).await.unwrap();
    answers.push((ask(text(&good)).await, Reason::OwnerSuspended, true));
    service.tokens.manage(&admin()).resume(&good.token.owner).await.unwrap();
    assert_eq!(ask(text(&good)).await.status, 200);
    answers
}

#[tokio::test]
async fn invalid_tokens_get_one_answer_and_a_receipt_with_the_reason() {
    let service = Service::start().await;
    let answers = each_invalid_token(&service).await;
    let malformed = service.holder("x", "GET /any").await;
    let first = malformed.without_receipt();
    assert_eq!((first.status, first.challenge()), (401, Some(r#"Bearer realm="api", error="invalid_token""#)));
    for (answer, reason, owned) in &answers {
        assert_eq!(answer.without_receipt(), first, "{reason}");
        assert_eq!(answer.body.len(), malformed.body.len());
        assert!(!answer.body.contains(reason.as_str()));
        assert_eq!(service.reason(&admin(), answer).await, *reason);
        if *owned {
            assert_eq!(service.reason(&owner(), answer).await, *reason);
        }
        // Someone else's receipt, like a made-up one, is not found.
        assert!(service.tokens.manage(&other_owner()).receipt(&answer.receipt()).await.is_err());
    }
}

#[tokio::test]
async fn a_token_for_some_networks_works_from_there() {
    let service = Service::start().await;
    let here = service.mint_for_networks(&["127.0.0.0/8", "203.0.113.7"]).await;
    assert_eq!(service.holder(text(&here), "GET /any").await.status, 200);
}

/// A header may say anything, so it says nothing.
#[tokio::test]
async fn forwarded_headers_do_not_move_a_client() {
    let service = Service::start().await;
    let elsewhere = service.mint_for_networks(&["198.51.100.0/24"]).await;
    let lines: [&[u8]; 4] = [
        &crate::service::bearer(text(&elsewhere)),
        b"X-Forwarded-For: 198.51.100.7",
        b"Forwarded: for=198.51.100.7",
        b"X-Real-IP: 198.51.100.7",
    ];
    let answer = service.send("GET /any", &lines).await;
    assert_eq!(answer.status, 401);
    assert_eq!(service.reason(&owner(), &answer).await, Reason::NetworkNotAllowed);
}

/// A refusal is the same for every path and method, whether or not a route matches. `Allow` is the framework's own,
/// added outside of the layer; a layer around the whole router comes before that.
#[tokio::test]
async fn a_trusted_proxy_says_where_its_client_is() {
    let service = Service::start().await;
    let office = service.mint_for_networks(&["198.51.100.0/24"]).await;
    // A layer trusts this machine, or a network that this machine is not in.
    for (path, lines, status) in [
        ("/proxied", vec!["X-Forwarded-For: 198.51.100.7"], 200),
        ("/proxied", vec!["X-Forwarded-For: 192.0.2.1, 198.51.100.7, 127.0.0.9"], 200),
        ("/proxied", vec!["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 198.51.100.7"], 200),
        ("/proxied", vec!["X-Forwarded-For: 198.51.100.7", "X-Forwarded-For: 192.0.2.1"], 401),
        ("/proxied", vec!["X-Forwarded-For: 198.51.100.7, 192.0.2.1"], 401),
        ("/proxied", vec!["X-Forwarded-For: 198.51.100.7, unknown"], 401),
        ("/proxied", vec!["X-Real-IP: 198.51.100.7", "Forwarded: for=198.51.100.7"], 401),
        ("/proxied", vec![], 401),
        ("/proxied-elsewhere", vec!["X-Forwarded-For: 198.51.100.7"], 401),
    ] {
        let credential = format!("Authorization: Bearer {}", text(&office));
        let mut sent = vec![credential.as_bytes()];
        sent.extend(lines.iter().map(|line| line.as_bytes()));
        let answer = service.send(&format!("GET {path}"), &sent).await;
        assert_eq!(answer.status, status, "{path} {lines:?}");
    }
}

#[tokio::test]
async fn a_refusal_does_not_tell_which_routes_there_are() {
    let service = Service::start().await;
    let first = service.holder("x", "GET /any").await.without_receipt();
    for route in ["GET /no-such-route", "DELETE /projects", "PATCH /any", "GET /projects?x=%3Cscript%3E"] {
        let mut answer = service.holder("x", route).await.without_receipt();
        answer.headers.retain(|(name, _)| name != "allow");
        assert_eq!(answer, first, "{route}");
    }
}
