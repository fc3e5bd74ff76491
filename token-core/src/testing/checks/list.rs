//! What a list shows, and in which order.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::clock::Time;
use crate::secret::Generation;
use crate::store::{ListFilter, ListQuery, Position, TokenStore};
use crate::testing::sample::{Checked, Sample, ensure, same, time};
use crate::text::OwnerId;
use crate::token::{Token, TokenId};
use crate::usage::{LastUse, Tallies, UseTally};

/// Everything, from this position on.
pub(super) fn query(from: Position) -> ListQuery {
    ListQuery { owner: None, filter: ListFilter::Any, text: None, from, now: time(0), limit: 100 }
}

async fn names(store: &dyn TokenStore, query: &ListQuery) -> Checked<Vec<String>> {
    let page = store.list(query).await?;
    Ok(page.tokens.iter().map(|row| row.unverified().name.to_string()).collect())
}

pub(in crate::testing) async fn list_keeps_to_owner(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    sample.stored(&*store, "u1", "mine").await?;
    sample.stored(&*store, "u2", "theirs").await?;
    let mut own = query(Position::Name(None));
    same("everyone's tokens", &names(&*store, &own).await?, &vec!["mine".to_owned(), "theirs".to_owned()])?;
    own.owner = Some(OwnerId::new("u1")?);
    for from in [Position::Name(None), Position::Created(None), Position::Expiry(None)] {
        same(
            "an owner's tokens",
            &names(&*store, &ListQuery { from, ..own.clone() }).await?,
            &vec!["mine".to_owned()],
        )?;
    }
    Ok(())
}

pub(in crate::testing) async fn list_keeps_to_state(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    for (name, expires_at) in
        [("live", None), ("expires soon", Some(time(50))), ("expires now", Some(time(0))), ("expired", Some(time(-1)))]
    {
        let (token, secret) = sample.token("u1", name)?;
        sample.store(&*store, Token { expires_at, ..token }, secret).await?;
    }
    let (token, secret) = sample.token("u1", "revoked")?;
    let token = sample.store(&*store, Token { expires_at: Some(time(-1)), ..token }, secret).await?;
    let (change, _) = sample.revoke(&token, time(0))?;
    sample.done(&*store, &change).await?;
    let (used, _) = sample.stored(&*store, "u1", "used").await?;
    let last = LastUse { at: time(0), address: None, client: None };
    let tally = UseTally { token: used.id, generation: Generation::FIRST, hour: time(0).hour(), count: 1, last };
    store.record(&Tallies { uses: vec![tally], ..Tallies::default() }).await?;

    for (filter, expected) in [
        (ListFilter::Any, &["expired", "expires now", "expires soon", "live", "revoked", "used"][..]),
        (ListFilter::Live, &["expires soon", "live", "used"]),
        (ListFilter::ExpiringBefore(time(100)), &["expires soon"]),
        (ListFilter::ExpiringBefore(time(50)), &[]),
        (ListFilter::NeverUsed, &["expires soon", "live"]),
        (ListFilter::Expired, &["expired", "expires now"]),
        (ListFilter::Revoked, &["revoked"]),
    ] {
        let seen = names(&*store, &ListQuery { filter, ..query(Position::Name(None)) }).await?;
        ensure(seen == expected, || format!("{filter:?}: {seen:?} instead of {expected:?}"))?;
    }
    Ok(())
}

pub(in crate::testing) async fn list_text_is_literal(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    for name in ["50% off", "50x off", "a_b", "axb", "back\\slash", "quote'd", "Größe"] {
        sample.stored(&*store, "u1", name).await?;
    }
    for (text, expected) in [
        ("%", &["50% off"][..]),
        ("_", &["a_b"]),
        ("\\", &["back\\slash"]),
        ("'", &["quote'd"]),
        ("a", &["a_b", "axb", "back\\slash"]),
        ("A", &[]),
        ("groß", &[]),
        ("röß", &["Größe"]),
        ("Grosse", &[]),
        ("' OR ''='", &[]),
    ] {
        let seen = names(&*store, &ListQuery { text: Some(text.into()), ..query(Position::Name(None)) }).await?;
        ensure(seen == expected, || format!("{text:?}: {seen:?} instead of {expected:?}"))?;
    }
    Ok(())
}

/// Tokens whose names and expiries tie in places.
async fn mixed(store: &dyn TokenStore, sample: &Sample) -> Checked<Vec<Token>> {
    let mut tokens = Vec::new();
    for (name, expiry) in [
        ("b", None),
        ("a", Some(30)),
        ("B", Some(10)),
        ("a", Some(30)),
        ("ä", None),
        ("c", Some(20)),
        ("a", None),
        ("Z", Some(10)),
    ] {
        let (token, secret) = sample.token("u1", name)?;
        tokens.push(sample.store(store, Token { expires_at: expiry.map(time), ..token }, secret).await?);
    }
    Ok(tokens)
}

fn expected_order(tokens: &[Token], from: &Position) -> Vec<TokenId> {
    let mut sorted: Vec<&Token> = tokens.iter().collect();
    match from {
        Position::Created(_) => sorted.sort_by_key(|token| std::cmp::Reverse(token.id)),
        Position::Name(_) => sorted.sort_by_key(|token| (token.name.clone(), token.id)),
        Position::Expiry(_) => sorted.sort_by_key(|token| (token.expires_at.unwrap_or(Time::MAX), token.id)),
    }
    sorted.into_iter().map(|token| token.id).collect()
}

const STARTS: [Position; 3] = [Position::Created(None), Position::Name(None), Position::Expiry(None)];

pub(in crate::testing) async fn list_is_ordered(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let tokens = mixed(&*store, &sample).await?;
    for from in STARTS {
        let expected = expected_order(&tokens, &from);
        let page = store.list(&query(from.clone())).await?;
        let seen: Vec<TokenId> = page.tokens.iter().map(|row| row.unverified().id).collect();
        same(&format!("the order {from:?}"), &seen, &expected)?;
        ensure(page.next.is_none(), || "a whole list has a next page".into())?;
    }
    Ok(())
}

pub(in crate::testing) async fn list_pages_are_complete(store: Arc<dyn TokenStore>) -> Checked {
    let sample = Sample::new()?;
    let tokens = mixed(&*store, &sample).await?;
    for start in STARTS {
        for limit in [1, 3, 4, 7, 8] {
            let mut from = start.clone();
            let mut seen = Vec::new();
            loop {
                let page = store.list(&ListQuery { limit, ..query(from) }).await?;
                ensure(page.tokens.len() <= limit as usize, || format!("{} on a page of {limit}", page.tokens.len()))?;
                seen.extend(page.tokens.iter().map(|row| row.unverified().id));
                ensure(seen.len() <= tokens.len(), || "the pages repeat tokens, or do not end".into())?;
                match page.next {
                    Some(next) => from = next,
                    None => break,
                }
            }
            same("pages of one order", &seen, &expected_order(&tokens, &start))?;
            same("distinct tokens", &seen.iter().collect::<BTreeSet<_>>().len(), &tokens.len())?;
        }
    }
    Ok(())
}
