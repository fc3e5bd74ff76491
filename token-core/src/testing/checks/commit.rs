//! What a commit guards, and what it leaves behind.

use std::sync::Arc;

use crate::change::{Change, Committed, Outcome, OwnerGuard, Standing, Write};
use crate::clock::Time;
use crate::event::{Event, EventDetail, Subject};
use crate::policy::Policy;
use crate::store::TokenStore;
use crate::testing::sample::{Checked, LEASE, Sample, ensure, same, time};
use crate::text::{ActorId, OwnerId};
use crate::token::{SecretRef, Token};

/// Everything that a refused change must leave alone.
async fn untouched(store: &dyn TokenStore, change: &Change, token: &Token) -> Checked {
    ensure(store.outcome(&change.id).await?.is_none(), || "the change id was stored".into())?;
    let stored = store.token(token.id).await?.ok_or("the token is gone")?;
    same("the token", stored.unverified(), token)?;
    let events = store.events(&Subject::Token(token.id), 0, 100).await?;
    same("the number of events", &(events.len() as u64), &token.head.seq)
}

pub(in crate::testing) async fn event_and_change_commit_together(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let start = store.changes(None, std::time::Duration::ZERO).await?.cursor;
    let (token, secret) = sample.token("u1", "whole")?;
    let guard = OwnerGuard::New(sample.owner("u1")?);
    let (change, token) = sample.create(token, secret.clone(), guard, 1)?;
    sample.done(&*store, &change).await?;

    let subject = Subject::Token(token.id);
    same("the events", &store.events(&subject, 0, 10).await?, &vec![change.event.clone()])?;
    let outcome = Outcome { fingerprint: change.fingerprint, event: change.event.clone() };
    same("the outcome", &store.outcome(&change.id).await?, &Some(outcome))?;
    same("the secrets", &store.load(&[secret.selector]).await?.len(), &1)?;
    ensure(store.owner(&token.owner).await?.is_some(), || "the owner was not stored".into())?;
    let feed = store.changes(Some(start), std::time::Duration::ZERO).await?;
    let told: Vec<Subject> = feed.changes.into_iter().map(|(_, subject)| subject).collect();
    same("the feed", &told, &vec![subject.clone()])?;

    // A rotation brings its secret along.
    let secret = sample.secret(token.id, crate::Generation::new(2).ok_or("no generation")?)?;
    let current = SecretRef { generation: secret.generation, selector: secret.selector };
    let detail = EventDetail::Rotated { secret: current, superseded: None, expires_at: None };
    let (change, after) = sample.update(&Token { current, ..token }, &detail, Some(secret.clone()))?;
    sample.done(&*store, &change).await?;
    let loaded = store.load(&[secret.selector]).await?.into_iter().next().ok_or("the new secret was not stored")?;
    same("the rotated token", loaded.token.unverified(), &after)?;
    same("the number of events", &store.events(&subject, 0, 10).await?.len(), &2)
}

pub(in crate::testing) async fn conflict_writes_nothing(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, _) = sample.stored(&*store, "u1", "first").await?;
    let stale = Token { revision: token.revision + 1, ..token.clone() };
    let secret = sample.secret(token.id, crate::Generation::new(2).ok_or("no generation")?)?;
    let (change, _) = sample.update(&stale, &EventDetail::Revoked, Some(secret.clone()))?;
    same("a stale update", &store.commit(&change).await?, &Committed::Conflict)?;
    untouched(&*store, &change, &token).await?;
    ensure(store.load(&[secret.selector]).await?.is_empty(), || "the secret was stored".into())?;

    let (other, other_secret) = sample.token("u2", "second")?;
    let guard = OwnerGuard::At { owner: other.owner.clone(), revision: 1 };
    let (change, other) = sample.create(other, other_secret.clone(), guard, 10)?;
    same("a creation for an owner that is not there", &store.commit(&change).await?, &Committed::Conflict)?;
    ensure(store.token(other.id).await?.is_none(), || "the token was stored".into())?;
    ensure(store.owner(&other.owner).await?.is_none(), || "the owner was stored".into())?;
    ensure(store.load(&[other_secret.selector]).await?.is_empty(), || "the secret was stored".into())?;
    ensure(store.outcome(&change.id).await?.is_none(), || "the change id was stored".into())?;
    let events = store.events(&Subject::Token(other.id), 0, 10).await?;
    ensure(events.is_empty(), || "the event was stored".into())
}

