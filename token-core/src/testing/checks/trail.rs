//! What is kept of usage besides counts: sources, scopes, calls, signals, and the days that hours become.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Time;
use crate::refusal::Reason;
use crate::scope::ScopeName;
use crate::secret::Generation;
use crate::store::TokenStore;
use crate::testing::sample::{Checked, Sample, ensure, same, time};
use crate::text::OwnerId;
use crate::token::TokenId;
use crate::usage::{
    BusyQuery, CallTally, Client, DayOfUse, Forget, LastUse, RefusalTally, ScopeTally, SignalKind, SignalTally, Source,
    SourceTally, Tallies, TokenUsage, UseTally, Whose,
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn uses(token: TokenId, at: Time, count: u64) -> UseTally {
    let last = LastUse { at, address: None, client: Client::of(b"curl/8.5.0") };
    UseTally { token, generation: Generation::FIRST, hour: at.hour(), count, last }
}

fn refusals(token: TokenId, reason: Reason, at: Time, count: u64) -> RefusalTally {
    RefusalTally { token, reason, hour: at.hour(), count }
}

fn seen(token: TokenId, network: &str, first: i64, last: i64, uses: u64, refusals: u64) -> Checked<SourceTally> {
    Ok(SourceTally { token, network: network.parse()?, first: time(first), last: time(last), uses, refusals })
}

fn call(token: TokenId, slot: u8, at: i64, route: &str) -> CallTally {
    CallTally {
        token,
        slot,
        at: time(at),
        method: "GET".into(),
        route: Some(route.into()),
        refused: (at % 2 == 0).then_some(Reason::InsufficientScope),
        address: None,
    }
}

fn signal(token: TokenId, kind: SignalKind, subject: &str, first: i64, last: i64, count: u64) -> SignalTally {
    SignalTally { token, kind, subject: subject.into(), first: time(first), last: time(last), count }
}

async fn summary(store: &dyn TokenStore, token: TokenId, since: Time) -> Checked<TokenUsage> {
    let summaries = store.summaries(&[token], since, time(0)).await?;
    ensure(summaries.len() <= 1, || format!("{} summaries of one token", summaries.len()))?;
    Ok(summaries.into_iter().next().unwrap_or_else(|| TokenUsage::none(token)))
}

pub(in crate::testing) async fn sources_spread(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let token = sample.stored(&*store, "u1", "used").await?.0.id;
    let other = sample.stored(&*store, "u1", "other").await?.0.id;
    for sources in [
        vec![seen(token, "198.51.100.0/24", 10, 20, 3, 1)?, seen(other, "198.51.100.0/24", 0, 0, 50, 0)?],
        vec![seen(token, "198.51.100.0/24", 5, 15, 2, 0)?, seen(token, "2001:db8:1::/48", 30, 40, 0, 7)?],
    ] {
        store.record(&Tallies { sources, ..Tallies::default() }).await?;
    }
    let source = |network: &str, first, last, uses, refusals| -> Checked<Source> {
        let (first_seen, last_seen) = (time(first), time(last));
        Ok(Source { network: network.parse()?, first_seen, last_seen, uses, refusals })
    };
    let (new, usual) = (source("2001:db8:1::/48", 30, 40, 0, 7)?, source("198.51.100.0/24", 5, 20, 5, 1)?);
    same("the sources", &store.sources(token, 10).await?, &vec![new.clone(), usual])?;
    same("the latest source", &store.sources(token, 1).await?, &vec![new.clone()])?;
    let novel = store.novel_sources(&[token, other], time(30), 100).await?;
    let novel: Vec<_> = novel.into_iter().map(|novel| (novel.token, novel.began, novel.source)).collect();
    same("novel sources", &novel, &vec![(token, time(5), new)])
}

pub(in crate::testing) async fn scopes_move_forward(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let token = sample.stored(&*store, "u1", "used").await?.0.id;
    for (scope, last) in [("projects:write", 10), ("projects:read", 20), ("projects:read", 15), ("projects:write", 12)]
    {
        let scopes = vec![ScopeTally { token, scope: ScopeName::new(scope)?, last: time(last) }];
        store.record(&Tallies { scopes, ..Tallies::default() }).await?;
    }
    let scopes = summary(&*store, token, time(0)).await?.scopes;
    let scopes: Vec<_> = scopes.iter().map(|scope| (scope.scope.as_str(), scope.last)).collect();
    same("scopes", &scopes, &vec![("projects:read", time(20)), ("projects:write", time(12))])
}

pub(in crate::testing) async fn calls_go_round(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let token = sample.stored(&*store, "u1", "called").await?.0.id;
    let other = sample.stored(&*store, "U1", "other").await?.0.id;
    for calls in [
        vec![call(token, 0, 10, "/a"), call(token, 1, 11, "/b"), call(other, 0, 30, "/other")],
        // Of a slot the latest stays.
        vec![call(token, 0, 9, "/late"), call(token, 1, 12, "/c")],
    ] {
        store.record(&Tallies { calls, ..Tallies::default() }).await?;
    }
    let routes = async |whose: Whose, limit| -> Checked<Vec<String>> {
        Ok(store.calls(&whose, limit).await?.into_iter().filter_map(|call| call.route).collect())
    };
    let owner = Whose::Owner(OwnerId::new("u1")?);
    same("calls of an owner", &routes(owner.clone(), 10).await?, &vec!["/c".into(), "/a".into()])?;
    same("the latest call", &routes(owner, 1).await?, &vec!["/c".into()])?;
    same("calls of a token", &routes(Whose::Token(other), 10).await?, &vec!["/other".into()])?;
    let all = routes(Whose::Everyone, 10).await?;
    same("everyone's calls", &all, &vec!["/other".into(), "/c".into(), "/a".into()])?;
    let calls = store.calls(&Whose::Token(token), 10).await?;
    let seen: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.refused)).collect();
    same("their tokens and ends", &seen, &vec![("called", Some(Reason::InsufficientScope)); 2])
}

