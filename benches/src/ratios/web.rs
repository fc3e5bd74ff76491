//! `http.axum`, `http.axum.1k`, `http.actix`, `http.actix.1k`, `http.p99`: a route behind the layer with one scope, over the same route bare.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use token_core::Tokens;
use tokio::runtime::Runtime;

use super::{Setting, runtime};
use crate::Trouble;
use crate::http::actix::{self, Protection};
use crate::http::{App, Connections, Server, by_itself, checked_only, let_through, protected, request};
use crate::pairs::{Measured, median, pairs, percentile};
use crate::processors::Apart;
use crate::shelf::Shelf;
use crate::subject::{Building, Keeping, Subject};
use crate::table::Row;

/// Connections of the load.
pub(super) const CONNECTIONS: usize = 64;
/// Servers of each kind, one after the other: where one happens to have its memory and its connections makes it faster or slower than
/// the next by as much as is looked for.
const SERVERS: usize = 9;
const PAIRS: usize = 11;
const SLICE: Duration = Duration::from_millis(100);
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
            let runtime = runtime()?;
            let subject = Stored::new(count)?;
            let apart = Apart::new()?;
            let load = |route| {
                let server = apart.serve(|| subject.serve(framework, route))?;
                Load::on(&runtime, server, &subject.requests)
            };
            let mut layers = Vec::new();
            let mut others: Vec<_> = OTHERS.iter().map(|other| (other, Vec::new())).collect();
            let (mut costs, mut bare_costs) = (Vec::new(), Vec::new());
            for _ in 0..SERVERS {
                let (bare, ours) = (load(Route::Bare)?, load(Route::Layer)?);
                layers.push(pairs(PAIRS, || ours.slice(), || bare.slice())?);
                costs.push(ours.cost());
                bare_costs.push(bare.cost());
                for ((other, _), seen) in &mut others {
                    // Only now: actix-web lets nobody wait who sends nothing.
                    let other = load(*other)?;
                    seen.push(pairs(PAIRS / 2, || other.slice(), || bare.slice())?);
                }
            }
            let measured = Measured::middle(&layers);
            let (cost_ours, cost_bare) = (median(costs), median(bare_costs));
            let others = others.iter().map(|((_, says), seen)| format!("{:.3} {says}", Measured::middle(seen).ratio));
            let others = others.collect::<Vec<_>>().join(", ");
            let note =
                format!("the server's thread a request: {cost_ours:.2} µs, bare {cost_bare:.2} µs; of bare: {others}");
            rows.push(Row::new(name, "/s", measured).note(note));
        }
    }
    Ok(rows)
}

/// A server, and connections that ask it as fast as it answers.
struct Load<'a> {
    runtime: &'a Runtime,
    server: Server,
    connections: RefCell<Connections>,
    /// What the server's thread took for each request, in microseconds: of every slice.
    costs: RefCell<Vec<f64>>,
}

impl<'a> Load<'a> {
    fn on(runtime: &'a Runtime, server: Server, requests: &[Vec<u8>]) -> Result<Load<'a>, Trouble> {
        let connections = runtime.block_on(Connections::open(server.address, CONNECTIONS, requests.to_vec()))?;
        Ok(Load { runtime, server, connections: RefCell::new(connections.awake()), costs: RefCell::default() })
    }

    /// Requests a second.
    fn slice(&self) -> Result<f64, Trouble> {
        let before = self.server.thread.on_cpu()?;
        let rate = self.runtime.block_on(self.connections.borrow_mut().saturate(SLICE))?;
        let spent = self.server.thread.on_cpu()?.saturating_sub(before);
        self.costs.borrow_mut().push(spent.as_secs_f64() * 1e6 / (rate * SLICE.as_secs_f64()));
        Ok(rate)
    }

    fn cost(&self) -> f64 {
        median(self.costs.borrow().clone())
    }
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

/// How the route is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Bare,
    Layer,
    /// By a handler that verifies by itself: see [`by_itself`].
    Handler,
    /// Not at all, behind a layer: see [`let_through`].
    Nothing,
    /// As good as not at all: see [`checked_only`].
    Checked,
}

/// What is measured besides, to tell what a layer costs from what this one adds, and what it is called.
const OTHERS: [(Route, &str); 3] = [
    (Route::Handler, "a handler that verifies by itself, with nothing in front of it"),
    (Route::Nothing, "a layer that does nothing"),
    (Route::Checked, "a layer that computes checksum and MAC, and does nothing else"),
];

/// Tokens in a store, and requests with them.
struct Stored {
    store: Arc<Shelf>,
    requests: Vec<Vec<u8>>,
}

impl Stored {
    fn new(count: usize) -> Result<Stored, Trouble> {
        let store = Arc::new(Shelf::default());
        let (subject, background) = runtime()?.block_on(Subject::on(store.clone(), Keeping::all(count), count))?;
        runtime()?.block_on(background.turn())?;
        let requests = subject.headers.iter().map(|header| request("GET", "/projects", header)).collect();
        Ok(Stored { store, requests })
    }

    fn serve(&self, framework: Framework, route: Route) -> Result<Server, Trouble> {
        let store = Arc::clone(&self.store);
        // As a host runs it: the background beside the requests, and nothing chosen.
        let building = async move || crate::subject::build(store, Keeping::default_of_the_service()).await;
        match framework {
            Framework::Actix => {
                let building: Building = Box::new(|| Box::pin(building()));
                actix::start(match route {
                    Route::Bare => Protection::None,
                    Route::Layer => Protection::Layer(building),
                    Route::Handler => Protection::Handler(building),
                    Route::Nothing => Protection::Nothing,
                    Route::Checked => Protection::Checked(building),
                })
            }
            Framework::Axum => {
                let protected: fn(&Tokens) -> App = match route {
                    Route::Bare => return Server::start(|| Box::pin(async { Ok(App::bare()) })),
                    Route::Nothing => return Server::start(|| Box::pin(async { Ok(let_through()) })),
                    Route::Layer => protected,
                    Route::Handler => by_itself,
                    Route::Checked => checked_only,
                };
                Server::start(move || {
                    Box::pin(async move {
                        let (tokens, background) = building().await?;
                        tokio::spawn(background);
                        Ok(protected(&tokens))
                    })
                })
            }
        }
    }
}

/// A bare server of axum, a protected one, and requests with so many tokens, which both get.
pub(crate) fn servers(count: usize) -> Result<(Server, Server, Vec<Vec<u8>>), Trouble> {
    let stored = Stored::new(count)?;
    let (bare, ours) = (stored.serve(Framework::Axum, Route::Bare)?, stored.serve(Framework::Axum, Route::Layer)?);
    Ok((bare, ours, stored.requests))
}
