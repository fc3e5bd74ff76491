//! Races, through the whole service: many at once on one store, every call giving way to the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};

use crate::actor::Actor;
use crate::bearer::Credential;
use crate::change::{ChangeId, Committed, OwnerGuard};
use crate::clock::ManualClock;
use crate::edit::{Edit, NewToken};
use crate::event::{Event, EventDetail, EventHead, Subject};
use crate::history::History;
use crate::refusal::Reason;
use crate::rotation::{Overlap, Replace, Rotation, RotationError};
use crate::scope::{Ceiling, Grant, Grants};
use crate::service::{Caller, ManageError, Minted, Tokens, Verified};
use crate::store::{ListFilter, Position, TokenStore};
use crate::testing::hooked::{GivingWay, HookedStore, give_way};
use crate::testing::sample::{Checked, Sample, ensure, same};
use crate::text::{ActorId, OwnerId, TokenName};
use crate::token::Token;

/// So many do the same at once.
const CROWD: usize = 64;

struct Race {
    tokens: Tokens,
    clock: Arc<ManualClock>,
    owner: Actor,
    admin: Actor,
}

impl Race {
    async fn new(store: Arc<dyn TokenStore>, cap: u32) -> Checked<Race> {
        let (tokens, clock) = Sample::service(Arc::new(HookedStore::hooked(store, GivingWay)), cap).await?;
        let owner = Actor::owner(ActorId::new("u1")?, OwnerId::new("u1")?, Ceiling::Everything);
        let admin = Actor::admin(ActorId::new("admin")?, Ceiling::Everything);
        Ok(Race { tokens, clock, owner, admin })
    }

    fn request(&self) -> Checked<NewToken> {
        let grants = Grants::new([Grant::all("projects:read")?, Grant::all("projects:write")?])?;
        Ok(NewToken::new(TokenName::new("raced")?, grants))
    }

    async fn create(&self) -> Checked<Minted> {
        Ok(self.tokens.manage(&self.owner).create(&self.request()?).await?)
    }

    async fn verify(&self, minted: &Minted) -> Checked<Result<Verified, Reason>> {
        let text = minted.text.as_ref().ok_or("no text was shown")?.expose_secret();
        let credential = Credential::Borrowed(text.as_bytes());
        let verified = self.tokens.authenticate(Ok(credential), Caller::default()).await;
        Ok(verified.map_err(|refusal| refusal.reason()))
    }

    async fn works(&self, minted: &Minted) -> Checked<bool> {
        Ok(self.verify(minted).await?.is_ok())
    }

    async fn history(&self, token: &Token) -> Checked {
        let history = self.tokens.manage(&self.admin).verify_history(&Subject::Token(token.id)).await?;
        ensure(matches!(history, History::Intact { .. }), || format!("the history is {history:?}"))
    }

    async fn stored(&self, token: &Token) -> Checked<Token> {
        let listed = self.tokens.manage(&self.admin).token(token.id).await?;
        listed.seal?;
        Ok(listed.token)
    }
}

fn rotation(replace: Replace) -> Rotation {
    Rotation { replace, expiry: None }
}

pub(in crate::testing) async fn rotate_races_rotate(store: Arc<dyn TokenStore>) -> Checked {
    let race = Race::new(store, 100).await?;
    let first = race.create().await?;
    let plain = rotation(Replace::Current(Overlap::Default));
    let manage = race.tokens.manage(&race.owner);
    let rotations = join_all((0..CROWD).map(|_| manage.rotate(first.token.id, &plain))).await;
    let mut winners = Vec::new();
    for rotated in rotations {
        match rotated {
            Ok(minted) => winners.push(minted),
            Err(ManageError::Rotation(RotationError::TwoLive { .. })) => {}
            Err(other) => return Err(format!("a rotation that lost: {other}").into()),
        }
    }
    same("rotations that won", &winners.len(), &1)?;
    ensure(race.works(&first).await?, || "the old value does not work during the overlap".into())?;
    ensure(race.works(&winners[0]).await?, || "the new value does not work".into())?;
    let stored = race.stored(&first.token).await?;
    same("generations", &stored.current.generation.number(), &2)?;
    race.history(&first.token).await
}