pub(in crate::testing) async fn signals_are_one_row(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let token = sample.stored(&*store, "u1", "suspected").await?.0.id;
    let other = sample.stored(&*store, "u2", "other").await?.0.id;
    let (adds, largest) = (SignalKind::UsedAfterRevoke, SignalKind::Burst);
    for signals in [
        vec![signal(token, adds, "", 10, 20, 3), signal(token, largest, "h", 10, 11, 500)],
        vec![signal(token, adds, "", 5, 15, 4), signal(token, largest, "h", 10, 12, 300)],
        vec![signal(token, largest, "i", 30, 30, 1), signal(other, adds, "", 7, 7, 1)],
    ] {
        store.record(&Tallies { signals, ..Tallies::default() }).await?;
    }
    let told = async |whose, since, limit| -> Checked<Vec<_>> {
        let signals = store.signals(&whose, time(since), limit).await?;
        Ok(signals.into_iter().map(|s| (s.name.as_str().to_owned(), s.subject, s.first, s.last, s.count)).collect())
    };
    let row = |name: &str, subject: &str, first, last, count| {
        (name.to_owned(), subject.to_owned(), time(first), time(last), count)
    };
    let of_token =
        [row("suspected", "i", 30, 30, 1), row("suspected", "", 5, 20, 7), row("suspected", "h", 10, 12, 500)];
    let owner = Whose::Owner(OwnerId::new("u1")?);
    same("an owner's signals", &told(owner.clone(), 0, 10).await?, &of_token.to_vec())?;
    same("the latest", &told(owner, 0, 1).await?, &of_token[..1].to_vec())?;
    same("those of a while", &told(Whose::Token(token), 20, 10).await?, &of_token[..2].to_vec())?;
    same("everyone's", &told(Whose::Everyone, 0, 10).await?.len(), &4)?;
    let subjects = summary(&*store, token, time(0)).await?.signals;
    let subjects: Vec<_> = subjects.into_iter().map(|signal| signal.subject).collect();
    same("signals in a summary", &subjects, &vec!["i".to_owned(), String::new(), "h".to_owned()])
}