pub(in crate::testing) async fn token_revision_guards(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, _) = sample.stored(&*store, "u1", "one").await?;
    let (two, after) = sample.rename(&token, "two")?;
    let (mut three, _) = sample.rename(&token, "three")?;
    // A number that is free, so that it is the revision that guards.
    three.event.seq += 1;
    sample.done(&*store, &two).await?;
    same("an update from a revision that is gone", &store.commit(&three).await?, &Committed::Conflict)?;
    untouched(&*store, &three, &after).await?;
    let (unknown, _) = sample.token("u1", "unknown")?;
    let (change, _) = sample.update(&unknown, &EventDetail::Revoked, None)?;
    same("an update of a token that is not there", &store.commit(&change).await?, &Committed::Conflict)
}

pub(in crate::testing) async fn owner_guards(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, _) = sample.stored(&*store, "u1", "one").await?;
    let owner = store.owner(&token.owner).await?.ok_or("the owner was not stored")?;
    let (suspend, _) = sample.suspend(owner.unverified())?;
    sample.done(&*store, &suspend).await?;
    let stale = OwnerGuard::At { owner: token.owner.clone(), revision: owner.unverified().revision };
    for guard in [stale, OwnerGuard::New(owner)] {
        let (another, secret) = sample.token("u1", "two")?;
        let (change, another) = sample.create(another, secret, guard, 10)?;
        let committed = store.commit(&change).await?;
        same("a creation for an owner that has changed", &committed, &Committed::Conflict)?;
        ensure(store.token(another.id).await?.is_none(), || "the token was stored".into())?;
    }
    let stored = store.owner(&token.owner).await?.ok_or("the owner is gone")?;
    ensure(stored.unverified().suspended_at.is_some(), || "the suspension is gone".into())
}

pub(in crate::testing) async fn owner_revision_guards(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    sample.stored(&*store, "u1", "one").await?;
    let owner = store.owner(&OwnerId::new("u1")?).await?.ok_or("the owner was not stored")?;
    let (first, after) = sample.suspend(owner.unverified())?;
    let (mut second, _) = sample.suspend(owner.unverified())?;
    sample.done(&*store, &first).await?;
    same("an owner over a revision that is gone", &store.commit(&second).await?, &Committed::Conflict)?;
    if let Write::PutOwner { expected, .. } = &mut second.write {
        *expected = None;
    }
    same("an owner that is there, as new", &store.commit(&second).await?, &Committed::Conflict)?;
    let stored = store.owner(&after.id).await?.ok_or("the owner is gone")?;
    same("the owner", stored.unverified(), &after)?;

    let missing = sample.owner("u2")?;
    let (change, _) = sample.suspend(missing.unverified())?;
    same("an owner that is not there, as known", &store.commit(&change).await?, &Committed::Conflict)?;
    ensure(store.owner(&missing.unverified().id).await?.is_none(), || "the owner was stored".into())
}

pub(in crate::testing) async fn meta_guards(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let mut head = crate::EventHead::START;
    let mut put = |expected: Option<&[u8]>, value: &[u8], stored: bool| -> Checked<Change> {
        let detail = EventDetail::PolicyChanged { policy: Policy::default() };
        let event = Event::after(head, Subject::Policy, None, time(0), ActorId::new("sample")?, &detail)?;
        if stored {
            head = event.head();
        }
        let (expected, value) = (expected.map(<[u8]>::to_vec), value.to_vec());
        sample.change(event, Write::PutMeta { key: "fact".into(), expected, value })
    };
    same("a new fact", &store.commit(&put(None, b"a", true)?).await?, &Committed::Done)?;
    same("a fact that is there, as new", &store.commit(&put(None, b"b", false)?).await?, &Committed::Conflict)?;
    same("a fact that is another", &store.commit(&put(Some(b"A"), b"b", false)?).await?, &Committed::Conflict)?;
    same("the fact", &store.meta("fact").await?, &Some(b"a".to_vec()))?;
    same("a fact that is this", &store.commit(&put(Some(b"a"), b"b", true)?).await?, &Committed::Done)?;
    same("the fact", &store.meta("fact").await?, &Some(b"b".to_vec()))?;
    same("the events", &store.events(&Subject::Policy, 0, 10).await?.len(), &2)
}

