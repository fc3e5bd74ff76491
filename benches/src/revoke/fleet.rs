//! Four quickstarts on one database. Ann is signed in to the first, where she mints and revokes.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::Trouble;
use crate::database::Databases;
use crate::http::{Connection, request};

/// The program, built as this one is.
pub(super) fn quickstart() -> Result<PathBuf, Trouble> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "-p", "quickstart-axum"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    let program = std::env::current_exe()?.with_file_name("quickstart-axum");
    if !built.success() || !program.exists() {
        return Err(format!("{} was not built", program.display()).into());
    }
    Ok(program)
}

/// A process.
struct Node {
    child: Child,
    /// Where it prints, which it is not to find closed.
    _output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Node {
    fn start(program: &Path, data: &Path, url: &str) -> Result<Node, Trouble> {
        let mut child = Command::new(program)
            .envs([("DATABASE_URL", url), ("ADDRESS", "127.0.0.1:0"), ("RUST_LOG", "off")])
            .env("DATA_DIR", data)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        while !line.starts_with("listening on ") {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                return Err("a quickstart did not start".into());
            }
        }
        let address = line.trim_start_matches("listening on http://").trim().parse()?;
        Ok(Node { child, _output: output, address })
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
    /// By which the first knows Ann.
    cookie: String,
    data: PathBuf,
}

/// A token, as the fleet knows it.
pub(super) struct Known {
    id: String,
    /// A request with it.
    pub(super) request: Vec<u8>,
}

impl Fleet {
    /// Starts a node on each address of the database, one after the other: the first makes the keyring of all.
    pub(super) async fn start(databases: &Databases, program: &Path, urls: &[String]) -> Result<Fleet, Trouble> {
        let data = databases.root()?.join(format!("nodes-{}", std::process::id()));
        let nodes = urls.iter().map(|url| Node::start(program, &data, url)).collect::<Result<Vec<_>, _>>()?;
        let mut changes = Connection::open(nodes.first().ok_or("no nodes")?.address).await?;
        let form = "POST /demo/sign-in HTTP/1.1\r\nhost: bench\r\ncontent-length: 8\r\n\r\nuser=ann";
        let status = changes.ask(form.as_bytes()).await?;
        let cookie = changes.header("set-cookie").and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
        let cookie = cookie.ok_or_else(|| format!("signing in was answered with {status}"))?;
        Ok(Fleet { nodes, changes, cookie, data })
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
        let body = r#"{"name":"bench","grants":[{"scope":"projects:read","resources":"all"}]}"#;
        let minted = self.change("", body, 201).await?;
        let (id, text) = minted["token"]["id"].as_str().zip(minted["text"].as_str()).ok_or("no token was minted")?;
        Ok(Known { id: id.to_owned(), request: request("GET", "/projects", format!("Bearer {text}").as_bytes()) })
    }

    pub(super) async fn revoke(&mut self, token: &Known) -> Result<(), Trouble> {
        self.change(&format!("/{}/revoke", token.id), "", 200).await.map(drop)
    }

    async fn change(&mut self, path: &str, body: &str, expected: u16) -> Result<Value, Trouble> {
        let origin = self.nodes.first().ok_or("no nodes")?.address;
        let request = format!(
            "POST /api/tokens/tokens{path} HTTP/1.1\r\nhost: bench\r\norigin: http://{origin}\r\ncookie: {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.cookie,
            body.len()
        );
        let status = self.changes.ask(request.as_bytes()).await?;
        if status != expected {
            let says = String::from_utf8_lossy(self.changes.body());
            return Err(format!("a change of tokens was answered with {status}: {says}").into());
        }
        Ok(serde_json::from_slice(self.changes.body())?)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.nodes.clear();
        // A keyring of tokens that are gone as well.
        drop(std::fs::remove_dir_all(&self.data));
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