pub(in crate::testing) async fn rotate_races_revoke(store: Arc<dyn TokenStore>) -> Checked {
    let race = Race::new(store, 100).await?;
    for later in 0..8 {
        let first = race.create().await?;
        let manage = race.tokens.manage(&race.owner);
        let again = rotation(Replace::EndingSuperseded(Overlap::Default));
        let rotations = join_all((0..CROWD).map(|_| manage.rotate(first.token.id, &again)));
        // At another point of the rotations each time.
        let revoked = async {
            for _ in 0..later {
                give_way().await;
            }
            manage.revoke(first.token.id).await
        };
        let (rotations, revoked) = join(rotations, revoked).await;
        let revoked = revoked.map_err(|error| format!("a revoke that lost: {error}"))?;
        ensure(revoked.revoked_at.is_some(), || "a revoke answered with a token that is not revoked".into())?;
        let stored = race.stored(&first.token).await?;
        ensure(stored.revoked_at.is_some(), || "the token is not revoked".into())?;
        same("the old value", &race.verify(&first).await?.err(), &Some(Reason::Revoked))?;
        for rotated in rotations {
            match rotated {
                Ok(minted) => same("a rotated value", &race.verify(&minted).await?.err(), &Some(Reason::Revoked))?,
                Err(ManageError::NotLive(_) | ManageError::Contention) => {}
                Err(other) => return Err(format!("a rotation that lost: {other}").into()),
            }
        }
        race.history(&first.token).await?;
    }
    Ok(())
}

pub(in crate::testing) async fn create_races_cap(store: Arc<dyn TokenStore>) -> Checked {
    const CAP: usize = 5;
    let race = Race::new(store, 5).await?;
    let request = race.request()?;
    let manage = race.tokens.manage(&race.owner);
    let created = join_all((0..2 * CAP + 1).map(|_| manage.create(&request))).await;
    let mut made = 0;
    for minted in created {
        match minted {
            Ok(minted) => {
                made += 1;
                ensure(race.works(&minted).await?, || "a created token does not work".into())?;
            }
            Err(ManageError::CapReached { .. }) => {}
            Err(other) => return Err(format!("a creation that lost: {other}").into()),
        }
    }
    same("tokens made under a cap of 5", &made, &CAP)?;
    let live = manage.list(None, ListFilter::Live, None, Position::Created(None), 100).await?;
    same("live tokens", &live.tokens.len(), &CAP)
}

/// At the trait, where the order of commits is seen: a creation that was decided before the suspension, and comes after it.
pub(in crate::testing) async fn create_races_suspend(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let store = HookedStore::hooked(store, GivingWay);
    sample.stored(&store, "u1", "first").await?;
    let owner = store.owner(&OwnerId::new("u1")?).await?.ok_or("the owner was not stored")?;
    let start = store.changes(None, Duration::ZERO).await?.cursor;
    let (suspend, after) = sample.suspend(owner.unverified())?;
    let mut creations = Vec::new();
    for number in 0..CROWD {
        let (token, secret) = sample.token("u1", &format!("token {number}"))?;
        let guard = OwnerGuard::At { owner: token.owner.clone(), revision: owner.unverified().revision };
        creations.push(sample.create(token, secret, guard, u32::MAX)?.0);
    }
    let (before, later) = creations.split_at(CROWD / 2);
    // When the first of the crowd are under way: not all of them are asked in turn.
    let suspension = async {
        for _ in 0..CROWD {
            give_way().await;
        }
        store.commit(&suspend).await
    };
    let (early, (suspended, late)) = join(
        join_all(before.iter().map(|change| store.commit(change))),
        join(suspension, join_all(later.iter().map(|change| store.commit(change)))),
    )
    .await;
    same("the suspension", &suspended?, &Committed::Done)?;
    let mut done = 0;
    for committed in early.into_iter().chain(late) {
        match committed? {
            Committed::Done => done += 1,
            Committed::Conflict => {}
            other => return Err(format!("a creation ended in {other:?}").into()),
        }
    }
    let mut order = Vec::new();
    let mut cursor = start;
    while order.len() < done + 1 {
        let feed = store.changes(Some(cursor), Duration::ZERO).await?;
        ensure(!feed.changes.is_empty(), || "the feed lacks changes".into())?;
        cursor = feed.cursor;
        order.extend(feed.changes.into_iter().map(|(_, subject)| subject));
    }
    same("the last of the changes", &order.last(), &Some(&Subject::Owner(after.id.clone())))?;
    let stored = store.owner(&after.id).await?.ok_or("the owner is gone")?;
    same("the owner", stored.unverified(), &after)
}

