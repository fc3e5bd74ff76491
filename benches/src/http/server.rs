//! A server on a runtime and a thread of its own, so that what it takes is seen as the time of that thread.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::mpsc;
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, StatusCode};
use axum::routing::get;
use token_axum::TokenLayer;
use token_core::Tokens;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::least::{least, nothing};
use crate::Trouble;
use crate::clock::Thread;
use crate::subject::{ProjectsRead, pass_or_load};

/// What is served: a router, which may want to know where requests come from.
#[derive(Debug)]
pub enum App {
    /// Nothing but its routes.
    Bare(Router),
    /// With the client's address in each request, as tokens that are restricted to networks need it.
    WithAddresses(Router),
}

type Made = Pin<Box<dyn Future<Output = Result<App, Trouble>>>>;

/// Ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The thread that does all of its work.
    pub thread: Thread,
    stop: Option<Stop>,
    running: Option<JoinHandle<()>>,
}

/// How a server is told to end.
struct Stop(Box<dyn FnOnce()>);

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stop(..)")
    }
}

impl Server {
    /// Starts what is made on the server's own runtime: pools and background tasks live there.
    ///
    /// # Errors
    /// If it can't be made or does not get a port.
    pub fn start(make: impl FnOnce() -> Made + Send + 'static) -> Result<Server, Trouble> {
        let (say, said) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let running = std::thread::spawn(move || {
            let served = serve(make, &say, stopped);
            if let Err(error) = served {
                // Nobody hears it unless it happens at the start.
                drop(say.send(Err(error)));
            }
        });
        let (address, thread) = said.recv()??;
        // Nobody to be told has ended already.
        let stop = move || {
            stop.send(()).ok();
        };
        Ok(Server::of(address, thread, stop, running))
    }

    pub(super) fn of(
        address: SocketAddr,
        thread: Thread,
        stop: impl FnOnce() + 'static,
        running: JoinHandle<()>,
    ) -> Server {
        Server { address, thread, stop: Some(Stop(Box::new(stop))), running: Some(running) }
    }
}

pub(super) type Started = Result<(SocketAddr, Thread), Trouble>;

fn serve(
    make: impl FnOnce() -> Made,
    started: &mpsc::Sender<Started>,
    stopped: oneshot::Receiver<()>,
) -> Result<(), Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let app = make().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        started.send(Ok((listener.local_addr()?, Thread::current()?)))?;
        let serving = async {
            match app {
                App::Bare(app) => axum::serve(listener, app).await,
                App::WithAddresses(app) => {
                    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
                }
            }
        };
        tokio::select! {
            served = serving => served?,
            // Told, or its sender is gone.
            _ = stopped => {}
        }
        Ok(())
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(Stop(stop)) = self.stop.take() {
            stop();
        }
        if let Some(running) = self.running.take() {
            // It has nothing to say that was not said.
            drop(running.join());
        }
    }
}

/// The handler of every app here, bare.
fn bare() -> Router {
    Router::new().route("/projects", get(async || "ok"))
}

/// The same behind a layer that asks for one scope.
#[must_use]
pub fn protected(tokens: &Tokens) -> App {
    App::WithAddresses(bare().layer(TokenLayer::required(tokens).require::<ProjectsRead>()))
}

/// The same behind a layer that does nothing.
#[must_use]
pub fn let_through() -> App {
    App::WithAddresses(bare().layer(nothing()))
}

/// The same behind one that does what no request may be let through without, and nothing else: the checksum, and the deciding half of a MAC.
#[must_use]
pub fn checked_only(tokens: &Tokens) -> App {
    App::WithAddresses(bare().layer(least(tokens.format().clone())))
}

/// The least that a route can do and be protected: nothing is in front of its handler, which verifies by itself, and answers a
/// refusal with nothing but a status.
#[must_use]
pub fn by_itself(tokens: &Tokens) -> App {
    App::Bare(Router::new().route("/projects", get(verifying)).with_state(tokens.clone()))
}

async fn verifying(State(tokens): State<Tokens>, request: Request) -> Result<&'static str, StatusCode> {
    let (parts, _) = request.into_parts();
    let header = parts.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    if pass_or_load(&tokens, header).await { Ok("ok") } else { Err(StatusCode::UNAUTHORIZED) }
}

impl App {
    /// The handler and nothing else.
    #[must_use]
    pub fn bare() -> App {
        App::Bare(bare())
    }
}
