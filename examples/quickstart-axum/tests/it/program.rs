//! The running program, and a client of it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::database::Database;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Killed when it is dropped, as `kill -9` does it.
pub(crate) struct Program {
    child: Child,
    output: Receiver<String>,
    /// Every line it printed so far.
    pub(crate) printed: Vec<String>,
    client: Client,
}

/// Sends requests to a program, from as many threads as there are.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    agent: ureq::Agent,
}

impl Deref for Program {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) challenge: Option<String>,
    pub(crate) cookie: Option<String>,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// What the problem is, without the receipt.
    pub(crate) fn problem(&self) -> Value {
        let mut problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem.as_object_mut().unwrap().remove("receipt");
        problem
    }
}

impl Program {
    /// Starts it on a free port, and waits until it listens.
    fn start(place: &Place) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart-axum"));
        if let Some(url) = &place.url {
            command.env("DATABASE_URL", url);
        } else {
            command.env_remove("DATABASE_URL");
        }
        let mut child = command
            .env("ADDRESS", "127.0.0.1:0")
            .env("DATA_DIR", place.data())
            .env("RUST_LOG", place.level)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(place.log()).unwrap())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, output) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
        let client = Client { base: String::new(), agent: config.build().new_agent() };
        let mut program = Program { child, output, printed: Vec::new(), client };
        while program.client.base.is_empty() {
            let line = program.output.recv_timeout(PATIENCE).expect("a line that says where it listens");
            if let Some(base) = line.strip_prefix("listening on ") {
                program.client.base = base.to_owned();
            }
            program.printed.push(line);
        }
        program
    }

    /// The value of a token that was printed, as a shell would read it.
    pub(crate) fn exported(&self, variable: &str) -> String {
        let start = format!("export {variable}=");
        self.printed.iter().find_map(|line| line.strip_prefix(&start)).expect("a printed token").to_owned()
    }

    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.rest()
    }

    /// Ends it as a person does, with ctrl-c.
    pub(crate) fn interrupt(mut self) -> Vec<String> {
        let kill = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        // Its end closes its output, which is waited for with patience; the wait for the process is short then.
        let printed = self.rest();
        assert!(self.child.wait().unwrap().success());
        printed
    }

    /// All it has printed by its end.
    fn rest(&mut self) -> Vec<String> {
        use std::sync::mpsc::RecvTimeoutError;
        let mut printed = std::mem::take(&mut self.printed);
        loop {
            match self.output.recv_timeout(PATIENCE) {
                Ok(line) => printed.push(line),
                Err(RecvTimeoutError::Disconnected) => return printed,
                Err(RecvTimeoutError::Timeout) => panic!("the program does not end"),
            }
        }
    }
}

impl Client {
    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.send("GET", path, &[("Authorization", &format!("Bearer {token}"))], "")
    }

    pub(crate) fn post(&self, path: &str, token: &str, body: &str) -> Answer {
        self.send("POST", path, &[("Authorization", &format!("Bearer {token}"))], body)
    }

    /// A browser in which one of the demo's users has signed in.
    pub(crate) fn signed_in(&self, user: &str) -> Browser<'_> {
        let answer = self.send("POST", "/demo/sign-in", &[], &format!("user={user}"));
        let cookie = answer.cookie.as_deref().and_then(|cookie| cookie.split(';').next()).expect("a session");
        Browser { client: self, cookie: cookie.to_owned() }
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            // Signing in is a form's.
            let form = path.starts_with("/demo/");
            let kind = if form { "application/x-www-form-urlencoded" } else { "application/json" };
            request = request.header("Content-Type", kind);
        }
        let mut response = self.agent.run(request.body(body.to_owned()).unwrap()).unwrap();
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (challenge, cookie) = (header("www-authenticate"), header("set-cookie"));
        let retry_after = header("retry-after");
        let body = response.body_mut().read_to_string().unwrap();
        Answer { status: response.status().as_u16(), challenge, cookie, retry_after, body }
    }
}

/// Someone signed in, on a page of the program's own.
pub(crate) struct Browser<'a> {
    client: &'a Client,
    pub(crate) cookie: String,
}

impl Browser<'_> {
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, body)
    }

    /// A change that is one change, however often it is sent under its key.
    pub(crate) fn post_once(&self, key: &str, path: &str, body: &str) -> Answer {
        self.send_with("POST", path, &[("Idempotency-Key", key)], body)
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.send_with(method, path, &[], body)
    }

    /// A request for what is below the mount.
    fn send_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let own = [("Cookie", self.cookie.as_str()), ("Origin", self.client.base.as_str())];
        self.client.send(method, &format!("/api/tokens{path}"), &[&own, headers].concat(), body)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone after this.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A directory with the program's data and, outside of it, its log; and a database, where the data has none.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    url: Option<String>,
    level: &'static str,
    /// Held until the program is gone.
    _database: Option<Database>,
}

impl Place {
    /// With a SQLite file of the program's own.
    pub(crate) fn new() -> Place {
        Place { directory: tempfile::tempdir().unwrap(), url: None, level: "trace", _database: None }
    }

    /// With a fresh database on the PostgreSQL server for tests.
    pub(crate) fn postgres() -> Place {
        Place::on(runtime().block_on(Database::postgres()))
    }

    /// With a fresh database on the MySQL server for tests.
    pub(crate) fn mysql() -> Place {
        Place::on(runtime().block_on(Database::mysql()))
    }

    fn on(database: Database) -> Place {
        Place { url: Some(database.url().to_owned()), _database: Some(database), ..Place::new() }
    }

    /// With a database that is the caller's, and a log that holds little of many requests.
    pub(crate) fn at(url: String) -> Place {
        Place { url: Some(url), level: "warn", ..Place::new() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// The address of what the program keeps its tokens in.
    pub(crate) fn url(&self) -> String {
        let file = || format!("sqlite://{}", self.data().join("tokens.db").display());
        self.url.clone().unwrap_or_else(file)
    }

    pub(crate) fn start(&self) -> Program {
        Program::start(self)
    }
}

/// For what a test does beside its requests.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}
