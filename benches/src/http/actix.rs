//! The same two routes on actix-web: one worker, whose thread does all of the work.

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use token_actix::TokenLayer;
use token_core::Tokens;

use super::server::{Server, Started};
use crate::Trouble;
use crate::clock::Thread;
use crate::subject::{Building, ProjectsRead};

/// How long a worker may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts a worker that serves the bare route, or the same behind a layer that asks for one scope where tokens are built for it.
///
/// # Errors
/// If it does not get a port, or does not start.
pub fn start(building: Option<Building>) -> Result<Server, Trouble> {
    let (say, said) = mpsc::channel::<Started>();
    let (hand, handed) = mpsc::channel();
    let running = std::thread::spawn(move || {
        let failed = |error: Trouble| drop(say.send(Err(error)));
        let served = actix_web::rt::System::new().block_on(async {
            let tokens = match building {
                None => None,
                Some(building) => {
                    let (tokens, background) = building().await?;
                    actix_web::rt::spawn(background);
                    Some(tokens)
                }
            };
            serve(tokens, &say, &hand).await
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

async fn serve(
    tokens: Option<Tokens>,
    started: &mpsc::Sender<Started>,
    hand: &mpsc::Sender<ServerHandle>,
) -> Result<(), Trouble> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let say = started.clone();
    let layer = tokens.map(|tokens| TokenLayer::required(&tokens).require::<ProjectsRead>());
    let app = move || {
        // Called on the worker's own thread, once. Who does not listen any more has given up.
        drop(say.send(Thread::current().map(|thread| (address, thread))));
        let layer = layer.clone();
        App::new().configure(move |config| {
            let projects = web::resource("/projects").route(web::get().to(async || "ok"));
            match layer {
                Some(layer) => config.service(projects.wrap(layer)),
                None => config.service(projects),
            };
        })
    };
    let server = HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run();
    hand.send(server.handle())?;
    Ok(server.await?)
}
