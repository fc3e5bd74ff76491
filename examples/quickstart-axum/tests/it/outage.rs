//! The database goes away under load, in order and by a crash, and comes back. While it is away nothing is answered but 503, and
//! afterwards all is as it was answered, without a restart of the program.
#![expect(clippy::print_stdout, reason = "how many answers were which is worth reading")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use crate::database::{run, with_database};
use crate::program::{Answer, Browser, Client, PATIENCE, Place, runtime};

#[test]
#[ignore = "starts a PostgreSQL server of its own, which must be installed"]
fn postgres_goes_away_and_comes_back() {
    goes_away_and_comes_back("postgres");
}

#[test]
#[ignore = "starts a MariaDB server of its own, which must be installed"]
fn mariadb_goes_away_and_comes_back() {
    goes_away_and_comes_back("mariadb");
}

/// A server that is the test's own, and may be stopped.
struct Server {
    kind: &'static str,
    place: tempfile::TempDir,
}

impl Server {
    fn new(kind: &'static str) -> Server {
        let place = tempfile::tempdir().unwrap();
        // The server may run as another user.
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Server { kind, place }
    }

    fn folder(&self) -> PathBuf {
        self.place.path().join(self.kind)
    }

    /// Starts it, and answers its address, which stays the same.
    fn start(&self) -> String {
        self.script(&["start", self.kind])
    }

    fn script(&self, words: &[&str]) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/database");
        let done = Command::new(script).args(words).arg(self.folder()).env("DURABLE", "1").output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may never have been started, or be gone already.
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/database");
        drop(Command::new(script).arg("kill").arg(self.folder()).output());
    }
}

/// What is true of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Up,
    Changing,
    Down,
}

/// What the askers and the one who stops the server know of each other.
struct Story {
    /// How many phases there were, and the present one.
    phases: Mutex<(usize, Phase)>,
    ended: AtomicBool,
    /// Of each asker: how many answers there were in this phase, and how many in a row until now that were no 503.
    progress: [(AtomicUsize, AtomicUsize); ASKERS],
    moved: Condvar,
    counts: Mutex<BTreeMap<(Phase, &'static str, u16), usize>>,
}

/// Those who ask, each on a thread of its own.
const ASKERS: usize = 4;

/// How many answers in a row show that the service has recovered, or that it works.
const ENOUGH: usize = 20;

/// How many answers of each asker show that the service is down: each waits for a connection first.
const ENOUGH_DOWN: usize = 3;

impl Story {
    fn new() -> Story {
        Story {
            phases: Mutex::new((0, Phase::Up)),
            ended: AtomicBool::new(false),
            progress: Default::default(),
            moved: Condvar::new(),
            counts: Mutex::default(),
        }
    }