pub(in crate::testing) async fn edit_races_verify(store: Arc<dyn TokenStore>) -> Checked {
    let race = Race::new(store, 100).await?;
    let minted = race.create().await?;
    let manage = race.tokens.manage(&race.owner);
    let editing = AtomicBool::new(true);
    let edit = async |number: u32| {
        let (name, scope) =
            if number.is_multiple_of(2) { ("even", "projects:read") } else { ("odd", "projects:write") };
        let grants = Grants::new([Grant::all(scope)?])?;
        let edit = Edit { name: Some(TokenName::new(name)?), grants: Some(grants), ..Edit::default() };
        manage.edit(minted.token.id, &edit).await?;
        Checked::Ok(())
    };
    let edits = async {
        let mut edited = Ok(());
        for number in 0..12 {
            edited = edited.and(edit(number).await);
        }
        editing.store(false, Ordering::Relaxed);
        edited
    };
    let verifications = async {
        while editing.load(Ordering::Relaxed) {
            // Too old for the cache: it is the store that is raced with.
            race.clock.advance(Duration::from_secs(10));
            let verified =
                race.verify(&minted).await?.map_err(|reason| format!("a good token was refused: {reason}"))?;
            let fits = match verified.name().as_str() {
                "even" => verified.allows_scope("projects:read") && !verified.allows_scope("projects:write"),
                "odd" => verified.allows_scope("projects:write") && !verified.allows_scope("projects:read"),
                _ => true,
            };
            ensure(fits, || "a token was seen with the name of one moment and the grants of another".into())?;
        }
        Checked::Ok(())
    };
    let (edited, verified) = join(edits, verifications).await;
    edited?;
    verified
}

pub(in crate::testing) async fn event_races_change(store: Arc<dyn TokenStore>) -> Checked {
    let race = Race::new(store, 100).await?;
    let minted = race.create().await?;
    let manage = race.tokens.manage(&race.owner);
    let edits = (0..CROWD).map(|number| {
        let name = TokenName::new(format!("edit {number}"));
        async move { Checked::Ok(manage.edit(minted.token.id, &Edit { name: Some(name?), ..Edit::default() }).await) }
    });
    let rotations = (0..2).map(|_| manage.rotate(minted.token.id, &const { END_AND_ROTATE }));
    let (edits, rotations) = join(join_all(edits), join_all(rotations)).await;
    let edits = edits.into_iter().collect::<Checked<Vec<_>>>()?;
    let (edited, rotated) = (done(edits)?, done(rotations)?);
    ensure(edited > 0, || "of so many edits, none was made".into())?;

    let stored = race.stored(&minted.token).await?;
    same("the revision", &stored.revision, &((1 + edited + rotated) as u64))?;
    race.history(&stored).await?;
    let events = manage.events(&Subject::Token(stored.id), 0, 100).await?;
    same("the number of events", &(events.len() as u64), &stored.revision)?;
    same("the replay of the events", &replay(&minted.token, &events)?, &stored)
}

