//! `token-bench`: what verification costs. See the README of this package.

use std::path::PathBuf;
use std::process::ExitCode;

use token_bench::database::Databases;
use token_bench::ratios::{self, Setting};
use token_bench::table::say;
use token_bench::{Trouble, revoke, scaling, subject, timing};

const USAGE: &str = "\
usage: token-bench ratios [--tokens N] [NAME…]   every row whose name begins so, or all: ours / reference / ratio / target
       token-bench scale                         cost by number of tokens, threads and connections
       token-bench timing [SAMPLES]              whether the time of a comparison tells where digests differ
       token-bench revoke [REVOKES]              how soon four processes refuse what one of them revoked, and how late at most";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = if arguments.is_empty() { String::new() } else { arguments.remove(0) };
    // Nothing beside what is counted.
    if command == "child" {
        return exit(child(&arguments));
    }
    // What is measured keeps a thread busy; this one waits for an interrupt meanwhile, to take away what was begun.
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/token-bench");
    let databases = Databases::new(root);
    let begun = databases.clone();
    let work = std::thread::spawn(move || run(&command, arguments, databases));
    let interrupted = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(tokio::signal::ctrl_c())
    });
    while !work.is_finished() && !interrupted.is_finished() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let done = if work.is_finished() {
        work.join().unwrap_or_else(|_| Err("something panicked".into()))
    } else {
        Err("interrupted".into())
    };
    begun.take_away();
    exit(done)
}

fn exit(done: Result<(), Trouble>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("token-bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, mut arguments: Vec<String>, databases: Databases) -> Result<(), Trouble> {
    match command {
        "ratios" => {
            let stored = option(&mut arguments, "--tokens")?.unwrap_or(10_000_000);
            ratios::run(&mut Setting { names: arguments, stored, databases })
        }
        "scale" => scaling::run(&databases),
        "timing" => timing::run(arguments.first().map_or(Ok(2_000_000), |samples| samples.parse())?),
        "revoke" => revoke::run(&databases, arguments.first().map_or(Ok(1_000), |revokes| revokes.parse())?),
        _ => Err(USAGE.into()),
    }
}

/// What a row measures in a process of its own.
fn child(arguments: &[String]) -> Result<(), Trouble> {
    let [what, count] = arguments else { return Err(USAGE.into()) };
    match what.as_str() {
        "memory" => ratios::memory::child(count.parse()?),
        "verify" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let subject = runtime.block_on(subject::Subject::in_memory(1))?;
            let refused = (0..count.parse::<u64>()?).find(|_| !subject::pass(&subject.tokens, &subject.headers[0]));
            if refused.is_some() { Err("a good token was refused".into()) } else { Ok(()) }
        }
        _ => Err(USAGE.into()),
    }
}

/// Takes an option and its value out of the arguments.
fn option(arguments: &mut Vec<String>, name: &str) -> Result<Option<u64>, Trouble> {
    let Some(at) = arguments.iter().position(|argument| argument == name) else { return Ok(None) };
    let value = arguments.get(at + 1).ok_or(USAGE)?.parse()?;
    arguments.drain(at..=at + 1);
    Ok(Some(value))
}