pub(in crate::testing) async fn event_numbers_are_unique(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, _) = sample.stored(&*store, "u1", "one").await?;
    let (mut change, _) = sample.rename(&token, "two")?;
    change.event.seq = token.head.seq;
    same("an event whose number is taken", &store.commit(&change).await?, &Committed::Conflict)?;
    untouched(&*store, &change, &token).await
}

pub(in crate::testing) async fn selectors_are_unique(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (_, taken) = sample.stored(&*store, "u1", "one").await?;
    let (other, mut secret) = sample.token("u2", "two")?;
    secret.selector = taken.selector;
    let guard = OwnerGuard::New(sample.owner("u2")?);
    let (change, other) = sample.create(other, secret.clone(), guard, 10)?;
    same("a selector that is taken", &store.commit(&change).await?, &Committed::Conflict)?;
    ensure(store.token(other.id).await?.is_none(), || "the token was stored".into())?;
    ensure(store.owner(&other.owner).await?.is_none(), || "the owner was stored".into())?;
    let rows = store.load(&[taken.selector]).await?;
    same("the token of the selector", &rows.first().map(|row| row.secret.token), &Some(taken.token))
}

async fn create_capped(
    store: &dyn TokenStore,
    sample: &Sample,
    token: Token,
    secret: crate::Secret,
    cap: u32,
) -> Checked<(Committed, Token)> {
    let guard = match store.owner(&token.owner).await? {
        None => OwnerGuard::New(sample.owner(token.owner.as_str())?),
        Some(owner) => OwnerGuard::At { owner: token.owner.clone(), revision: owner.unverified().revision },
    };
    let (change, token) = sample.create(token, secret, guard, cap)?;
    let committed = store.commit(&change).await?;
    if committed == Committed::CapReached {
        ensure(store.token(token.id).await?.is_none(), || "a token beyond the cap was stored".into())?;
        ensure(store.outcome(&change.id).await?.is_none(), || "the change id was stored".into())?;
        let events = store.events(&Subject::Token(token.id), 0, 10).await?;
        ensure(events.is_empty(), || "the event was stored".into())?;
    }
    Ok((committed, token))
}

pub(in crate::testing) async fn cap_holds(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    sample.stored(&*store, "another", "not counted").await?;
    for number in 0..5 {
        let (token, secret) = sample.token("u1", &format!("token {number}"))?;
        let (committed, _) = create_capped(&*store, &sample, token, secret, 3).await?;
        let expected = if number < 3 { Committed::Done } else { Committed::CapReached };
        same(&format!("token {number} under a cap of 3"), &committed, &expected)?;
    }
    let (token, secret) = sample.token("u0", "none")?;
    let (committed, token) = create_capped(&*store, &sample, token, secret, 0).await?;
    same("a token under a cap of 0", &committed, &Committed::CapReached)?;
    ensure(store.owner(&token.owner).await?.is_none(), || "the owner was stored".into())
}

pub(in crate::testing) async fn cap_holds_for_longer_lives(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, secret) = sample.token("u1", "expired since")?;
    let expired = sample.store(&*store, Token { expires_at: Some(time(0)), ..token }, secret).await?;
    sample.stored(&*store, "another", "not counted").await?;
    let (token, secret) = sample.token("u1", "created in its place")?;
    let (committed, _) = create_capped(&*store, &sample, token, secret, 1).await?;
    same("a token in the place of the expired", &committed, &Committed::Done)?;
    let longer = sample.lengthen(&expired, Some(time(9)), 1)?;
    same("a longer life over the cap", &store.commit(&longer).await?, &Committed::CapReached)?;
    let stored = store.token(expired.id).await?.ok_or("the token is gone")?;
    same("the token", stored.unverified(), &expired)?;
    // Itself it does not count.
    let longer = sample.lengthen(&expired, None, 2)?;
    same("a longer life within the cap", &store.commit(&longer).await?, &Committed::Done)
}

