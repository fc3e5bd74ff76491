//! The log of changes as feed and outbox, and what purge leaves of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;

use crate::clock::Time;
use crate::event::Subject;
use crate::secret::{Generation, Secret};
use crate::store::{Cursor, Delivery, TokenStore};
use crate::testing::hooked::give_way;
use crate::testing::sample::{Checked, LEASE, Sample, ensure, same, time};
use crate::token::{Token, TokenId};
use crate::usage::{LastUse, Tallies, Usage, UseTally};

pub(in crate::testing) async fn feed_tells_every_change(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (before, _) = sample.stored(&*store, "u1", "before").await?;
    let start = store.changes(None, LEASE).await?;
    ensure(start.changes.is_empty(), || "the present end tells of changes".into())?;
    let (token, _) = sample.stored(&*store, "u1", "after").await?;
    let (change, _) = sample.rename(&before, "renamed")?;
    sample.done(&*store, &change).await?;
    let owner = store.owner(&token.owner).await?.ok_or("the owner was not stored")?;
    let (change, owner) = sample.suspend(owner.unverified())?;
    sample.done(&*store, &change).await?;

    let all = vec![Subject::Token(token.id), Subject::Token(before.id), Subject::Owner(owner.id)];
    let mut seen = Vec::new();
    let mut cursor = start.cursor;
    // A store may answer in stretches.
    while seen.len() < all.len() {
        let feed = store.changes(Some(cursor), Duration::ZERO).await?;
        ensure(!feed.changes.is_empty(), || format!("the feed ends at {seen:?} instead of {all:?}"))?;
        ensure(feed.cursor > cursor, || "the cursor does not move on".into())?;
        let places = feed.changes.iter().map(|(place, _)| *place);
        ensure(places.is_sorted_by(|a, b| a < b), || "the changes are not in the order of their cursors".into())?;
        let (first, last) = (feed.changes.first().map(|change| change.0), feed.changes.last().map(|change| change.0));
        ensure(first > Some(cursor), || "a change comes twice".into())?;
        same("where the feed goes on", &Some(feed.cursor), &last)?;
        cursor = feed.cursor;
        seen.extend(feed.changes.into_iter().map(|(_, subject)| subject));
    }
    same("the feed", &seen, &all)?;
    let rest = store.changes(Some(cursor), Duration::ZERO).await?;
    same("the feed after its end", &rest.changes, &Vec::new())?;
    let again = store.changes(Some(start.cursor), Duration::ZERO).await?;
    same("the feed again", &again.changes.first().map(|(_, subject)| subject), &all.first())
}

pub(in crate::testing) async fn feed_wakes_or_times_out(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let cursor = store.changes(None, Duration::ZERO).await?.cursor;
    let nothing = store.changes(Some(cursor), Duration::from_millis(30)).await?;
    same("a feed on which nothing happens", &nothing.changes, &Vec::new())?;
    same("its cursor", &nothing.cursor, &cursor)?;
    // Would take an hour if the change did not wake it; the suite's own time limit is what fails then.
    let waiting = store.changes(Some(cursor), Duration::from_secs(3600));
    let changing = async {
        give_way().await;
        sample.stored(&*store, "u1", "wakes").await
    };
    let (feed, stored) = join(waiting, changing).await;
    let told: Vec<Subject> = feed?.changes.into_iter().map(|(_, subject)| subject).collect();
    same("the feed that was woken", &told, &vec![Subject::Token(stored?.0.id)])
}

fn claimed(deliveries: &[Delivery]) -> Vec<(Subject, u64)> {
    deliveries.iter().map(|delivery| (delivery.event.subject.clone(), delivery.event.seq)).collect()
}

fn cursors(deliveries: &[Delivery]) -> Vec<Cursor> {
    deliveries.iter().map(|delivery| delivery.cursor).collect()
}

