//! The same two routes on actix-web: one worker, whose thread does all of the work.

use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use actix_web::dev::{ServerHandle, Service as _};
use actix_web::error::ErrorUnauthorized;
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web::{App, HttpRequest, HttpServer, web};
use token_actix::TokenLayer;
use token_core::Tokens;

use super::least::Must;
use super::server::{Server, Started};
use crate::Trouble;
use crate::clock::Thread;
use crate::subject::{Building, ProjectsRead, pass_or_load};

/// How long a worker may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);

/// What protects the route.
pub enum Protection {
    /// Nothing.
    None,
    /// A layer that asks for one scope.
    Layer(Building),
    /// Its handler, which verifies by itself: see [`by_itself`](super::by_itself).
    Handler(Building),
    /// A layer that does nothing.
    Nothing,
    /// A layer that does what no request may be let through without, and nothing else: see [`checked_only`](super::checked_only).
    Checked(Building),
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Protection::None => "None",
            Protection::Layer(_) => "Layer(..)",
            Protection::Handler(_) => "Handler(..)",
            Protection::Nothing => "Nothing",
            Protection::Checked(_) => "Checked(..)",
        })
    }
}

/// Starts a worker that serves the route.
///
/// # Errors
/// If it does not get a port, or does not start.
pub fn start(protection: Protection) -> Result<Server, Trouble> {
    let (say, said) = mpsc::channel::<Started>();
    let (hand, handed) = mpsc::channel();
    let running = std::thread::spawn(move || {
        let failed = |error: Trouble| drop(say.send(Err(error)));
        let served = actix_web::rt::System::new().block_on(async {
            let route = match protection {
                Protection::None => Route::Bare,
                Protection::Layer(building) => {
                    Route::Layer(TokenLayer::required(&built(building).await?).require::<ProjectsRead>())
                }
                Protection::Handler(building) => Route::Handler(web::Data::new(built(building).await?)),
                Protection::Nothing => Route::Nothing,
                Protection::Checked(building) => Route::Checked(Must::of(built(building).await?.format().clone())),
            };
            serve(route, &say, &hand).await
        });
        if let Err(error) = served {
            // Nobody hears it unless it happens at the start.
            failed(error);
        }
    });
    let (address, thread) = said.recv_timeout(PATIENCE)??;
    let handle: ServerHandle = handed.recv_timeout(PATIENCE)?;
    let stop = move || drop(handle.stop(false));
    Ok(Server::of(address, thread, stop, running))
}

#[derive(Clone)]
enum Route {
    Bare,
    Layer(TokenLayer),
    Handler(web::Data<Tokens>),
    Nothing,
    Checked(Arc<Must>),
}

async fn built(building: Building) -> Result<Tokens, Trouble> {
    let (tokens, background) = building().await?;
    actix_web::rt::spawn(background);
    Ok(tokens)
}

async fn verifying(tokens: web::Data<Tokens>, request: HttpRequest) -> actix_web::Result<&'static str> {
    let header = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    if pass_or_load(&tokens, header).await { Ok("ok") } else { Err(ErrorUnauthorized("refused")) }
}

async fn serve(
    route: Route,
    started: &mpsc::Sender<Started>,
    hand: &mpsc::Sender<ServerHandle>,
) -> Result<(), Trouble> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let say = started.clone();
    let app = move || {
        // Called on the worker's own thread, once. Who does not listen any more has given up.
        drop(say.send(Thread::current().map(|thread| (address, thread))));
        let route = route.clone();
        App::new().configure(move |config| {
            let bare = || web::resource("/projects").route(web::get().to(async || "ok"));
            match route {
                Route::Bare => config.service(bare()),
                Route::Layer(layer) => config.service(bare().wrap(layer)),
                Route::Handler(tokens) => {
                    config.app_data(tokens).service(web::resource("/projects").route(web::get().to(verifying)))
                }
                Route::Nothing => config.service(bare().wrap_fn(|request, inner| inner.call(request))),
                Route::Checked(must) => config.service(bare().wrap_fn(move |request, inner| {
                    must.compute(request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes));
                    inner.call(request)
                })),
            };
        })
    };
    let server = HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run();
    hand.send(server.handle())?;
    Ok(server.await?)
}