pub(in crate::testing) async fn trails_of_purged_are_ignored(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let (here, _) = sample.stored(&*store, "u1", "here").await?;
    let gone = sample.token("u1", "gone")?.0.id;
    let of = |token| -> Checked<Tallies> {
        Ok(Tallies {
            sources: vec![seen(token, "198.51.100.0/24", 1, 2, 3, 4)?],
            scopes: vec![ScopeTally { token, scope: ScopeName::new("projects:read")?, last: time(1) }],
            calls: vec![call(token, 0, 1, "/a")],
            signals: vec![signal(token, SignalKind::Burst, "", 1, 2, 3)],
            ..Tallies::default()
        })
    };
    let recorded = store.record(&of(gone)?).await;
    ensure(recorded.is_ok(), || format!("what a purged token left is an error: {recorded:?}"))?;
    same("its sources", &store.sources(gone, 10).await?.len(), &0)?;
    same("its summary", &summary(&*store, gone, Time::EPOCH).await?, &TokenUsage::none(gone))?;
    // What is there goes with its token.
    store.record(&of(here.id)?).await?;
    same("sources of the other", &store.sources(here.id, 10).await?.len(), &1)?;
    sample.done(&*store, &sample.revoke(&here, time(10))?.0).await?;
    same("purged", &store.purge(time(20), false, 10).await?, &1)?;
    same("sources of a purged token", &store.sources(here.id, 10).await?.len(), &0)?;
    same("its calls", &store.calls(&Whose::Everyone, 10).await?.len(), &0)?;
    same("its signals", &store.signals(&Whose::Everyone, Time::EPOCH, 10).await?.len(), &0)?;
    same("its summary", &summary(&*store, here.id, Time::EPOCH).await?, &TokenUsage::none(here.id))
}

pub(in crate::testing) async fn folding_loses_nothing(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let mut tokens = Vec::new();
    for name in ["a", "b", "c"] {
        tokens.push(sample.stored(&*store, "u1", name).await?.0.id);
    }
    let midnight = time(0).day();
    let at = |hours: i64| Time::from_micros(midnight.as_micros() + hours * HOUR * 1_000_000).ok_or("no time");
    let mut tallies = Tallies::default();
    for token in &tokens {
        for hour in [-30, -25, -2, -1, 1] {
            tallies.uses.push(uses(*token, at(hour)?, 10));
        }
        tallies.refusals.push(refusals(*token, Reason::Expired, at(-1)?, 3));
        tallies.refusals.push(refusals(*token, Reason::Revoked, at(2)?, 4));
    }
    store.record(&tallies).await?;
    let day = |day: i64, uses, refusals| -> Checked<DayOfUse> { Ok(DayOfUse { day: at(24 * day)?, uses, refusals }) };
    let days = vec![day(-2, 20, 0)?, day(-1, 20, 3)?, day(0, 10, 4)?];
    let reasons = vec![(Reason::Revoked, 4), (Reason::Expired, 3)];
    for token in &tokens {
        let before = summary(&*store, *token, Time::EPOCH).await?;
        same("days before", &(before.days, before.refusals), &(days.clone(), reasons.clone()))?;
    }
    let mut rounds = 0;
    while store.fold(midnight, 2).await? > 0 {
        rounds += 1;
        ensure(rounds < 100, || "folding does not end".into())?;
    }
    ensure(rounds >= 2, || format!("3 tokens were folded, 2 at a time, in {rounds}"))?;
    for token in &tokens {
        let after = summary(&*store, *token, Time::EPOCH).await?;
        same("days after", &(after.days, after.refusals), &(days.clone(), reasons.clone()))?;
        let usage = store.usage(*token, Time::EPOCH).await?;
        same("hours that are left", &usage.hours.iter().map(|hour| hour.hour).collect::<Vec<_>>(), &vec![at(1)?])?;
        same("refusals that are left", &usage.refusals.len(), &1)?;
        let recent = summary(&*store, *token, at(-24)?).await?;
        same("recent days", &recent.days, &days[1..].to_vec())?;
    }
    // What comes late for a day that was folded is added to it.
    store.record(&Tallies { uses: vec![uses(tokens[0], at(-1)?, 5)], ..Tallies::default() }).await?;
    while store.fold(midnight, 2).await? > 0 {}
    same("a late day", &summary(&*store, tokens[0], Time::EPOCH).await?.days[1], &day(-1, 25, 3)?)
}

