//! What tallies add up to.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Time;
use crate::refusal::Reason;
use crate::secret::{Digest, Generation};
use crate::store::TokenStore;
use crate::testing::sample::{Checked, Sample, ensure, same, time};
use crate::text::KeyId;
use crate::token::TokenId;
use crate::usage::{HourOfUse, LastUse, Redigest, RefusalTally, Tallies, Usage, UseTally};

const HOUR: i64 = 3_600;

fn used(token: TokenId, generation: Generation, at: Time, count: u64, address: Option<&str>) -> Checked<UseTally> {
    let last = LastUse { at, address: address.map(str::parse).transpose()?, client: None };
    Ok(UseTally { token, generation, hour: at.hour(), count, last })
}

fn uses(uses: Vec<UseTally>) -> Tallies {
    Tallies { uses, ..Tallies::default() }
}

pub(in crate::testing) async fn usage_adds_up(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, _) = sample.stored(&*store, "u1", "used").await?;
    let (other, _) = sample.stored(&*store, "u1", "other").await?;
    let (first, second) = (Generation::FIRST, Generation::new(2).ok_or("no generation")?);
    let refused = |reason, at: Time, count| RefusalTally { token: token.id, reason, hour: at.hour(), count };
    store
        .record(&Tallies {
            uses: vec![
                used(token.id, first, time(0), 3, Some("198.51.100.4"))?,
                used(token.id, second, time(5), 1, Some("2001:db8::1"))?,
                used(other.id, first, time(0), 100, None)?,
            ],
            refusals: vec![refused(Reason::Expired, time(0), 2), refused(Reason::Revoked, time(0), 1)],
            ..Tallies::default()
        })
        .await?;
    store
        .record(&Tallies {
            uses: vec![
                used(token.id, first, time(1), 4, None)?,
                used(token.id, first, time(HOUR), 5, Some("198.51.100.5"))?,
                used(token.id, second, time(-HOUR), 9, None)?,
            ],
            refusals: vec![refused(Reason::Expired, time(1), 5)],
            ..Tallies::default()
        })
        .await?;
    store.record(&Tallies::default()).await?;

    let hour = |generation, at: Time, count| HourOfUse { generation, hour: at.hour(), count };
    let expected = Usage {
        last: vec![
            (first, LastUse { at: time(HOUR), address: Some("198.51.100.5".parse()?), client: None }),
            (second, LastUse { at: time(5), address: Some("2001:db8::1".parse()?), client: None }),
        ],
        hours: vec![hour(first, time(0), 7), hour(second, time(0), 1), hour(first, time(HOUR), 5)],
        refusals: vec![refused(Reason::Revoked, time(0), 1), refused(Reason::Expired, time(0), 7)],
    };
    same("usage since the hour", &store.usage(token.id, time(0).hour()).await?, &expected)?;
    let earlier = store.usage(token.id, time(-2 * HOUR)).await?;
    same("hours since earlier", &earlier.hours.first(), &Some(&hour(second, time(-HOUR), 9)))?;
    same("another token's uses", &store.usage(other.id, Time::EPOCH).await?.hours, &vec![hour(first, time(0), 100)])
}

pub(in crate::testing) async fn last_use_moves_forward(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, _) = sample.stored(&*store, "u1", "used").await?;
    for (at, address) in [(10, "198.51.100.1"), (5, "198.51.100.2"), (20, "198.51.100.3"), (19, "198.51.100.4")] {
        store.record(&uses(vec![used(token.id, Generation::FIRST, time(at), 1, Some(address))?])).await?;
    }
    let last = LastUse { at: time(20), address: Some("198.51.100.3".parse()?), client: None };
    let usage = store.usage(token.id, Time::EPOCH).await?;
    same("the last use", &usage.last, &vec![(Generation::FIRST, last)])?;
    same("all uses", &usage.hours.iter().map(|hour| hour.count).sum::<u64>(), &4)
}

pub(in crate::testing) async fn usage_of_purged_is_ignored(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, secret) = sample.stored(&*store, "u1", "here").await?;
    let purged = sample.token("u1", "gone")?.0.id;
    let recorded = store
        .record(&Tallies {
            uses: vec![
                used(purged, Generation::FIRST, time(0), 1, None)?,
                used(token.id, Generation::FIRST, time(0), 1, None)?,
            ],
            refusals: vec![RefusalTally { token: purged, reason: Reason::Expired, hour: time(0).hour(), count: 1 }],
            redigests: vec![Redigest {
                selector: sample.token("u1", "gone")?.1.selector,
                from: secret.key.clone(),
                to: secret.key.clone(),
                digest: secret.digest,
            }],
            ..Tallies::default()
        })
        .await;
    ensure(recorded.is_ok(), || format!("a tally of a purged token is an error: {recorded:?}"))?;
    same("uses of a purged token", &store.usage(purged, Time::EPOCH).await?, &Usage::default())?;
    same("uses of the other", &store.usage(token.id, Time::EPOCH).await?.hours.len(), &1)
}

pub(in crate::testing) async fn redigest_is_guarded(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, secret) = sample.stored(&*store, "u1", "redigested").await?;
    let redigest = |from: &KeyId, to: &str, byte| -> Checked<Tallies> {
        let redigest = Redigest {
            selector: secret.selector,
            from: from.clone(),
            to: KeyId::new(to)?,
            digest: Digest::from_bytes([byte; 32]),
        };
        Ok(Tallies { redigests: vec![redigest], ..Tallies::default() })
    };
    let stored = async || -> Checked<(KeyId, Digest)> {
        let row = store.load(&[secret.selector]).await?.into_iter().next().ok_or("the secret is gone")?;
        same("the token", row.token.unverified(), &token)?;
        ensure(row.token.check(&sample.keyring).is_ok(), || "the seal was touched".into())?;
        Ok((row.secret.key, row.secret.digest))
    };
    store.record(&redigest(&KeyId::new("another")?, "test-2", 1)?).await?;
    let (key, digest) = stored().await?;
    ensure(key == secret.key && digest.ct_eq(&secret.digest), || "a digest under another key was replaced".into())?;
    store.record(&redigest(&secret.key, "test-2", 2)?).await?;
    let (key, digest) = stored().await?;
    let replaced = key.as_str() == "test-2" && digest.ct_eq(&Digest::from_bytes([2; 32]));
    ensure(replaced, || "a digest under the right key was not replaced".into())?;
    ensure(store.usage(token.id, Time::EPOCH).await?.hours.is_empty(), || "a new digest counted as a use".into())?;
    // The change of a digest is no event that a feed would tell.
    let feed = store.changes(None, Duration::ZERO).await?;
    same("the feed", &feed.changes.len(), &0)
}
