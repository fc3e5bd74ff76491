//! `screen.render`: the list of 1,000 tokens as a page, without a store: what the slowest of a hundred takes.

use std::sync::Arc;

use token_core::{
    Actor, ActorId, Ceiling, Grant, Grants, Keyring, ListFilter, MemoryStore, NewToken, OwnerId, Policy, Position,
    Risk, ScopeDef, TokenName, Tokens,
};
use token_screen::{Screen, SignedIn};

use super::{Setting, runtime};
use crate::Trouble;
use crate::clock::now;
use crate::table::Row;

const TOKENS: usize = 1000;
const RUNS: usize = 500;

pub(super) fn measure(_setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    let runtime = runtime()?;
    let def =
        |name, implies| ScopeDef { name, says: "Says what it allows", group: "Projects", risk: Risk::Low, implies };
    let (tokens, _background) = runtime.block_on(async {
        Tokens::builder_on(Arc::new(MemoryStore::new()))
            .prefix("bench")
            .keyring(Keyring::parse(&Keyring::generate("k1")?)?)
            .catalog([def("projects:read", &[]), def("projects:write", &["projects:read"])])
            .build()
            .await
            .map_err(Trouble::from)
    })?;
    let admin = Actor::admin(ActorId::new("admin")?, Ceiling::Everything);
    let ann = Actor::owner(ActorId::new("ann")?, OwnerId::new("ann")?, Ceiling::Everything);
    let mut listed = Vec::new();
    let overviews = runtime.block_on(async {
        let policy = Policy { live_tokens_per_owner: u32::MAX, ..Policy::default() };
        tokens.manage(&admin).set_policy(&policy).await?;
        let manage = tokens.manage(&ann);
        for number in 0..TOKENS {
            let grants = Grants::new([Grant::all("projects:write")?])?;
            manage.create(&NewToken::new(TokenName::new(format!("token number {number}"))?, grants)).await?;
        }
        let mut from = Some(Position::Created(None));
        while let Some(position) = from {
            let page = manage.list(None, ListFilter::Live, None, position, 200).await?;
            listed.extend(page.tokens);
            from = page.next;
        }
        Ok::<_, Trouble>(manage.overview(&listed, 30).await?)
    })?;
    let screen = Screen::new(&tokens, "/settings/tokens");
    let visitor = SignedIn::by_cookie(ann, tokens.now());
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let started = now();
        let page = screen.render_list(&visitor, &listed, &overviews);
        times.push(started.elapsed().as_secs_f64() * 1e3);
        if page.matches("<tr").count() <= TOKENS {
            return Err("a page is too short".into());
        }
    }
    times.sort_by(f64::total_cmp);
    let p99 = times.get(RUNS * 99 / 100).copied().unwrap_or(f64::MAX);
    Ok(vec![Row::plain("screen.render", "ms", p99).note("1,000 rows, p99")])
}