pub(in crate::testing) async fn claims_are_leased(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (one, _) = sample.stored(&*store, "u1", "one").await?;
    let (two, _) = sample.stored(&*store, "u1", "two").await?;
    let events = |tokens: &[&Token]| tokens.iter().map(|token| (Subject::Token(token.id), 1)).collect::<Vec<_>>();
    let first = store.claim(time(0), LEASE, 1).await?;
    same("a claim of one", &claimed(&first), &events(&[&one]))?;
    same("a claim beside it", &claimed(&store.claim(time(1), LEASE, 10).await?), &events(&[&two]))?;
    same("a claim of what is leased", &claimed(&store.claim(time(59), LEASE, 10).await?), &Vec::new())?;
    same("a claim as the first lease ends", &claimed(&store.claim(time(60), LEASE, 10).await?), &events(&[&one]))?;
    same("a claim after the second lease", &claimed(&store.claim(time(62), LEASE, 10).await?), &events(&[&two]))
}

pub(in crate::testing) async fn wrong_leases_end(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, _) = sample.stored(&*store, "u1", "first").await?;
    let first = vec![(Subject::Token(token.id), 1)];
    // By clocks that are ahead: the last as one that can't be believed.
    for ahead in [time(121), time(1_000_000), Time::MAX] {
        store.claim(ahead, LEASE, 10).await?;
        let claim = store.claim(time(0), LEASE, 10).await?;
        same("a claim of what is leased by a clock that is wrong", &claimed(&claim), &first)?;
    }
    // As clocks differ.
    store.claim(time(60), LEASE, 10).await?;
    same("a claim by a clock that is behind", &claimed(&store.claim(time(0), LEASE, 10).await?), &Vec::new())?;
    let (change, _) = sample.rename(&token, "second")?;
    sample.done(&*store, &change).await?;
    same("a claim behind it", &claimed(&store.claim(time(0), LEASE, 10).await?), &Vec::new())?;
    store.claim(Time::MAX, LEASE, 10).await?;
    let both = vec![(Subject::Token(token.id), 1), (Subject::Token(token.id), 2)];
    same("a claim behind one that is wrong", &claimed(&store.claim(time(0), LEASE, 10).await?), &both)
}

pub(in crate::testing) async fn claims_keep_order(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, _) = sample.stored(&*store, "u1", "first").await?;
    let subject = Subject::Token(token.id);
    let first = store.claim(time(0), LEASE, 10).await?;
    same("the first event", &claimed(&first), &vec![(subject.clone(), 1)])?;
    let (change, after) = sample.rename(&token, "second")?;
    sample.done(&*store, &change).await?;
    let (change, _) = sample.rename(&after, "third")?;
    sample.done(&*store, &change).await?;
    let (other, _) = sample.stored(&*store, "u1", "other").await?;
    let beside = claimed(&store.claim(time(1), LEASE, 10).await?);
    same("a claim while the first event is leased", &beside, &vec![(Subject::Token(other.id), 1)])?;
    store.ack(&cursors(&first), time(2)).await?;
    let rest = claimed(&store.claim(time(61), LEASE, 10).await?);
    let expected = vec![(subject.clone(), 2), (subject, 3), (Subject::Token(other.id), 1)];
    same("a claim after it was acknowledged", &rest, &expected)
}

pub(in crate::testing) async fn acks_are_permanent(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (token, _) = sample.stored(&*store, "u1", "one").await?;
    let claim = store.claim(time(0), LEASE, 10).await?;
    same("the claim", &claimed(&claim), &vec![(Subject::Token(token.id), 1)])?;
    let mut acked = cursors(&claim);
    acked.push(Cursor(i64::MAX));
    store.ack(&acked, time(1)).await?;
    store.ack(&acked, time(2)).await?;
    store.ack(&[], time(2)).await?;
    same("a claim of what was acknowledged", &claimed(&store.claim(time(10_000), LEASE, 10).await?), &Vec::new())
}

