//! What is accepted, and exactly why the rest is not.

use std::sync::Arc;

use token_core::testing::{CountingStore, with_checksum, with_wrong_verifier};
use token_core::{
    Caller, Ceiling, Class, Credential, CredentialError, Grant, Grants, MemoryStore, Networks, NewToken, OwnerId,
    Reason, Requirement, ResourceId, ResourceSet, Resources, Risk, Rotation, Scope, ScopeDef, ScopeName,
};

use crate::log::Listening;
use crate::world::MAX_STALENESS;
use crate::world::{BillingAll, BillingRead, ProjectsRead, ProjectsWrite, World, grants, minutes, name, request, text};

#[tokio::test]
async fn a_token_is_verified_with_its_owner_name_and_rights() {
    let world = World::new().await;
    let minted = world.create(&["projects:write"]).await;
    let verified = world.verify(&minted).await.unwrap();
    assert_eq!(verified.token_id(), minted.token.id);
    assert_eq!(verified.owner().as_str(), "ann");
    assert_eq!(verified.name().as_str(), "a token");
    assert_eq!(verified.expires_at(), minted.token.expires_at);
    assert!(verified.allows_everywhere::<ProjectsWrite>() && verified.allows_everywhere::<ProjectsRead>());
    assert!(!verified.allows_everywhere::<BillingRead>());
    assert!(world.tokens.require::<ProjectsRead>(&verified).is_ok());
    let refusal = world.tokens.require::<BillingRead>(&verified).unwrap_err();
    assert_eq!((refusal.class(), refusal.needed()), (Class::InsufficientScope, Some("billing:read")));
}

#[tokio::test]
async fn a_token_that_a_thread_meets_again_and_again_is_known_by_its_whole_text() {
    let world = World::new().await;
    let minted = world.create(&[]).await;
    let good = text(&minted).to_owned();
    for _ in 0..20 {
        world.verify(&minted).await.unwrap();
    }
    // Any other text is refused as what it is, whatever is kept.
    for at in 0..good.len() {
        for other in ['0', 'Z', '_', '\u{1}'] {
            let mut changed = good.clone();
            changed.replace_range(at..=at, &other.to_string());
            if changed == good {
                continue;
            }
            let expected = match (at, other) {
                (..=9, _) => Reason::WrongPrefix,
                (_, '_' | '\u{1}') => Reason::WrongAlphabet,
                _ => Reason::WrongChecksum,
            };
            let answer = world.cached_text(&changed).expect("what is malformed is refused without the store");
            assert_eq!(answer.map(drop), Err(expected), "character {at} is {other:?}");
        }
    }
    for length in 10..good.len() {
        assert_eq!(world.present(&good[..length]).await.map(drop), Err(Reason::WrongLength), "{length} characters");
    }
    // With a checksum that fits, it is the verifier that is wrong.
    let wrong = with_wrong_verifier(&good);
    assert_eq!(world.present(&wrong).await.map(drop), Err(Reason::WrongVerifier));
    assert!(world.cached(&minted).expect("it is still kept").is_ok());
}

#[tokio::test]
async fn a_requirement_asks_what_is_asked_of_each_request() {
    struct Undeclared;
    impl Scope for Undeclared {
        const DEF: ScopeDef = ScopeDef {
            name: "un:declared",
            says: "Nothing, since no catalog has it",
            group: "Others",
            risk: Risk::Low,
            implies: &[],
        };
    }

    let (world, other) = (World::new().await, World::new().await);
    let verified = world.verify(&world.create(&["projects:write"]).await).await.unwrap();
    assert!(world.tokens.requirement::<ProjectsRead>().check(&verified).is_ok());
    let refused = |requirement: Requirement| {
        let refusal = requirement.check(&verified).unwrap_err();
        (refusal.class(), refusal.needed())
    };
    let lacks = |scope| (Class::InsufficientScope, Some(scope));
    assert_eq!(refused(world.tokens.requirement::<BillingRead>()), lacks("billing:read"));
    assert_eq!(refused(world.tokens.requirement::<Undeclared>()), lacks("un:declared"));
    // What another service has verified is nothing to this one's.
    assert_eq!(refused(other.tokens.requirement::<ProjectsRead>()), lacks("projects:read"));
}

#[tokio::test]
async fn empty_grants_allow_nothing() {
    let world = World::new().await;
    let verified = world.verify(&world.create(&[]).await).await.unwrap();
    assert_eq!(verified.resources::<ProjectsRead>(), None);
    assert!(world.tokens.require::<ProjectsRead>(&verified).is_err());
    assert!(world.tokens.require_some::<ProjectsRead>(&verified).is_err());
    assert!(world.tokens.require_on::<ProjectsRead>(&verified, "p1").is_err());
}

