//! `http.axum`, `http.axum.1k`, `http.actix`, `http.actix.1k`, `http.p99`: a route behind the layer with one scope, over the same route bare.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::{Setting, runtime};
use crate::Trouble;
use crate::clock::Thread;
use crate::http::{App, Connections, Server, actix, protected, request};
use crate::pairs::{median, pairs, percentile};
use crate::shelf::Shelf;
use crate::subject::{Keeping, Subject};
use crate::table::Row;

/// Connections of the load.
pub(super) const CONNECTIONS: usize = 64;
const PAIRS: usize = 41;
const SLICE: Duration = Duration::from_millis(250);
const PACED_PAIRS: usize = 21;
const PACED_SLICE: Duration = Duration::from_millis(1000);

pub(super) fn throughput(setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    let mut rows = Vec::new();
    for (name, framework, count) in [
        ("http.axum", Framework::Axum, 1),
        ("http.axum.1k", Framework::Axum, 1000),
        ("http.actix", Framework::Actix, 1),
        ("http.actix.1k", Framework::Actix, 1000),
    ] {
        if setting.asks_for(name) {
            let (bare, ours, requests) = servers_on(framework, count)?;
            let runtime = runtime()?;
            let open =
                |server: &Server| runtime.block_on(Connections::open(server.address, CONNECTIONS, requests.clone()));
            let (to_ours, to_bare) = (RefCell::new(open(&ours)?), RefCell::new(open(&bare)?));
            let (mut cost_ours, mut cost_bare) = (Vec::new(), Vec::new());
            let slice = |to: &RefCell<Connections>, thread: &Thread, costs: &mut Vec<f64>| {
                let before = thread.on_cpu()?;
                let rate = runtime.block_on(to.borrow_mut().saturate(SLICE))?;
                let spent = thread.on_cpu()?.saturating_sub(before);
                costs.push(spent.as_secs_f64() * 1e6 / (rate * SLICE.as_secs_f64()));
                Ok(rate)
            };
            let measured = pairs(
                PAIRS,
                || slice(&to_ours, &ours.thread, &mut cost_ours),
                || slice(&to_bare, &bare.thread, &mut cost_bare),
            )?;
            if framework == Framework::Actix {
                let [ours, bare] = [cost_ours, cost_bare].map(median);
                let note = format!("the server's thread a request: {ours:.2} µs, bare {bare:.2} µs");
                rows.push(Row::new(name, "/s", measured).note(note));
                continue;
            }
            // What a host that wants to know where requests come from pays for that alone; actix-web always knows.
            let told = Server::start(|| Box::pin(async { Ok(App::bare_with_addresses()) }))?;
            let (to_told, mut cost_told) = (RefCell::new(open(&told)?), Vec::new());
            for _ in 0..PAIRS / 3 {
                slice(&to_told, &told.thread, &mut cost_told)?;
            }
            let [ours, bare, told] = [cost_ours, cost_bare, cost_told].map(median);
            let note = format!(
                "the server's thread a request: {ours:.2} µs, bare {bare:.2} µs, bare with the client's address {told:.2} µs"
            );
            rows.push(Row::new(name, "/s", measured).note(note));
        }
    }
    Ok(rows)
}

pub(super) fn latency(_setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    let (bare, ours, requests) = servers(1)?;
    let runtime = runtime()?;
    let open = |server: &Server| runtime.block_on(Connections::open(server.address, CONNECTIONS, requests.clone()));
    let (to_ours, to_bare) = (RefCell::new(open(&ours)?), RefCell::new(open(&bare)?));
    let saturating = (0..5).map(|_| runtime.block_on(to_bare.borrow_mut().saturate(SLICE)));
    let half = median(saturating.collect::<Result<_, _>>()?) / 2.0;
    let (mut middle_ours, mut middle_bare) = (Vec::new(), Vec::new());
    let slice = |to: &RefCell<Connections>, middles: &mut Vec<f64>| {
        let mut latencies = runtime.block_on(to.borrow_mut().paced(half, PACED_SLICE))?;
        middles.push(percentile(&mut latencies, 0.5));
        Ok(percentile(&mut latencies, 0.99))
    };
    let measured = pairs(PACED_PAIRS, || slice(&to_ours, &mut middle_ours), || slice(&to_bare, &mut middle_bare))?;
    let (ours, bare) = (median(middle_ours), median(middle_bare));
    let note = format!("at {half:.0} requests/s; p50 {ours:.0} µs, bare {bare:.0} µs");
    Ok(vec![Row::new("http.p99", "us", measured).note(note)])
}

/// What serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framework {
    Axum,
    Actix,
}

/// A bare server, a protected one, and requests with so many tokens, which both get.
pub(crate) fn servers(count: usize) -> Result<(Server, Server, Vec<Vec<u8>>), Trouble> {
    servers_on(Framework::Axum, count)
}

fn servers_on(framework: Framework, count: usize) -> Result<(Server, Server, Vec<Vec<u8>>), Trouble> {
    let store = Arc::new(Shelf::default());
    let (subject, background) = runtime()?.block_on(Subject::on(store.clone(), Keeping::all(count), count))?;
    runtime()?.block_on(background.turn())?;
    let requests = subject.headers.iter().map(|header| request("GET", "/projects", header)).collect();
    // As a host runs it: the background beside the requests, and nothing chosen.
    let building = async move || crate::subject::build(store, Keeping::default_of_the_service()).await;
    let (ours, bare) = match framework {
        Framework::Actix => (actix::start(Some(Box::new(|| Box::pin(building()))))?, actix::start(None)?),
        Framework::Axum => {
            let ours = Server::start(move || {
                Box::pin(async move {
                    let (tokens, background) = building().await?;
                    tokio::spawn(background);
                    Ok(protected(&tokens))
                })
            })?;
            (ours, Server::start(|| Box::pin(async { Ok(App::bare()) }))?)
        }
    };
    Ok((bare, ours, requests))
}