    fn begin(&self, phase: Phase) {
        let mut phases = self.phases.lock().unwrap();
        *phases = (phases.0 + 1, phase);
        for (answers, in_a_row) in &self.progress {
            answers.store(0, Ordering::Relaxed);
            in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// Waits until every asker has come so far.
    fn wait(&self, what: &str, far: impl Fn(usize, usize) -> bool) {
        let come = |(answers, in_a_row): &(AtomicUsize, AtomicUsize)| {
            far(answers.load(Ordering::Relaxed), in_a_row.load(Ordering::Relaxed))
        };
        let phases = self.phases.lock().unwrap();
        let (phases, waited) = self
            .moved
            .wait_timeout_while(phases, PATIENCE, |_| !self.progress.iter().all(come) && !self.is_over())
            .unwrap();
        drop(phases);
        assert!(
            !waited.timed_out(),
            "{what}: {:?} after {PATIENCE:?}, {:?}",
            self.progress,
            self.counts.lock().unwrap()
        );
        assert!(!self.is_over(), "{what}: an answer was not as it should be");
    }

    fn is_over(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.moved.notify_all();
    }

    /// Sends a request, and holds its answer against what is true of the database, if that was so all the while.
    fn ask(&self, asker: usize, what: &'static str, good: u16, send: impl FnOnce() -> Answer) -> Answer {
        let before = *self.phases.lock().unwrap();
        let answer = send();
        let phases = self.phases.lock().unwrap();
        let phase = if *phases == before { before.1 } else { Phase::Changing };
        *self.counts.lock().unwrap().entry((phase, what, answer.status)).or_default() += 1;
        let (answers, in_a_row) = &self.progress[asker];
        if *phases == before {
            answers.fetch_add(1, Ordering::Relaxed);
            if answer.status == 503 {
                in_a_row.store(0, Ordering::Relaxed);
            } else {
                in_a_row.fetch_add(1, Ordering::Relaxed);
            }
        }
        drop(phases);
        self.moved.notify_all();
        let expected: &[u16] = match phase {
            Phase::Up => &[good],
            Phase::Changing => &[good, 503],
            Phase::Down => &[503],
        };
        assert!(expected.contains(&answer.status), "{what} while {phase:?}: {answer:?}");
        assert_eq!(answer.retry_after.is_some(), answer.status == 503, "{what}: {answer:?}");
        answer
    }

    /// Does one thing until the end, which is also when it fails.
    fn repeat(&self, mut turn: impl FnMut()) {
        let _ending = Ending(self);
        while !self.is_over() {
            turn();
        }
    }

    /// What happens to the server meanwhile.
    fn play(&self, server: &Server, client: &Client) {
        let _ending = Ending(self);
        self.wait("at first", |_, in_a_row| in_a_row >= ENOUGH);
        for end in ["stop", "kill"] {
            self.begin(Phase::Changing);
            server.script(&[end]);
            // What was read before goes on being served for as long as the bound allows, and then not once more.
            self.wait("nothing is known any more", |answers, in_a_row| answers > 0 && in_a_row == 0);
            self.begin(Phase::Down);
            self.wait(end, |answers, _| answers >= ENOUGH_DOWN);
            assert_eq!(client.send("GET", "/healthz", &[], "").status, 200);
            self.begin(Phase::Changing);
            server.start();
            self.wait("started again", |_, in_a_row| in_a_row >= ENOUGH);
            self.begin(Phase::Up);
            self.wait("recovered", |answers, _| answers >= ENOUGH);
        }
    }
}

/// Whoever leaves, all leave: a thread that failed must not be waited for by the others.
struct Ending<'a>(&'a Story);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A token that was asked for under a key, and whose revocation was asked for under another.
struct Made {
    name: String,
    created: Answer,
    revoked: Option<Answer>,
}

impl Made {
    fn body(&self) -> String {
        format!(r#"{{"name":"{}","grants":[{{"scope":"projects:read","resources":"all"}}]}}"#, self.name)
    }
}

fn token_of(answer: &Answer) -> String {
    answer.json()["token"]["id"].as_str().unwrap().to_owned()
}

fn goes_away_and_comes_back(kind: &'static str) {
    let server = Server::new(kind);
    let url = server.start();
    runtime().block_on(run(&url, "CREATE DATABASE tokens"));
    let place = Place::at(with_database(&url, "tokens"));
    let program = place.start();
    let good = program.exported("DEMO");
    let ann = program.signed_in("ann");
    let revoked = ann.post("/tokens", r#"{"name":"revoked","grants":[{"scope":"projects:read","resources":"all"}]}"#);
    let (id, revoked) = (token_of(&revoked), revoked.json()["text"].as_str().unwrap().to_owned());
    assert_eq!(program.get("/projects", &revoked).status, 200);
    assert_eq!(ann.post(&format!("/tokens/{id}/revoke"), "").status, 200);

    let (story, client, ann) = (&Story::new(), &*program, &ann);
    let made = std::thread::scope(|scope| {
        scope.spawn(|| story.repeat(|| drop(story.ask(0, "good token", 200, || client.get("/projects", &good)))));
        scope.spawn(|| story.repeat(|| drop(story.ask(1, "revoked token", 401, || client.get("/projects", &revoked)))));
        scope.spawn(|| story.repeat(|| drop(story.ask(2, "list", 200, || ann.get("/tokens")))));
        let manager = scope.spawn(|| {
            let mut made = Vec::new();
            story.repeat(|| made.push(make_and_revoke(story, ann, made.len())));
            made
        });
        story.play(&server, client);
        manager.join().unwrap()
    });

    for made in &made {
        hold_to_what_was_answered(ann, made);
    }
    let unanswered = made.iter().filter(|made| made.created.status == 503).count();
    assert!(unanswered >= 2 * ENOUGH_DOWN, "of {} changes, {unanswered} fell into an outage", made.len());
    println!("{kind}: {} tokens asked for, of which {unanswered} were answered with 503", made.len());
    for ((phase, what, status), count) in &*story.counts.lock().unwrap() {
        println!("{kind} {phase:?}: {what} {status}: {count}");
    }
    program.interrupt();
}

fn make_and_revoke(story: &Story, ann: &Browser<'_>, number: usize) -> Made {
    let name = format!("made-{number:06}");
    let body = format!(r#"{{"name":"{name}","grants":[{{"scope":"projects:read","resources":"all"}}]}}"#);
    let created = story.ask(3, "create", 201, || ann.post_once(&format!("create-{name}"), "/tokens", &body));
    let revoked = (created.status == 201).then(|| {
        let path = format!("/tokens/{}/revoke", token_of(&created));
        story.ask(3, "revoke", 200, || ann.post_once(&format!("revoke-{name}"), &path, ""))
    });
    Made { name, created, revoked }
}

/// What was answered with success is there. What was answered with 503 is not there if that was said, and one change once it is
/// sent again under its key, however often.
fn hold_to_what_was_answered(ann: &Browser<'_>, made: &Made) {
    let found = || {
        let listed = ann.get(&format!("/tokens?state=any&q={}", made.name));
        assert_eq!(listed.status, 200, "{listed:?}");
        listed.json()["tokens"].as_array().unwrap().clone()
    };
    let nothing_done = |answer: &Answer| answer.status == 503 && answer.json()["code"] == "temporarily_unavailable";
    if nothing_done(&made.created) {
        assert!(found().is_empty(), "{:?}", made.created);
    }
    let again = ann.post_once(&format!("create-{}", made.name), "/tokens", &made.body());
    let third = ann.post_once(&format!("create-{}", made.name), "/tokens", &made.body());
    let id = token_of(&third);
    assert_eq!((third.status, third.json()["text"].is_null()), (200, true), "{third:?}");
    assert_eq!(token_of(&again), id);
    if made.created.status == 201 {
        assert_eq!((again.status, token_of(&made.created)), (200, id.clone()));
    }
    assert_eq!(found().len(), 1, "{}", made.name);

    let state = || found()[0]["state"].as_str().unwrap().to_owned();
    match &made.revoked {
        Some(answer) if answer.status == 200 => assert_eq!(state(), "revoked"),
        Some(answer) if nothing_done(answer) => assert_eq!(state(), "live"),
        Some(_) => {}
        None => assert_eq!(state(), "live"),
    }
    for _ in 0..2 {
        assert_eq!(ann.post_once(&format!("revoke-{}", made.name), &format!("/tokens/{id}/revoke"), "").status, 200);
        assert_eq!(state(), "revoked");
    }
}