#[tokio::test]
async fn a_grant_of_some_resources_is_not_one_of_all() {
    let world = World::new().await;
    let only = ResourceSet::new(["p1", "p2"].map(|id| ResourceId::new(id).unwrap())).unwrap();
    let scope = ScopeName::new("projects:write").unwrap();
    let limited = Grants::new([Grant { scope, resources: Resources::Only(only) }]).unwrap();
    let minted = world.tokens.manage(&world.owner).create(&NewToken::new(name("limited"), limited)).await.unwrap();
    let verified = world.verify(&minted).await.unwrap();
    assert!(world.tokens.require::<ProjectsRead>(&verified).is_err());
    assert!(world.tokens.require_on::<ProjectsRead>(&verified, "p1").is_ok());
    assert!(world.tokens.require_on::<ProjectsRead>(&verified, "p3").is_err());
    let Resources::Only(resources) = world.tokens.require_some::<ProjectsWrite>(&verified).unwrap() else {
        panic!("all resources")
    };
    assert_eq!(resources.iter().map(ResourceId::as_str).collect::<Vec<_>>(), ["p1", "p2"]);
}

#[tokio::test]
async fn a_wildcard_covers_what_the_catalog_declares() {
    let world = World::new().await;
    let verified = world.verify(&world.create(&["billing:*"]).await).await.unwrap();
    assert!(verified.allows_everywhere::<BillingAll>() && verified.allows_everywhere::<BillingRead>());
    assert!(!verified.allows_everywhere::<ProjectsRead>());
    // The parts are not the whole: a wildcard also covers what is declared later.
    let verified = world.verify(&world.create(&["billing:read"]).await).await.unwrap();
    assert!(!verified.allows_everywhere::<BillingAll>());
}

#[tokio::test]
async fn malformed_text_reaches_no_store() {
    let store = Arc::new(CountingStore::new(Arc::new(MemoryStore::new())));
    let world = World::on(Arc::clone(&store) as _).await;
    let minted = world.create(&[]).await;
    let before = store.calls();
    let good = text(&minted);
    let mistyped = format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
    let long = "x".repeat(65_536);
    for (text, reason) in [
        ("", Reason::WrongPrefix),
        (&long, Reason::WrongPrefix),
        ("other_live_0123", Reason::WrongPrefix),
        (&good[..good.len() - 1], Reason::WrongLength),
        (&format!("{good}0"), Reason::WrongLength),
        (&format!("acme_test_{}", "é".repeat(27)), Reason::WrongAlphabet),
        (&mistyped, Reason::WrongChecksum),
    ] {
        assert_eq!(world.present(text).await.unwrap_err(), reason);
    }
    for error in [CredentialError::Missing, CredentialError::Malformed] {
        assert!(world.tokens.authenticate(Err(error), Caller::default()).await.is_err());
    }
    assert_eq!(store.calls(), before, "no statement for text that no token has");
    // And one for a token, known or not.
    world.verify(&minted).await.unwrap();
    assert_eq!(store.calls(), before + 1);
    let stranger = World::new().await;
    let unknown = stranger.tokens.manage(&stranger.other_owner).create(&request(&[])).await.unwrap();
    let unknown = stranger.tokens.manage(&stranger.other_owner).rotate(unknown.token.id, &Rotation::default()).await;
    assert_eq!(world.verify(&unknown.unwrap()).await.unwrap_err(), Reason::UnknownSelector);
    assert_eq!(store.calls(), before + 2);
}

#[tokio::test]
async fn a_right_selector_with_a_wrong_verifier_is_refused() {
    let world = World::new().await;
    let (one, two) = (world.create(&[]).await, world.create(&[]).await);
    let lead = "acme_test_".len();
    let mixed = format!("{}{}", &text(&one)[..lead + 16], &text(&two)[lead + 16..lead + 48]);
    assert_eq!(world.present(&with_checksum(&mixed)).await.unwrap_err(), Reason::WrongVerifier);
    // A single wrong digit, first or last, with a checksum that fits.
    for at in [lead + 16, lead + 47] {
        let mut wrong = text(&one)[..lead + 48].to_owned();
        let digit = if wrong.as_bytes()[at] == b'0' { "1" } else { "0" };
        wrong.replace_range(at..=at, digit);
        assert_eq!(world.present(&with_checksum(&wrong)).await.unwrap_err(), Reason::WrongVerifier);
    }
    assert_eq!(world.present(&with_wrong_verifier(text(&one))).await.unwrap_err(), Reason::WrongVerifier);
    assert!(world.verify(&one).await.is_ok());
}