/// How many of changes at once were made. One that lost too often to the others is told so, and not made.
fn done<T>(changes: Vec<Result<T, ManageError>>) -> Checked<usize> {
    let mut done = 0;
    for change in changes {
        match change {
            Ok(_) => done += 1,
            Err(ManageError::Contention) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

const END_AND_ROTATE: Rotation = Rotation { replace: Replace::EndingSuperseded(Overlap::Default), expiry: None };

/// The token that its events lead to, from what never changes of it.
fn replay(fixed: &Token, events: &[Event]) -> Checked<Token> {
    let mut token = Token { revision: 0, head: EventHead::START, ..fixed.clone() };
    for event in events {
        match event.detail()? {
            EventDetail::Created { name, grants, networks, expires_at, secret } => {
                token = Token { name, grants, networks, expires_at, current: secret, superseded: None, ..token };
            }
            EventDetail::Edited { name, grants, networks, expires_at } => {
                token.name = name.unwrap_or(token.name);
                token.grants = grants.unwrap_or(token.grants);
                token.networks = networks.unwrap_or(token.networks);
                token.expires_at = expires_at.unwrap_or(token.expires_at);
            }
            EventDetail::Rotated { secret, superseded, expires_at } => {
                token = Token { current: secret, superseded, expires_at, ..token };
            }
            EventDetail::OverlapEnded { .. } => token.superseded = None,
            EventDetail::Revoked => {
                token.revoked_at = Some(event.at);
                token.superseded = None;
            }
            EventDetail::Resealed { name, grants, networks, expires_at, revoked_at, secret, superseded } => {
                token = Token { name, grants, networks, expires_at, revoked_at, current: secret, superseded, ..token };
            }
            _ => {}
        }
        token.revision += 1;
        token.head = event.head();
    }
    Ok(token)
}

pub(in crate::testing) async fn repeat_races_repeat(store: Arc<dyn TokenStore>) -> Checked {
    let race = Race::new(store, 100).await?;
    let request = race.request()?;
    let manage = race.tokens.manage(&race.owner).change_id(ChangeId::from_key(race.owner.id(), "once"));
    let created = join_all((0..CROWD).map(|_| manage.create(&request))).await;
    let created = created.into_iter().collect::<Result<Vec<Minted>, ManageError>>()?;
    let shown: Vec<&Minted> = created.iter().filter(|minted| minted.text.is_some()).collect();
    same("secrets shown", &shown.len(), &1)?;
    ensure(created.iter().all(|minted| minted.token.id == shown[0].token.id), || "repeats name other tokens".into())?;
    ensure(race.works(shown[0]).await?, || "the secret that was shown does not work".into())?;
    let all = manage.list(None, ListFilter::Any, None, Position::Created(None), 100).await?;
    same("tokens made", &all.tokens.len(), &1)?;
    // What one of them did is in the way of the others' decisions, and must not be told as their failure.
    let token = &shown[0].token;
    for later in 0..8 {
        let key = ChangeId::from_key(race.owner.id(), &format!("rotate once, {later}"));
        let stored = race.stored(token).await?;
        let manage = race.tokens.manage(&race.owner).change_id(key).if_revision(stored.revision);
        let plain = rotation(Replace::Current(Overlap::Default));
        let rotated = join_all((0..CROWD).map(|position| {
            let plain = &plain;
            async move {
                for _ in 0..position * later {
                    give_way().await;
                }
                manage.rotate(token.id, plain).await
            }
        }));
        let rotated = rotated.await.into_iter().collect::<Result<Vec<Minted>, ManageError>>()?;
        same("values shown by one rotation", &rotated.iter().filter(|minted| minted.text.is_some()).count(), &1)?;
        race.tokens.manage(&race.owner).end_overlap(token.id).await?;
    }
    let other = NewToken { name: TokenName::new("another")?, ..request };
    match manage.create(&other).await {
        Err(ManageError::ChangeIdReused) => Ok(()),
        other => Err(format!("another request under the id ended in {other:?}").into()),
    }
}