/// Tokens that died at these seconds, all their events delivered.
async fn dead(store: &dyn TokenStore, sample: &Sample, died: &[i64]) -> Checked<Vec<(TokenId, Secret)>> {
    let mut tokens = Vec::new();
    for (number, at) in died.iter().enumerate() {
        let (token, secret) = sample.stored(store, "u1", &format!("died at {at}")).await?;
        // In turn by revocation and by expiry.
        let after = if number % 2 == 0 {
            sample.revoke(&token, time(*at))?.0
        } else {
            let detail = crate::EventDetail::Edited {
                name: None,
                grants: None,
                networks: None,
                expires_at: Some(Some(time(*at))),
            };
            sample.update(&Token { expires_at: Some(time(*at)), ..token.clone() }, &detail, None)?.0
        };
        sample.done(store, &after).await?;
        tokens.push((token.id, secret));
    }
    let delivered = store.claim(time(0), LEASE, 1000).await?;
    store.ack(&cursors(&delivered), time(0)).await?;
    Ok(tokens)
}

async fn left(store: &dyn TokenStore, tokens: &[(TokenId, Secret)]) -> Checked<Vec<bool>> {
    let mut left = Vec::new();
    for (id, _) in tokens {
        left.push(store.token(*id).await?.is_some());
    }
    Ok(left)
}

pub(in crate::testing) async fn purge_takes_the_dead_only(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let tokens = dead(&*store, &sample, &[-30, -20, -10, 10]).await?;
    let (live, live_secret) = sample.stored(&*store, "u1", "live").await?;
    for id in [tokens[0].0, live.id] {
        let last = LastUse { at: time(-40), address: None, client: None };
        let tally = UseTally { token: id, generation: Generation::FIRST, hour: time(-40).hour(), count: 1, last };
        store.record(&Tallies { uses: vec![tally], ..Tallies::default() }).await?;
    }
    same("purged", &store.purge(time(-10), false, 100).await?, &2)?;
    same("what is left", &left(&*store, &tokens).await?, &vec![false, false, true, true])?;
    for (id, secret) in &tokens[..2] {
        ensure(store.load(&[secret.selector]).await?.is_empty(), || "a secret of a purged token is left".into())?;
        let events = store.events(&Subject::Token(*id), 0, 10).await?;
        ensure(events.is_empty(), || "an event of a purged token is left".into())?;
        same("usage of a purged token", &store.usage(*id, Time::EPOCH).await?, &Usage::default())?;
    }
    let rows = store.load(&[live_secret.selector]).await?;
    same("the live token", &rows.first().map(|row| row.token.unverified().clone()), &Some(live.clone()))?;
    same("its events", &store.events(&Subject::Token(live.id), 0, 10).await?.len(), &1)?;
    same("its usage", &store.usage(live.id, Time::EPOCH).await?.hours.len(), &1)?;
    same("purged again", &store.purge(time(-10), false, 100).await?, &0)
}

pub(in crate::testing) async fn purge_keeps_undelivered(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let tokens = dead(&*store, &sample, &[-30]).await?;
    let (token, secret) = sample.stored(&*store, "u1", "undelivered").await?;
    let (change, _) = sample.revoke(&token, time(-20))?;
    sample.done(&*store, &change).await?;
    let tokens = [tokens, vec![(token.id, secret)]].concat();
    same("purged", &store.purge(time(0), true, 100).await?, &1)?;
    same("what is left", &left(&*store, &tokens).await?, &vec![false, true])?;
    same("its events", &claimed(&store.claim(time(0), LEASE, 10).await?).len(), &2)?;
    same("purged without regard to delivery", &store.purge(time(0), false, 100).await?, &1)?;
    same("what is left", &left(&*store, &tokens).await?, &vec![false, false])
}

pub(in crate::testing) async fn purge_is_bounded(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let tokens = dead(&*store, &sample, &[-50, -40, -30, -20, -10]).await?;
    same("purged of at most 2", &store.purge(time(0), true, 2).await?, &2)?;
    same("what is left", &left(&*store, &tokens).await?, &vec![false, false, true, true, true])?;
    same("purged of at most 10", &store.purge(time(0), true, 10).await?, &3)
}