#[tokio::test]
async fn a_token_ends_at_its_expiry_and_not_before() {
    let world = World::new().await;
    let minted = world.create(&[]).await;
    let expires = minted.token.expires_at.unwrap();
    world.clock.set(token_core::Time::from_micros(expires.as_micros() - 1).unwrap());
    assert!(world.verify(&minted).await.is_ok());
    world.clock.set(expires);
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::Expired);
    // A clock that is set back is believed, but nothing that was revoked comes back.
    world.clock.set(minted.token.created_at);
    assert!(world.verify(&minted).await.is_ok());
    world.tokens.manage(&world.owner).revoke(minted.token.id).await.unwrap();
    world.clock.set(token_core::Time::EPOCH);
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::Revoked);
}

#[tokio::test]
async fn tokens_of_a_suspended_or_deactivated_owner_stop_and_come_back() {
    let world = World::new().await;
    let minted = world.create(&["projects:read"]).await;
    let ann = OwnerId::new("ann").unwrap();
    world.tokens.manage(&world.admin).suspend(&ann).await.unwrap();
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::OwnerSuspended);
    world.tokens.manage(&world.admin).resume(&ann).await.unwrap();
    assert!(world.verify(&minted).await.is_ok());
    // Deactivated by the host itself (CVE-2025-3230, CVE-2025-64521).
    world.roles.set("ann", None);
    world.clock.advance(MAX_STALENESS);
    assert_eq!(world.verify(&minted).await.unwrap_err(), Reason::OwnerMissing);
    world.roles.set("ann", Some(Ceiling::Everything));
    world.clock.advance(MAX_STALENESS);
    assert!(world.verify(&minted).await.is_ok());
}

#[tokio::test]
async fn a_token_does_no_more_than_its_owner_may_at_present() {
    let world = World::new().await;
    let minted = world.create(&["projects:write", "billing:read"]).await;
    world.roles.set("ann", Some(Ceiling::Only(grants(&["projects:read"]))));
    let verified = world.verify(&minted).await.unwrap();
    assert!(verified.allows_everywhere::<ProjectsRead>());
    assert!(!verified.allows_everywhere::<ProjectsWrite>() && !verified.allows_everywhere::<BillingRead>());
}

#[tokio::test]
async fn a_token_restricted_to_networks_needs_a_known_address_in_one() {
    let world = World::new().await;
    let networks = Some(Networks::parse(["198.51.100.0/24"]).unwrap());
    let restricted = NewToken { networks, ..request(&[]) };
    let minted = world.tokens.manage(&world.owner).create(&restricted).await.unwrap();
    let present = async |caller| {
        let credential = Credential::Borrowed(text(&minted).as_bytes());
        world.tokens.authenticate(Ok(credential), caller).await.map(drop).map_err(|refusal| refusal.reason())
    };
    assert_eq!(present(Caller::at("198.51.100.7".parse().unwrap())).await, Ok(()));
    assert_eq!(present(Caller::at("::ffff:198.51.100.7".parse().unwrap())).await, Ok(()));
    assert_eq!(present(Caller::at("198.51.101.7".parse().unwrap())).await, Err(Reason::NetworkNotAllowed));
    assert_eq!(present(Caller::default()).await, Err(Reason::AddressUnknown));
}

/// Whatever asks, layer, proxy or page: where nobody knows where clients are, whoever runs the service is told, and not flooded.
#[tokio::test]
async fn that_addresses_are_unknown_is_said_once_for_a_service() {
    let world = World::new().await;
    let networks = Some(Networks::parse(["198.51.100.0/24"]).unwrap());
    let minted = world.tokens.manage(&world.owner).create(&NewToken { networks, ..request(&[]) }).await.unwrap();
    let present = async |text: &str| {
        let credential = Credential::Borrowed(text.as_bytes());
        world.tokens.authenticate(Ok(credential), Caller::default()).await.unwrap_err().reason()
    };
    let log = Listening::to(tracing::Level::WARN);
    // Strangers have nobody told of anything.
    assert_eq!(present(&with_wrong_verifier(text(&minted))).await, Reason::WrongVerifier);
    assert_eq!(log.text(), "");
    for _ in 0..3 {
        assert_eq!(present(text(&minted)).await, Reason::AddressUnknown);
    }
    let said = log.text();
    assert_eq!(said.matches("WARN").count(), 1, "{said}");
    for part in ["TokenLayer::behind", "Management::trusted_proxies", "ClientAddress", "introspection"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains(text(&minted)), "{said}");
}

