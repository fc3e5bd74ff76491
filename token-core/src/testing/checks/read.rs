//! What is read is what was written.

use std::sync::Arc;

use crate::change::ChangeId;
use crate::clock::Time;
use crate::event::{EventDetail, Subject};
use crate::owner::Owner;
use crate::secret::{Generation, Secret, Selector};
use crate::store::{Position, TokenStore};
use crate::testing::sample::{Checked, Sample, ensure, same, time};
use crate::text::{KeyId, OwnerId};
use crate::token::{SecretRef, Superseded, Token, TokenId};
use crate::usage::Usage;

use super::list::query;

pub(in crate::testing) async fn rows_come_back_as_written(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    for (token, secret) in [sample.full_token("Ünï/1 ")?, sample.token("u2", "plain")?] {
        let token = sample.store(&*store, token, secret.clone()).await?;
        let loaded = store.load(&[secret.selector]).await?.into_iter().next().ok_or("no row for a stored selector")?;
        same("the loaded token", loaded.token.unverified(), &token)?;
        ensure(loaded.token.check(&sample.keyring).is_ok(), || "the seal of a loaded token does not fit".into())?;
        let owner = loaded.owner.ok_or("no owner beside a loaded token")?;
        same("the loaded owner", &owner.unverified().id, &token.owner)?;
        ensure(owner.check(&sample.keyring).is_ok(), || "the seal of a loaded owner does not fit".into())?;
        same("selector", &loaded.secret.selector, &secret.selector)?;
        same("secret's token", &loaded.secret.token, &secret.token)?;
        same("generation", &loaded.secret.generation, &secret.generation)?;
        same("scheme", &loaded.secret.scheme, &secret.scheme)?;
        same("key", &loaded.secret.key, &secret.key)?;
        ensure(loaded.secret.digest.ct_eq(&secret.digest), || "another digest came back".into())?;
        let by_id = store.token(token.id).await?.ok_or("no row for a stored token")?;
        same("the token by its id", by_id.unverified(), &token)?;
        same("its seal", by_id.seal(), loaded.token.seal())?;
        let listed = store.list(&query(Position::Created(None))).await?;
        ensure(listed.tokens.iter().any(|row| row.unverified() == &token), || {
            "the token is not listed as written".into()
        })?;
    }
    let (change, after) = {
        let stored = store.owner(&OwnerId::new("u2")?).await?.ok_or("no row for a stored owner")?;
        sample.suspend(stored.unverified())?
    };
    sample.done(&*store, &change).await?;
    let stored = store.owner(&after.id).await?.ok_or("no row for a stored owner")?;
    same::<Owner>("the suspended owner", stored.unverified(), &after)
}

pub(in crate::testing) async fn many_load_at_once(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let mut selectors = Vec::new();
    for number in 0..70 {
        let (token, secret) = sample.stored(&*store, "u1", &format!("token {number}")).await?;
        selectors.push((secret.selector, token));
    }
    let unknown = sample.token("u1", "never stored")?.1.selector;
    for count in [0, 1, 2, 3, 64, 65, 70] {
        let mut asked: Vec<Selector> = selectors[..count].iter().map(|(selector, _)| *selector).collect();
        asked.push(unknown);
        let loaded = store.load(&asked).await?;
        for (selector, token) in &selectors[..count] {
            let found: Vec<&Token> = loaded
                .iter()
                .filter(|row| row.secret.selector == *selector)
                .map(|row| row.token.unverified())
                .collect();
            same("the rows of one of many selectors", &found, &vec![token])?;
        }
        same("rows for so many selectors", &loaded.len(), &count)?;
    }
    Ok(())
}

fn flip_case(text: &str) -> String {
    text.chars().map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect()
}

pub(in crate::testing) async fn selectors_are_exact(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (_, secret) = sample.stored(&*store, "u1", "exact").await?;
    let flipped = Selector::from_bytes(flip_case(secret.selector.as_str()).as_bytes()).ok_or("not a selector")?;
    ensure(store.load(&[flipped]).await?.is_empty(), || "a selector in another case was found".into())
}

pub(in crate::testing) async fn owners_are_exact(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    sample.stored(&*store, "Jörg", "exact").await?;
    for other in ["jörg", "JÖRG", "Jorg", "Jörg ", " Jörg", "Jo\u{308}rg"] {
        ensure(store.owner(&OwnerId::new(other)?).await?.is_none(), || format!("Jörg was found as {other:?}"))?;
        let mut only = query(Position::Created(None));
        only.owner = Some(OwnerId::new(other)?);
        ensure(store.list(&only).await?.tokens.is_empty(), || format!("Jörg's token was listed for {other:?}"))?;
        // Both can be there, side by side.
        sample.stored(&*store, other, "exact").await?;
    }
    Ok(())
}

