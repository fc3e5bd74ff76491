//! Four nodes, the first of which is told to mint and to revoke.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::Trouble;
use crate::http::{Connection, request};

/// A process.
struct Node {
    child: Child,
    address: SocketAddr,
}

impl Node {
    fn start(url: &str) -> Result<Node, Trouble> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["node", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| format!("a node did not start: {line}"))?;
        Ok(Node { child, address })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The nodes, and a connection to the one that changes tokens.
pub(super) struct Fleet {
    nodes: Vec<Node>,
    changes: Connection,
}

/// A token, as the fleet knows it.
pub(super) struct Known {
    id: String,
    /// A request with it.
    pub(super) request: Vec<u8>,
}

impl Fleet {
    /// Starts a node on each address of the database.
    pub(super) async fn start(urls: &[String]) -> Result<Fleet, Trouble> {
        let nodes = urls.iter().map(|url| Node::start(url)).collect::<Result<Vec<_>, _>>()?;
        let changes = Connection::open(nodes.first().ok_or("no nodes")?.address).await?;
        Ok(Fleet { nodes, changes })
    }

    /// Where all nodes listen, the first included.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    /// Where those listen that have to be told.
    pub(super) fn others(&self) -> Vec<SocketAddr> {
        self.addresses().split_off(1)
    }

    pub(super) async fn mint(&mut self) -> Result<Known, Trouble> {
        self.ask("/mint").await?;
        let answer = std::str::from_utf8(self.changes.body())?;
        let (id, header) = answer.split_once(' ').ok_or("no token was minted")?;
        Ok(Known { id: id.to_owned(), request: request("GET", "/projects", header.as_bytes()) })
    }

    pub(super) async fn revoke(&mut self, token: &Known) -> Result<(), Trouble> {
        self.ask(&format!("/revoke/{}", token.id)).await
    }

    async fn ask(&mut self, path: &str) -> Result<(), Trouble> {
        match self.changes.ask(&request("GET", path, b"none")).await? {
            200 => Ok(()),
            status => Err(format!("{path} was answered with {status}").into()),
        }
    }
}

/// Has every one of these nodes accept the token, so that each has it in its cache.
pub(super) async fn accept(nodes: &mut [Connection], token: &Known) -> Result<(), Trouble> {
    for node in nodes {
        let status = node.ask(&token.request).await?;
        if status != 200 {
            return Err(format!("a good token was answered with {status}").into());
        }
    }
    Ok(())
}

/// A connection to each.
pub(super) async fn connect(addresses: &[SocketAddr]) -> Result<Vec<Connection>, Trouble> {
    let mut connections = Vec::new();
    for address in addresses {
        connections.push(Connection::open(*address).await?);
    }
    Ok(connections)
}