#[tokio::test]
async fn a_receipt_tells_the_owner_and_the_admin_what_the_client_was_not_told() {
    let world = World::new().await;
    let minted = world.create(&[]).await;
    world.tokens.manage(&world.owner).revoke(minted.token.id).await.unwrap();
    let credential = Credential::Borrowed(text(&minted).as_bytes());
    let refusal = world.tokens.authenticate(Ok(credential), Caller::default()).await.unwrap_err();
    let receipt = refusal.receipt().unwrap().as_str();
    for actor in [&world.owner, &world.viewer, &world.admin] {
        let content = world.tokens.manage(actor).receipt(receipt).await.unwrap();
        assert_eq!((content.token, content.reason, content.at), (Some(minted.token.id), Reason::Revoked, world.now()));
    }
    assert!(world.tokens.manage(&world.other_owner).receipt(receipt).await.is_err());
    // One that names no token is for admins.
    let refusal = world.tokens.authenticate(Err(CredentialError::Missing), Caller::default()).await.unwrap_err();
    let receipt = refusal.receipt().unwrap().as_str();
    assert_eq!(world.tokens.manage(&world.admin).receipt(receipt).await.unwrap().reason, Reason::NoCredential);
    assert!(world.tokens.manage(&world.owner).receipt(receipt).await.is_err());
}

#[tokio::test]
async fn a_use_that_was_stored_before_its_request_was_refused_stays_beside_the_refusal() {
    let world = World::new().await;
    let minted = world.create(&["projects:read"]).await;
    let verified = world.verify(&minted).await.unwrap();
    for stored in [false, true] {
        assert!(world.tokens.count_use(&verified, None), "the first calls are kept");
        if stored {
            world.tokens.flush().await.unwrap();
        }
        let refusal = world.tokens.require::<ProjectsWrite>(&verified).unwrap_err();
        let call = token_core::Call { method: "POST", route: Some("/projects"), client: None };
        world.tokens.tally_refused_use(&verified, refusal.reason(), &call);
    }
    world.tokens.flush().await.unwrap();
    let usage = world.tokens.manage(&world.owner).usage(minted.token.id, token_core::Time::EPOCH).await.unwrap();
    assert_eq!(usage.hours.iter().map(|hour| hour.count).collect::<Vec<_>>(), [1]);
    assert_eq!(usage.refusals.iter().map(|refusal| refusal.count).collect::<Vec<_>>(), [2]);
    let calls = world.tokens.manage(&world.owner).recent_calls(None, 10).await.unwrap();
    assert_eq!(calls.iter().map(|call| call.refused).collect::<Vec<_>>(), [Some(Reason::InsufficientScope); 2]);
}

#[tokio::test]
async fn of_a_refusal_that_is_met_again_and_again_one_use_is_taken_back() {
    let world = World::new().await;
    let minted = world.create(&["projects:read"]).await;
    let verified = world.verify(&minted).await.unwrap();
    for _ in 0..3 {
        assert!(world.tokens.count_use(&verified, None), "the first calls are kept");
    }
    let refusal = world.tokens.require::<ProjectsWrite>(&verified).unwrap_err();
    let used = world.tokens.refused_use(&verified, &refusal);
    for _ in 0..2 {
        used.tally(&token_core::Call { method: "POST", route: Some("/projects"), client: None });
    }
    world.tokens.flush().await.unwrap();
    let usage = world.tokens.manage(&world.owner).usage(minted.token.id, token_core::Time::EPOCH).await.unwrap();
    assert_eq!(usage.hours.iter().map(|hour| hour.count).collect::<Vec<_>>(), [2]);
    let calls = world.tokens.manage(&world.owner).recent_calls(None, 10).await.unwrap();
    assert_eq!(calls.iter().map(|call| call.refused).collect::<Vec<_>>(), [Some(Reason::InsufficientScope)]);
}

#[tokio::test]
async fn uses_and_refusals_are_tallied_apart_from_the_request() {
    let world = World::new().await;
    let minted = world.create(&["projects:read"]).await;
    for _ in 0..3 {
        let verified = world.verify(&minted).await.unwrap();
        world.tokens.tally_use(&verified, &token_core::Call::default());
    }
    let verified = world.verify(&minted).await.unwrap();
    assert!(world.tokens.require::<ProjectsWrite>(&verified).is_err());
    world.clock.advance(minutes(60));
    world.tokens.manage(&world.owner).revoke(minted.token.id).await.unwrap();
    assert!(world.verify(&minted).await.is_err());

    let manage = world.tokens.manage(&world.viewer);
    let since = token_core::Time::EPOCH;
    assert!(
        manage.usage(minted.token.id, since).await.unwrap().hours.is_empty(),
        "nothing is written on the request path"
    );
    world.background.turn().await.unwrap();
    let usage = manage.usage(minted.token.id, since).await.unwrap();
    assert_eq!(usage.hours.iter().map(|hour| hour.count).collect::<Vec<_>>(), [3]);
    assert_eq!(usage.last.len(), 1);
    let refusals: Vec<_> = usage.refusals.iter().map(|tally| (tally.reason, tally.count)).collect();
    assert_eq!(refusals, [(Reason::InsufficientScope, 1), (Reason::Revoked, 1)]);
}
