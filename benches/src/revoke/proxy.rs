//! A way to the database on which bytes can be lost without a word, as behind a firewall that has forgotten a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Trouble;

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// They arrive.
    Passes = 0,
    /// They arrive, but for those of connections that have listened.
    SwallowsListeners = 1,
    /// They are lost, and connections stay open.
    Swallows = 2,
}

/// Open until it is dropped.
pub(super) struct Proxy {
    /// The address of the database, by this way.
    pub(super) url: String,
    way: Arc<AtomicU8>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn before(url: &str) -> Result<Proxy, Trouble> {
        let (scheme, rest) = url.split_once('@').ok_or("an address without a user")?;
        let (server, database) = rest.split_once('/').ok_or("an address without a database")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (server, url) = (server.to_owned(), format!("{scheme}@{}/{database}", listener.local_addr()?));
        let way = Arc::new(AtomicU8::new(Way::Passes as u8));
        let shared = Arc::clone(&way);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, way) = (server.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    // Either side may leave at any time.
                    drop(carry(client, &server, &way).await);
                });
            }
        });
        Ok(Proxy { url, way, accepting })
    }

    pub(super) fn set(&self, way: Way) {
        self.way.store(way as u8, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(mut client: TcpStream, server: &str, way: &AtomicU8) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut asked, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut listens = false;
    loop {
        let swallows = |listens: bool| match way.load(Ordering::SeqCst) {
            way if way == Way::Swallows as u8 => true,
            way => listens && way == Way::SwallowsListeners as u8,
        };
        tokio::select! {
            read = client.read(&mut asked) => {
                let message = &asked[..read?];
                if message.is_empty() {
                    return Ok(());
                }
                listens |= message.windows(6).any(|word| word == b"LISTEN");
                if !swallows(listens) {
                    server.write_all(message).await?;
                }
            }
            read = server.read(&mut answer) => {
                let read = read?;
                if swallows(listens) {
                    if read == 0 {
                        // The end of the server is not heard of either.
                        std::future::pending::<()>().await;
                    }
                } else if read == 0 {
                    return Ok(());
                } else {
                    client.write_all(&answer[..read]).await?;
                }
            }
        }
    }
}