pub(in crate::testing) async fn cap_counts_live_only(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (live, _) = sample.stored(&*store, "u1", "to be revoked").await?;
    let (change, _) = sample.revoke(&live, time(0))?;
    sample.done(&*store, &change).await?;
    for (name, expires_at) in [("expired", time(-1)), ("expires now", time(0)), ("expires next", time(1))] {
        let (token, secret) = sample.token("u1", name)?;
        sample.store(&*store, Token { expires_at: Some(expires_at), ..token }, secret).await?;
    }
    // Only the one that expires next is live.
    let (token, secret) = sample.token("u1", "second")?;
    let (committed, _) = create_capped(&*store, &sample, token, secret, 2).await?;
    same("a second live token under a cap of 2", &committed, &Committed::Done)?;
    let (token, secret) = sample.token("u1", "third")?;
    let (committed, _) = create_capped(&*store, &sample, token, secret, 2).await?;
    same("a third live token under a cap of 2", &committed, &Committed::CapReached)
}

pub(in crate::testing) async fn repeat_is_told(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, secret) = sample.token("u1", "one")?;
    let (create, token) = sample.create(token, secret, OwnerGuard::New(sample.owner("u1")?), 1)?;
    sample.done(&*store, &create).await?;
    let repeat = Committed::Repeat(Outcome { fingerprint: create.fingerprint, event: create.event.clone() });
    same("the same change again", &store.commit(&create).await?, &repeat)?;

    // Another change under the same id, in conflict or not, is told what was done under it.
    let (mut rename, _) = sample.rename(&token, "two")?;
    rename.id = create.id;
    same("another change under the id", &store.commit(&rename).await?, &repeat)?;
    rename.event.seq = token.head.seq;
    same("a change in conflict under the id", &store.commit(&rename).await?, &repeat)?;
    let stored = store.token(token.id).await?.ok_or("the token is gone")?;
    same("the token", stored.unverified(), &token)?;
    same("the events", &store.events(&Subject::Token(token.id), 0, 10).await?.len(), &1)
}

pub(in crate::testing) async fn outcome_is_known(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, _) = sample.stored(&*store, "u1", "one").await?;
    let (change, _) = sample.revoke(&token, Time::EPOCH)?;
    sample.done(&*store, &change).await?;
    let outcome = Outcome { fingerprint: change.fingerprint, event: change.event.clone() };
    same("the outcome", &store.outcome(&change.id).await?, &Some(outcome))
}

pub(in crate::testing) async fn nothing_is_noted(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, _) = sample.stored(&*store, "u1", "one").await?;
    let (change, owner) = {
        let owner = store.owner(&token.owner).await?.ok_or("the owner was not stored")?;
        sample.suspend(owner.unverified())?
    };
    sample.done(&*store, &change).await?;
    store.meta_or_insert("fact", b"a").await?;
    let delivered = store.claim(time(0), LEASE, 10).await?;
    store.ack(&delivered.iter().map(|delivery| delivery.cursor).collect::<Vec<_>>(), time(0)).await?;

    let created = store.events(&Subject::Token(token.id), 0, 10).await?.remove(0);
    let suspended = change.event;
    let (id, revision) = (token.id, token.revision);
    let key = || "fact".to_owned();
    for (event, stands, has_changed) in [
        (&created, Standing::Token { id, revision }, Standing::Token { id, revision: revision + 1 }),
        (
            &suspended,
            Standing::Owner { id: owner.id.clone(), revision: owner.revision },
            Standing::Owner { id: owner.id.clone(), revision: owner.revision - 1 },
        ),
        (
            &suspended,
            Standing::Meta { key: key(), value: b"a".to_vec() },
            Standing::Meta { key: key(), value: b"A".to_vec() },
        ),
    ] {
        let conflict = sample.change(event.clone(), Write::Nothing(has_changed))?;
        same("nothing, on a row that has changed", &store.commit(&conflict).await?, &Committed::Conflict)?;
        ensure(store.outcome(&conflict.id).await?.is_none(), || "its id was stored".into())?;
        let change = sample.change(event.clone(), Write::Nothing(stands))?;
        sample.done(&*store, &change).await?;
        let outcome = Outcome { fingerprint: change.fingerprint, event: event.clone() };
        same("the outcome of nothing", &store.outcome(&change.id).await?, &Some(outcome.clone()))?;
        same("nothing again", &store.commit(&change).await?, &Committed::Repeat(outcome))?;
    }
    same("the events", &store.events(&Subject::Token(id), 0, 10).await?, &vec![created])?;
    let stored = store.token(id).await?.ok_or("the token is gone")?;
    same("the token", stored.unverified(), &token)?;
    let again = store.claim(time(10_000), LEASE, 10).await?;
    ensure(again.is_empty(), || "an event was delivered again for nothing".into())
}
