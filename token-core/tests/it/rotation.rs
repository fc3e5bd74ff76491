//! A new value for a token, without an instant at which neither works.

use token_core::{
    ChangeId, Edit, Expiry, ExpiryError, Generation, ManageError, Minted, Overlap, Reason, Replace, Rotation,
    RotationError, TokenState,
};

use crate::world::{World, minutes, name};

fn rotation(replace: Replace) -> Rotation {
    Rotation { replace, expiry: None }
}

async fn rotate(world: &World, minted: &Minted, replace: Replace) -> Result<Minted, ManageError> {
    world.tokens.manage(&world.owner).rotate(minted.token.id, &rotation(replace)).await
}

fn two_live(result: Result<Minted, ManageError>) -> bool {
    matches!(result, Err(ManageError::Rotation(RotationError::TwoLive { .. })))
}

#[tokio::test]
async fn both_values_work_until_the_overlap_ends() {
    let world = World::new().await;
    let old = world.create(&["projects:read"]).await;
    let new = rotate(&world, &old, Replace::Current(Overlap::For(minutes(15)))).await.unwrap();
    assert_eq!(new.token.id, old.token.id);
    assert_eq!((&new.token.name, &new.token.grants), (&old.token.name, &old.token.grants));
    assert_eq!(new.token.expires_at, old.token.expires_at);
    assert!(world.verify(&old).await.is_ok() && world.verify(&new).await.is_ok());
    let end = new.token.superseded.unwrap().until;
    assert_eq!(end, world.now().checked_add(minutes(15)).unwrap());
    world.clock.set(end);
    assert_eq!(world.verify(&old).await.unwrap_err(), Reason::OverlapEnded);
    assert!(world.verify(&new).await.is_ok());
}

#[tokio::test]
async fn the_overlap_can_be_none_at_all_and_can_be_ended() {
    let world = World::new().await;
    let first = world.create(&[]).await;
    let second = rotate(&world, &first, Replace::Current(Overlap::Now)).await.unwrap();
    assert_eq!(world.verify(&first).await.unwrap_err(), Reason::OverlapEnded);
    let third = rotate(&world, &first, Replace::Current(Overlap::Default)).await.unwrap();
    assert!(world.verify(&second).await.is_ok() && world.verify(&third).await.is_ok());
    let ended = world.tokens.manage(&world.owner).end_overlap(first.token.id).await.unwrap();
    assert_eq!(ended.superseded, None);
    assert_eq!(world.verify(&second).await.unwrap_err(), Reason::OverlapEnded);
    assert!(world.verify(&third).await.is_ok());
    // Ending it twice is ending it once.
    let again = world.tokens.manage(&world.owner).end_overlap(first.token.id).await.unwrap();
    assert_eq!(again.revision, ended.revision);
}

#[tokio::test]
async fn with_two_values_live_the_one_to_end_must_be_named() {
    let world = World::new().await;
    let first = world.create(&[]).await;
    let second = rotate(&world, &first, Replace::Current(Overlap::Default)).await.unwrap();
    assert!(two_live(rotate(&world, &first, Replace::Current(Overlap::Default)).await));
    assert!(two_live(rotate(&world, &first, Replace::Current(Overlap::Now)).await));
    let deadline = second.token.superseded.unwrap();

    // The text of the second was lost: the first, which is in use, keeps its deadline.
    let third = rotate(&world, &first, Replace::EndingCurrent).await.unwrap();
    assert_eq!(third.token.superseded, Some(deadline));
    assert!(world.verify(&first).await.is_ok() && world.verify(&third).await.is_ok());
    assert_eq!(world.verify(&second).await.unwrap_err(), Reason::OverlapEnded);

    // The first is ended; the third works on beside the fourth.
    let fourth = rotate(&world, &first, Replace::EndingSuperseded(Overlap::For(minutes(1)))).await.unwrap();
    assert_eq!(world.verify(&first).await.unwrap_err(), Reason::OverlapEnded);
    assert!(world.verify(&third).await.is_ok() && world.verify(&fourth).await.is_ok());
    assert_eq!(fourth.token.current.generation, Generation::new(4).unwrap());

    // Once the overlap is over by itself nothing needs to be named.
    world.clock.advance(minutes(1));
    assert!(rotate(&world, &first, Replace::Current(Overlap::Now)).await.is_ok());
}

#[tokio::test]
async fn a_token_that_rotates_itself_does_so_by_its_current_value() {
    let world = World::new().await;
    let first = world.create(&[]).await;
    let by = |minted: &Minted| world.tokens.manage(&world.owner).if_current(minted.token.current.selector);
    let key = ChangeId::from_bytes([7; 16]);
    let second = by(&first).change_id(key).rotate(first.token.id, &Rotation::default()).await.unwrap();
    for replace in [Replace::Current(Overlap::Now), Replace::EndingSuperseded(Overlap::Default), Replace::EndingCurrent]
    {
        let refused = by(&first).rotate(first.token.id, &rotation(replace)).await;
        assert!(matches!(refused, Err(ManageError::Superseded)), "{replace:?} {refused:?}");
    }
    assert_eq!(world.tokens.manage(&world.owner).token(first.token.id).await.unwrap().token, second.token);
    // A repeat of what was done changes nothing, so it is told what was done.
    let again = by(&first).change_id(key).rotate(first.token.id, &Rotation::default()).await.unwrap();
    assert_eq!((again.token, again.text.is_none()), (second.token.clone(), true));
    assert!(by(&second).rotate(first.token.id, &rotation(Replace::EndingSuperseded(Overlap::Now))).await.is_ok());
}

