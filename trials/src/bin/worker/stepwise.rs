//! One change at a time, announced, and each phase of it on a word from the trial: so that a kill can be aimed.

use std::io::{BufRead as _, stdin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use token_core::Token;
use token_trials::{Ask, House, Kind, Line, OWNERS, Request, Shape, Swap, Trouble, owner, phases, say};

pub(crate) fn run(url: &str, round: usize, kinds: Vec<Kind>) -> Result<(), Trouble> {
    let opened = Arc::new(AtomicBool::new(false));
    let changing = Arc::clone(&opened);
    let tell = move |phase: &str| {
        // What a store does when it is opened is not part of any change.
        if changing.load(Ordering::Relaxed) && ask_to_go_on(&Line::Phase(phase.to_owned())).is_err() {
            // Nobody listens any more.
            std::process::exit(1);
        }
    };
    tracing::subscriber::set_global_default(phases(tell))?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let house = House::open(url).await?;
        opened.store(true, Ordering::Relaxed);
        for (number, kind) in kinds.into_iter().enumerate() {
            let request = Request { key: format!("{round}-{number}"), ask: ask(&house, kind, round + number).await? };
            ask_to_go_on(&Line::Start(request.clone()))?;
            let sent = request.send(&house.tokens).await;
            let answer = request.answer(&sent);
            ask_to_go_on(&Line::Answer(request, answer))?;
        }
        Err("nobody has killed it".into())
    })
}

/// Says it, and waits for a word.
fn ask_to_go_on(line: &Line) -> Result<(), Trouble> {
    say(line)?;
    match stdin().lock().read_line(&mut String::new())? {
        0 => Err("the trial is over".into()),
        _ => Ok(()),
    }
}

/// A change of this kind that has something to do.
async fn ask(house: &House, kind: Kind, pick: usize) -> Result<Ask, Trouble> {
    let mut free = None;
    let mut suspended = None;
    let admin = token_trials::admin("reader");
    for owner in (0..OWNERS).map(|offset| owner((pick + offset) % OWNERS)) {
        if house.tokens.manage(&admin).owner(&owner).await?.owner.suspended_at.is_some() {
            suspended = Some(owner);
            continue;
        }
        let living = house.living(&owner).await?;
        let fits = match kind {
            Kind::Create => living.len() < token_trials::CAP.try_into()?,
            // The last one is left.
            Kind::Revoke => living.len() > 1,
            _ => !living.is_empty(),
        };
        if fits && free.is_none() {
            free = Some((owner, living));
        }
    }
    let (owner, living) = free.ok_or("no owner is left to work on")?;
    let token = |living: &[Token]| living[pick % living.len()].id;
    Ok(match kind {
        Kind::Create => Ask::Create { owner },
        Kind::Edit => Ask::Edit { token: token(&living), shape: [Shape::Name, Shape::Expiry, Shape::Rights][pick % 3] },
        Kind::Rotate => {
            Ask::Rotate { token: token(&living), swap: [Swap::EndingSuperseded, Swap::EndingCurrent][pick % 2] }
        }
        Kind::Revoke => Ask::Revoke { token: token(&living) },
        // One owner at a time, so that most can be worked on.
        Kind::Suspend | Kind::Resume => match suspended {
            Some(owner) => Ask::Resume { owner },
            None => Ask::Suspend { owner },
        },
        Kind::EndOverlap | Kind::SetPolicy => return Err("not a kind of this trial".into()),
    })
}