pub(in crate::testing) async fn forgets_the_old_only(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let token = sample.stored(&*store, "u1", "used").await?.0.id;
    let day = |days: i64| time(days * DAY);
    store
        .record(&Tallies {
            uses: vec![uses(token, day(-20), 1), uses(token, day(-10), 2)],
            sources: vec![
                seen(token, "198.51.100.0/24", -30 * DAY, -20 * DAY, 1, 0)?,
                seen(token, "203.0.113.0/24", -30 * DAY, -10 * DAY, 1, 0)?,
            ],
            calls: vec![call(token, 0, -20 * DAY, "/old"), call(token, 1, -10 * DAY, "/new")],
            signals: vec![
                signal(token, SignalKind::NewNetwork, "old", -30 * DAY, -20 * DAY, 1),
                signal(token, SignalKind::NewNetwork, "new", -30 * DAY, -10 * DAY, 1),
            ],
            ..Tallies::default()
        })
        .await?;
    while store.fold(day(-1), 10).await? > 0 {}
    let before = day(-15);
    let forget = Forget { days: before, sources: before, calls: before, signals: before };
    let long_ago = Forget { days: day(-25), sources: day(-25), calls: day(-25), signals: day(-25) };
    same("forgotten of what is young", &store.forget(&long_ago, 10).await?, &0)?;
    same("forgotten", &store.forget(&forget, 10).await?, &4)?;
    same("forgotten again", &store.forget(&forget, 10).await?, &0)?;
    let left = summary(&*store, token, Time::EPOCH).await?;
    same("days that are left", &left.days.iter().map(|day| day.uses).collect::<Vec<_>>(), &vec![2])?;
    same("the last use", &left.last_used(), &Some(day(-10)))?;
    let sources: Vec<_> = store.sources(token, 10).await?.iter().map(|source| source.network.to_string()).collect();
    same("sources that are left", &sources, &vec!["203.0.113.0/24".to_owned()])?;
    let calls = store.calls(&Whose::Everyone, 10).await?;
    same("calls that are left", &calls.iter().map(|call| call.at).collect::<Vec<_>>(), &vec![day(-10)])?;
    let signals = store.signals(&Whose::Everyone, Time::EPOCH, 10).await?;
    same("signals that are left", &signals.iter().map(|s| s.subject.as_str()).collect::<Vec<_>>(), &vec!["new"])
}

pub(in crate::testing) async fn busy_hours_are_compared(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let busy = sample.stored(&*store, "u1", "busy").await?.0;
    let calm = sample.stored(&*store, "u1", "calm").await?.0.id;
    let refused = sample.stored(&*store, "u1", "refused").await?.0.id;
    let hour = time(0).hour();
    let ago = |hours: u64| hour.saturating_sub(Duration::from_secs(3600 * hours));
    store
        .record(&Tallies {
            uses: vec![
                uses(busy.id, hour, 90),
                uses(busy.id, ago(1), 7),
                uses(busy.id, ago(2), 9),
                uses(busy.id, ago(200), 1000),
                uses(calm, hour, 10),
            ],
            refusals: vec![
                refusals(refused, Reason::Expired, hour, 30),
                refusals(refused, Reason::Revoked, hour, 30),
                refusals(refused, Reason::Revoked, ago(3), 5),
            ],
            ..Tallies::default()
        })
        .await?;
    let tokens = [busy.id, calm, refused];
    let query = BusyQuery { tokens: &tokens, hour, since: ago(168), uses: 80, refusals: 60 };
    let mut found = store.busy(&query).await?;
    found.sort_by_key(|busy| busy.token);
    let seen: Vec<_> = found.iter().map(|b| (b.token, b.uses, b.uses_before, b.refusals, b.refusals_before)).collect();
    same("busy tokens", &seen, &vec![(busy.id, 90, 9, 0, 0), (refused, 0, 0, 60, 5)])?;
    same("when it was made", &found[0].created_at, &busy.created_at)?;
    store.record(&Tallies { uses: vec![uses(busy.id, time(5), 1)], ..Tallies::default() }).await?;
    let last = store.last_used(&[busy.id, calm, sample.token("u1", "unknown")?.0.id]).await?;
    let last: std::collections::BTreeMap<_, _> = last.into_iter().collect();
    same("last uses", &last, &[(busy.id, time(5)), (calm, hour)].into())
}