#[tokio::test]
async fn an_overlap_keeps_to_the_policy_and_the_expiry() {
    let world = World::new().await;
    let minted = world.create(&[]).await;
    let week = minutes(7 * 24 * 60);
    let too_long = rotate(&world, &minted, Replace::Current(Overlap::For(week + minutes(1)))).await;
    assert!(matches!(too_long, Err(ManageError::Rotation(RotationError::OverlapTooLong { max })) if max == week));
    assert_eq!(world.tokens.manage(&world.owner).token(minted.token.id).await.unwrap().token, minted.token);

    world.clock.set(minted.token.expires_at.unwrap().saturating_sub(minutes(10)));
    let rotated = rotate(&world, &minted, Replace::Current(Overlap::For(week))).await.unwrap();
    assert_eq!(rotated.token.superseded.unwrap().until, minted.token.expires_at.unwrap());
}

#[tokio::test]
async fn a_rotation_keeps_the_expiry_or_renews_it() {
    let world = World::new().await;
    let minted = world.create(&[]).await;
    let renew = |expiry| Rotation { replace: Replace::EndingSuperseded(Overlap::Default), expiry: Some(expiry) };
    let manage = world.tokens.manage(&world.owner);
    world.clock.advance(minutes(60));
    let renewed = manage.rotate(minted.token.id, &renew(Expiry::After(minutes(600)))).await.unwrap();
    assert_eq!(renewed.token.expires_at, world.now().checked_add(minutes(600)));
    // The overlap does not outlive an expiry that the same rotation brings nearer.
    assert!(renewed.token.superseded.unwrap().until <= renewed.token.expires_at.unwrap());
    for (expiry, error) in [
        (Expiry::Never, ExpiryError::NeverNotAllowed),
        (Expiry::At(world.now()), ExpiryError::NotInFuture),
        (Expiry::After(minutes(0)), ExpiryError::NotInFuture),
    ] {
        let refused = manage.rotate(minted.token.id, &renew(expiry)).await;
        assert!(matches!(refused, Err(ManageError::Rotation(RotationError::Expiry(seen))) if seen == error));
    }
}

#[tokio::test]
async fn a_dead_token_is_not_rotated_back_to_life() {
    let world = World::new().await;
    let (expired, revoked) = (world.create(&[]).await, world.create(&[]).await);
    world.tokens.manage(&world.owner).revoke(revoked.token.id).await.unwrap();
    world.clock.set(expired.token.expires_at.unwrap());
    let renew = Rotation { replace: Replace::Current(Overlap::Now), expiry: Some(Expiry::After(minutes(60))) };
    for (token, state) in [(expired, TokenState::Expired), (revoked, TokenState::Revoked)] {
        let refused = world.tokens.manage(&world.owner).rotate(token.token.id, &renew).await;
        assert!(matches!(refused, Err(ManageError::NotLive(seen)) if seen == state));
    }
}

#[tokio::test]
async fn revoking_ends_every_value_at_once() {
    let world = World::new().await;
    let old = world.create(&[]).await;
    let new = rotate(&world, &old, Replace::Current(Overlap::Default)).await.unwrap();
    world.tokens.manage(&world.owner).revoke(old.token.id).await.unwrap();
    assert_eq!(world.verify(&old).await.unwrap_err(), Reason::Revoked);
    assert_eq!(world.verify(&new).await.unwrap_err(), Reason::Revoked);
}

/// gitlab#524639: a retried rotation revoked the value that the first had made.
#[tokio::test]
async fn a_rotation_that_is_sent_twice_is_one_rotation() {
    let world = World::new().await;
    let old = world.create(&[]).await;
    let manage = world.tokens.manage(&world.owner).change_id(ChangeId::from_key(world.owner.id(), "retry"));
    let plain = rotation(Replace::Current(Overlap::Default));
    let new = manage.rotate(old.token.id, &plain).await.unwrap();
    let repeat = manage.rotate(old.token.id, &plain).await.unwrap();
    assert!(repeat.text.is_none(), "the text was in the first answer, and is not kept");
    assert_eq!(repeat.token, new.token);
    assert!(world.verify(&old).await.is_ok() && world.verify(&new).await.is_ok());
}

/// A node's clock was ahead for a while, and what it wrote then is later than what comes now.
#[tokio::test]
async fn a_clock_that_was_ahead_lengthens_no_overlap() {
    let world = World::new().await;
    let first = world.create(&[]).await;
    let (now, month) = (world.now(), minutes(30 * 24 * 60));
    world.clock.set_wall(now.checked_add(month).unwrap());
    let manage = world.tokens.manage(&world.owner);
    let renamed = Edit { name: Some(name("renamed")), ..Edit::default() };
    manage.edit(first.token.id, &renamed).await.unwrap();
    world.clock.set_wall(now);

    let second = rotate(&world, &first, Replace::Current(Overlap::For(minutes(60)))).await.unwrap();
    assert_eq!(second.token.superseded, None, "an hour from now is before what happened last");
    assert_eq!(world.verify(&first).await.unwrap_err(), Reason::OverlapEnded);
    assert!(world.verify(&second).await.is_ok());
    let later = Edit { expiry: Some(Expiry::After(2 * month)), ..Edit::default() };
    let edited = manage.edit(first.token.id, &later).await.unwrap();
    assert_eq!(edited.expires_at, now.checked_add(2 * month));
}
