//! How soon: a token that every node has in its cache is revoked on one, and asked for on the others until they refuse.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::fleet::{Fleet, accept, connect};
use crate::Trouble;
use crate::clock::now;
use crate::database::{Databases, Kind};
use crate::http::Connection;
use crate::pairs::percentile;
use crate::table::say;

/// Connections that load each node, each of which asks every few milliseconds.
const LOAD: usize = 8;
const EVERY: Duration = Duration::from_millis(5);

/// Tokens that the load is made with: half of what one owner may have.
const HOT: usize = 50;

/// Beyond this a refusal is not waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// p99 at most.
const TARGET: f64 = 50.0;

pub(super) fn run(runtime: &Runtime, databases: &Databases, program: &Path, revokes: usize) -> Result<(), Trouble> {
    let url = databases.make(Kind::Postgres, "revoke")?;
    let mut seen = runtime.block_on(measure(databases, program, &url, revokes))?;
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| percentile(&mut seen, share));
    let verdict = if p99 <= TARGET { "ok" } else { "SHORT" };
    say(&format!(
        "revoke: refused by all, from when it was sent: p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms; target p99 <= {TARGET} ms  {verdict}"
    ));
    say(&format!("    {revokes} revokes; {LOAD} connections a node that ask every {} ms", EVERY.as_millis()));
    Ok(())
}

/// Milliseconds of each revoke, from when it was sent, and so was not stored yet, until the last node refused.
async fn measure(databases: &Databases, program: &Path, url: &str, revokes: usize) -> Result<Vec<f64>, Trouble> {
    let mut fleet = Fleet::start(databases, program, &[url, url, url, url].map(str::to_owned)).await?;
    let load = load(&mut fleet).await?;
    let mut nodes = connect(&fleet.others()).await?;
    let mut seen = Vec::with_capacity(revokes);
    for _ in 0..revokes {
        let token = fleet.mint().await?;
        accept(&mut nodes, &token).await?;
        let request: Arc<[u8]> = token.request.clone().into();
        let mut asking = JoinSet::new();
        let sent = now();
        for node in nodes.drain(..) {
            asking.spawn(refused(node, Arc::clone(&request), sent));
        }
        fleet.revoke(&token).await?;
        let mut last = Duration::ZERO;
        while let Some(refused) = asking.join_next().await {
            let (node, after) = refused??;
            nodes.push(node);
            last = last.max(after);
        }
        seen.push(last.as_secs_f64() * 1000.0);
    }
    drop(load);
    Ok(seen)
}

/// Asks until it is refused, and says how long that was after its revoke was sent.
async fn refused(mut node: Connection, request: Arc<[u8]>, sent: Instant) -> Result<(Connection, Duration), Trouble> {
    loop {
        match node.ask(&request).await? {
            200 if sent.elapsed() > PATIENCE => return Err("a token is not refused".into()),
            // Not all the time: four services, their database and this share two processors, and are not to wait for whoever asks.
            200 => tokio::time::sleep(Duration::from_millis(1)).await,
            401 => return Ok((node, now().saturating_duration_since(sent))),
            status => return Err(format!("a revoked token was answered with {status}").into()),
        }
    }
}

/// Asks all nodes, with tokens that stay good.
async fn load(fleet: &mut Fleet) -> Result<JoinSet<Result<(), Trouble>>, Trouble> {
    let mut requests = Vec::new();
    for _ in 0..HOT {
        requests.push(fleet.mint().await?.request);
    }
    let requests: Arc<[Vec<u8>]> = requests.into();
    let mut tasks = JoinSet::new();
    for address in fleet.addresses() {
        for number in 0..LOAD {
            tasks.spawn(keep_asking(address, Arc::clone(&requests), number * HOT / LOAD));
        }
    }
    Ok(tasks)
}

async fn keep_asking(address: SocketAddr, requests: Arc<[Vec<u8>]>, first: usize) -> Result<(), Trouble> {
    let mut node = Connection::open(address).await?;
    for request in requests.iter().cycle().skip(first) {
        node.ask(request).await?;
        tokio::time::sleep(EVERY).await;
    }
    Ok(())
}
