//! How late: nodes that can't be told are asked for revoked tokens until well after the bound, and no acceptance may come later than it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::fleet::{Fleet, accept, connect};
use super::proxy::{Proxy, Way};
use crate::Trouble;
use crate::clock::now;
use crate::database::{Databases, Kind, Pool, script};
use crate::http::Connection;
use crate::table::say;

/// What a host gets that chooses nothing.
const BOUND: Duration = Duration::from_secs(5);

/// How long it is watched.
const WATCH: Duration = Duration::from_secs(9);

const TOKENS: usize = 20;

/// What is wrong between the nodes and the database.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The connections that listen are ended by the server.
    Cut,
    /// Nothing comes through the connections that listen, and they stay open.
    HalfOpen,
    /// Nothing comes through any connection of theirs.
    Unreachable,
    /// The server is killed once the tokens are revoked, and nobody was told.
    Stopped,
}

pub(super) fn run(runtime: &Runtime, databases: &Databases, program: &Path) -> Result<(), Trouble> {
    let mut kept = true;
    say(&format!(
        "bound: the latest acceptance after a revoke was sent, of {TOKENS} tokens on 3 nodes; at most {} s",
        BOUND.as_secs()
    ));
    for fault in [Fault::Cut, Fault::HalfOpen, Fault::Unreachable, Fault::Stopped] {
        let folder = databases.folder(Kind::Postgres);
        let url = databases.make(Kind::Postgres, &format!("{fault:?}").to_lowercase())?;
        if matches!(fault, Fault::Stopped) && folder.is_none() {
            say("    the server is not ours to stop");
            continue;
        }
        let (latest, refused) = runtime.block_on(measure(databases, program, &url, fault))?;
        kept &= latest <= BOUND;
        let verdict = if latest <= BOUND { "ok" } else { "SHORT" };
        say(&format!(
            "    {:<12} {:>8.3} s   {verdict}   ({refused} refused as revoked, others as unavailable)",
            format!("{fault:?}"),
            latest.as_secs_f64()
        ));
    }
    // A ratio may be short; this is a promise.
    if kept { Ok(()) } else { Err("a token was accepted after the bound".into()) }
}

async fn measure(databases: &Databases, program: &Path, url: &str, fault: Fault) -> Result<(Duration, usize), Trouble> {
    let proxy = Proxy::before(url).await?;
    let through = || proxy.url.clone();
    let mut fleet = Fleet::start(databases, program, &[url.to_owned(), through(), through(), through()]).await?;
    let mut tokens = Vec::new();
    for _ in 0..TOKENS {
        tokens.push(fleet.mint().await?);
    }
    // Long enough for all to listen.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut nodes = connect(&fleet.others()).await?;
    for token in &tokens {
        accept(&mut nodes, token).await?;
    }
    match fault {
        Fault::Cut => {
            let pool = Pool::open(url, 1).await?;
            let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE datname = current_database() AND query LIKE 'LISTEN%'";
            let cut = pool.number(sql).await?;
            if cut < 3 {
                return Err(format!("only {cut} were listening").into());
            }
        }
        Fault::HalfOpen | Fault::Stopped => proxy.set(Way::SwallowsListeners),
        Fault::Unreachable => proxy.set(Way::Swallows),
    }
    let mut asking = JoinSet::new();
    let mut told = Vec::new();
    for token in &tokens {
        let (revoked, since) = tokio::sync::watch::channel(None);
        told.push(revoked);
        let request: Arc<[u8]> = token.request.clone().into();
        for address in fleet.others() {
            asking.spawn(watch(address, Arc::clone(&request), since.clone()));
        }
    }
    for (token, told) in tokens.iter().zip(&told) {
        // Before it is stored: what is said here is no less than what was.
        told.send(Some(now()))?;
        fleet.revoke(token).await?;
    }
    if let (Fault::Stopped, Some(folder)) = (fault, databases.folder(Kind::Postgres)) {
        script(&["kill"], &folder)?;
    }
    let (mut latest, mut refused) = (Duration::ZERO, 0);
    while let Some(seen) = asking.join_next().await {
        let (accepted, was_refused) = seen??;
        latest = latest.max(accepted);
        refused += usize::from(was_refused);
    }
    drop(fleet);
    if let (Fault::Stopped, Some(folder)) = (fault, databases.folder(Kind::Postgres)) {
        script(&["start", Kind::Postgres.name()], &folder)?;
    }
    Ok((latest, refused))
}

/// Asks for a token all the time: when it was accepted last, after its revoke was sent, and whether it was refused as revoked.
async fn watch(
    address: SocketAddr,
    request: Arc<[u8]>,
    since: tokio::sync::watch::Receiver<Option<Instant>>,
) -> Result<(Duration, bool), Trouble> {
    let mut node = Connection::open(address).await?;
    let (mut latest, mut refused) = (Duration::ZERO, false);
    loop {
        let status = node.ask(&request).await?;
        let answered = now();
        let revoked = *since.borrow();
        match (status, revoked) {
            // When it came, and not when it was sent.
            (200, Some(revoked)) => latest = latest.max(answered.saturating_duration_since(revoked)),
            (200, None) => {}
            (401, _) => refused = true,
            (503, _) => {}
            (status, _) => return Err(format!("a token was answered with {status}").into()),
        }
        if revoked.is_some_and(|revoked| answered.saturating_duration_since(revoked) > WATCH) {
            return Ok((latest, refused));
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}