pub(in crate::testing) async fn unknown_is_nothing(store: Arc<dyn TokenStore>) -> Checked {
    let unknown = TokenId::from_bytes([9; 16]);
    let subject = Subject::Token(unknown);
    ensure(store.load(&[]).await?.is_empty(), || "a load of nothing found something".into())?;
    ensure(store.token(unknown).await?.is_none(), || "an unknown token was found".into())?;
    ensure(store.owner(&OwnerId::new("nobody")?).await?.is_none(), || "an unknown owner was found".into())?;
    ensure(store.outcome(&ChangeId::from_bytes([9; 16])).await?.is_none(), || "an unknown change was found".into())?;
    ensure(store.events(&subject, 0, 10).await?.is_empty(), || "an unknown subject has events".into())?;
    ensure(store.meta("unknown").await?.is_none(), || "an unknown fact was found".into())?;
    same("usage of an unknown token", &store.usage(unknown, Time::EPOCH).await?, &Usage::default())?;
    let page = store.list(&query(Position::Name(None))).await?;
    ensure(page.tokens.is_empty() && page.next.is_none(), || "an empty store lists tokens".into())
}

pub(in crate::testing) async fn keys_are_all_named(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    ensure(store.keys(time(0)).await?.is_empty(), || "an empty store names keys".into())?;
    let under = |key: &str, secret: Secret| KeyId::new(key).map(|key| Secret { key, ..secret });
    let (token, secret) = sample.token("u1", "rotated twice")?;
    let mut token = sample.store(&*store, token, under("ended", secret)?).await?;
    for (number, key) in [(2, "superseded"), (3, "current")] {
        let secret = sample.secret(token.id, Generation::new(number).ok_or("no generation")?)?;
        let current = SecretRef { generation: secret.generation, selector: secret.selector };
        let superseded = Some(Superseded { secret: token.current, until: time(1) });
        let detail = EventDetail::Rotated { secret: current, superseded, expires_at: None };
        let next = Token { current, superseded, ..token };
        let (change, after) = sample.update(&next, &detail, Some(under(key, secret)?))?;
        sample.done(&*store, &change).await?;
        token = after;
    }
    let (token, secret) = sample.token("u1", "revoked")?;
    let token = sample.store(&*store, token, under("of-a-revoked-token", secret)?).await?;
    let (change, _) = sample.revoke(&token, time(0))?;
    sample.done(&*store, &change).await?;
    let (token, secret) = sample.token("u1", "expired")?;
    let expired = Token { expires_at: Some(time(0)), ..token };
    sample.store(&*store, expired, under("of-an-expired-token", secret)?).await?;
    let mut later = store.keys(time(1)).await?;
    later.sort();
    same("keys once the overlap has ended", &later, &[KeyId::new("current")?, KeyId::new("test-1")?].into())?;
    let mut keys = store.keys(time(0)).await?;
    keys.sort();
    same("keys in use", &keys, &[KeyId::new("current")?, KeyId::new("superseded")?, KeyId::new("test-1")?].into())
}

pub(in crate::testing) async fn events_come_in_order(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (mut token, _) = sample.stored(&*store, "u1", "0").await?;
    let mut written = vec![token.head];
    for number in 1..12 {
        let (change, after) = sample.rename(&token, &number.to_string())?;
        sample.done(&*store, &change).await?;
        written.push(after.head);
        token = after;
    }
    let subject = Subject::Token(token.id);
    let mut read = Vec::new();
    loop {
        let page = store.events(&subject, read.len() as u64, 5).await?;
        ensure(page.len() <= 5, || format!("{} events on a page of 5", page.len()))?;
        if page.is_empty() {
            break;
        }
        read.extend(page.iter().map(crate::event::Event::head));
        ensure(read.len() <= written.len(), || "the pages of events do not end".into())?;
    }
    same("the heads of all events", &read, &written)?;
    let first = store.events(&subject, 0, 1).await?.into_iter().next().ok_or("no first event")?;
    same("the subject of an event", &first.subject, &subject)?;
    same("the owner of an event", &first.owner, &Some(token.owner.clone()))?;
    same("the actor of an event", &first.actor.as_str(), &"sample")?;
    same("the time of an event", &first.at, &time(0))?;
    ensure(first.detail().is_ok(), || "the body of an event can't be read".into())
}

pub(in crate::testing) async fn facts_are_written_once(store: Arc<dyn TokenStore>) -> Checked {
    same("a new fact", &store.meta_or_insert("fact", b"\x00first\xff").await?, &b"\x00first\xff".to_vec())?;
    same("a fact that is there", &store.meta_or_insert("fact", b"second").await?, &b"\x00first\xff".to_vec())?;
    same("the fact", &store.meta("fact").await?, &Some(b"\x00first\xff".to_vec()))?;
    ensure(store.meta("FACT").await?.is_none(), || "a fact was found in another case".into())
}
