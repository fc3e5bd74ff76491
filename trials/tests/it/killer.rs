//! Kills a worker at a place that is chosen.

use std::collections::BTreeMap;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use token_trials::{Answer, Kind, Line, Request};
use tokio::time::Instant;

use crate::worker::Worker;

/// How far a change has come, as its process knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// No transaction is open.
    Reading,
    /// `BEGIN` was answered.
    Inside,
    /// `COMMIT` is sent.
    Committing,
    /// `COMMIT` was answered.
    Committed,
    /// The caller was answered.
    Answered,
}

/// What a worker said until it was killed.
#[derive(Clone)]
pub(crate) struct Killed {
    /// The changes that were answered.
    pub(crate) answered: Vec<Request>,
    /// The one that was under way, or the last.
    pub(crate) request: Request,
    pub(crate) place: Place,
    /// How long it had been let go on before.
    pub(crate) pause: Duration,
}

pub(crate) struct Killer {
    rng: ChaCha20Rng,
    /// The shortest time in which an action was seen to go through a place.
    spans: BTreeMap<(Kind, Place), Duration>,
    /// How many kills were inside a transaction.
    inside: usize,
}

impl Killer {
    pub(crate) fn new() -> Killer {
        Killer { rng: ChaCha20Rng::from_seed([11; 32]), spans: BTreeMap::new(), inside: 0 }
    }

    /// Lets a worker make these changes, and kills it in the last one: where it has come to a place and waits, or some time after it
    /// was let go on from there.
    pub(crate) fn kill(&mut self, url: &str, round: usize, kinds: &[Kind], aim: Place) -> Killed {
        let mut arguments = vec!["stepwise".to_owned(), url.to_owned(), round.to_string()];
        arguments.extend(kinds.iter().map(|kind| format!("{kind:?}")));
        let mut worker = Worker::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());

        let mut progress = Progress::default();
        let mut moved = Instant::now();
        let pause = loop {
            let (change, left) = (progress.started, progress.place);
            progress.hear(worker.line().expect("a worker that lives"));
            let kind = kinds[progress.started - 1];
            if progress.started == change {
                let span = self.spans.entry((kind, left)).or_insert(Duration::MAX);
                *span = moved.elapsed().min(*span);
            }
            if progress.started == kinds.len() && progress.place >= aim {
                let pause = self.pause(round, kind, aim);
                if !pause.is_zero() {
                    worker.go_on();
                    spin(pause);
                }
                break pause;
            }
            moved = Instant::now();
            worker.go_on();
        };
        worker.kill();
        while let Some(line) = worker.line() {
            progress.hear(line);
        }
        worker.killed();
        self.inside += usize::from(progress.place == Place::Inside);
        progress.killed(pause)
    }

    /// At times none, and surely so while too many transactions were through before they were hit.
    fn pause(&mut self, round: usize, kind: Kind, aim: Place) -> Duration {
        let span = self.spans.get(&(kind, aim)).copied().unwrap_or(Duration::from_micros(200));
        if self.below(4) == 0 || self.inside * 4 < round {
            return Duration::ZERO;
        }
        span.min(Duration::from_millis(20)) * self.below(1000) / 1000
    }

    fn below(&mut self, end: u32) -> u32 {
        self.rng.next_u32() % end
    }
}

/// Waits more exactly than a timer does.
fn spin(pause: Duration) {
    let end = Instant::now() + pause;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Follows what a worker says.
struct Progress {
    started: usize,
    answered: Vec<Request>,
    request: Option<Request>,
    place: Place,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress { started: 0, answered: Vec::new(), request: None, place: Place::Reading }
    }
}

impl Progress {
    fn hear(&mut self, line: Line) {
        self.place = match line {
            Line::Start(request) => {
                self.started += 1;
                self.request = Some(request);
                Place::Reading
            }
            Line::Phase(phase) => match phase.as_str() {
                "begun" => Place::Inside,
                "committing" => Place::Committing,
                "committed" => Place::Committed,
                "rolling back" => Place::Reading,
                other => panic!("no phase of a transaction: {other}"),
            },
            Line::Answer(request, answer) => {
                assert_eq!(answer, Answer::Done, "{request:?}");
                self.answered.push(request);
                Place::Answered
            }
            Line::Counted { .. } => panic!("a worker that makes changes counts nothing"),
        };
    }

    fn killed(self, pause: Duration) -> Killed {
        let Progress { answered, request, place, .. } = self;
        Killed { answered, request: request.expect("a change that was begun"), place, pause }
    }
}
