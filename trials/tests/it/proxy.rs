//! A way to the server on which a connection can be cut, at a message and in a manner that are chosen.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// What becomes of a message of the client, before both sides are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cut {
    /// The server never gets it.
    Unsent,
    /// The server has done and answered it, and the client does not get the answer.
    Unanswered,
    /// The client gets half of the answer.
    HalfAnswered,
}

/// Which message of the client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// The one after so many others, on whichever connection.
    After(usize),
    /// The `COMMIT`: the first one after the store has traced that it is about to send it.
    Commit,
}

pub(crate) struct Proxy {
    /// The address of the database, by this way.
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    hang_up: broadcast::Sender<()>,
}

#[derive(Default)]
struct State {
    order: Option<(Message, Cut)>,
    /// The phases of transactions since the order was given, and how many of them there were at the cut.
    phases: Vec<String>,
    cut_after: Option<usize>,
}

/// What happened to a change whose connection was to be cut.
pub(crate) struct Seen {
    pub(crate) phases: Vec<String>,
    /// The last phase before the cut; `None` if the change was through before it.
    pub(crate) cut_at: Option<String>,
}

impl Proxy {
    /// Opens a way to the server of this address, on the runtime of the test.
    pub(crate) async fn before(url: &str) -> Proxy {
        let (scheme, rest) = url.split_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let (server, listener) = (server.to_owned(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("{scheme}@{}/{database}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { state: Mutex::default(), hang_up: broadcast::channel(1).0 });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                let (shared, mut hung_up) = (Arc::clone(&serving), serving.hang_up.subscribe());
                tokio::spawn(async move {
                    tokio::select! {
                        // Either side may leave at any time.
                        left = shared.carry(client, server) => drop(left),
                        hung_up = hung_up.recv() => drop(hung_up),
                    }
                });
            }
        });
        Proxy { url, shared }
    }

    /// Where the phases of transactions are told.
    pub(crate) fn listener(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move |phase| shared.state().phases.push(phase.to_owned())
    }

    /// Cuts the connection that sends this message.
    pub(crate) fn cut(&self, at: Message, how: Cut) {
        *self.shared.state() = State { order: Some((at, how)), ..State::default() };
    }

    /// Ends the order.
    pub(crate) fn seen(&self) -> Seen {
        let State { phases, cut_after, .. } = std::mem::take(&mut *self.shared.state());
        let at = |phases: &[String]| phases.last().map_or("before BEGIN", String::as_str).to_owned();
        Seen { cut_at: cut_after.map(|count| at(&phases[..count])), phases }
    }

    /// Cuts all connections that are open.
    pub(crate) fn hang_up(&self) {
        self.shared.hang_up.send(()).unwrap();
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to become of the next message, if it is not to be passed on.
    fn next(&self) -> Option<Cut> {
        let mut state = self.state();
        let (at, how) = state.order?;
        let is_due = match at {
            Message::After(others) => others == 0,
            Message::Commit => state.phases.last().is_some_and(|phase| phase == "committing"),
        };
        if is_due {
            state.cut_after = Some(state.phases.len());
        }
        state.order = match at {
            _ if is_due => None,
            Message::After(others) => Some((Message::After(others - 1), how)),
            Message::Commit => Some((at, how)),
        };
        is_due.then_some(how)
    }

    /// Passes messages on, until one is to be cut off. A client sends the next one after the answer to the last.
    async fn carry(&self, mut client: TcpStream, mut server: TcpStream) -> std::io::Result<()> {
        let (mut asked, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let message = &asked[..read?];
                    if message.is_empty() {
                        return Ok(());
                    }
                    match self.next() {
                        None => server.write_all(message).await?,
                        Some(Cut::Unsent) => return Ok(()),
                        Some(how) => {
                            server.write_all(message).await?;
                            let read = server.read(&mut answer).await?;
                            let half = if how == Cut::HalfAnswered { read / 2 } else { 0 };
                            return client.write_all(&answer[..half]).await;
                        }
                    }
                }
                read = server.read(&mut answer) => match read? {
                    0 => return Ok(()),
                    read => client.write_all(&answer[..read]).await?,
                }
            }
        }
    }
}
