//! What clients of a service with API tokens are answered, byte for byte, whatever its framework.
//!
//! `cases.json` holds the requests and the answers. Each quickstart plays them, over real sockets, in its own tests; and plays them again
//! through wrappers that break it in one way each, of which every one must be found out. `pages.txt` is what people meet who manage tokens on
//! the pages, by forms.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod answer;
mod broken;
mod case;
mod gateway;
mod pages;
mod people;
mod program;
mod wire;

use std::fmt::Write as _;
use std::path::Path;

pub use gateway::play_gateway;
pub use pages::{play_broken_pages, play_pages};

use answer::Came;
use case::Cases;
use people::People;
use program::Program;

/// Plays every case against a quickstart, and says how many there were.
///
/// # Panics
/// If an answer differs from what the case says, with all that do.
pub fn play(quickstart: &Path) -> usize {
    let cases = Cases::read();
    let program = Program::start(quickstart);
    let differing = differences(&cases, &program, program.address(), usize::MAX);
    assert!(
        differing.is_empty(),
        "{} of {} cases differ:\n{differing}",
        differing.matches("\n\n").count(),
        cases.len()
    );
    cases.len()
}

/// Plays the cases through every wrapper that breaks the quickstart, each on a fresh start, and through one that breaks nothing.
///
/// # Panics
/// If a broken one passes, or the control does not.
pub fn play_broken(quickstart: &Path) -> usize {
    let cases = Cases::read();
    let wrappers = broken::wrappers();
    std::thread::scope(|scope| {
        // Each waits for a second of its own, in which a token expires.
        for few in wrappers.chunks(wrappers.len().div_ceil(8)) {
            let cases = &cases;
            scope.spawn(move || few.iter().for_each(|(name, wrapper)| play_one(cases, quickstart, name, *wrapper)));
        }
    });
    wrappers.len() - 1
}

fn play_one(cases: &Cases, quickstart: &Path, name: &str, wrapper: broken::Wrapper) {
    let program = Program::start(quickstart);
    let address = broken::wrap(program.address(), wrapper);
    let differing = differences(cases, &program, address, 1);
    if name == broken::CONTROL {
        assert!(differing.is_empty(), "the wrapper that breaks nothing: {differing}");
    } else {
        assert!(!differing.is_empty(), "no case notices one that {name}");
    }
}

/// The first cases that are answered otherwise, at most so many, with what came.
fn differences(cases: &Cases, program: &Program, address: std::net::SocketAddr, most: usize) -> String {
    let mut known = People::meet(program);
    let mut differing = String::new();
    let mut count = 0;
    for case in cases.iter() {
        if let Some(state) = case.store {
            program.put_store(state);
        }
        let came = wire::exchange(address, &case.request(&known));
        let mut compared = case.compare(&came, &mut known);
        if let Some(get) = case.get_of_head(&known) {
            let get = wire::exchange(address, &get);
            compared = compared.and_then(|()| Came::read(&came)?.check_head_of(&Came::read(&get)?));
        }
        if let Err(why) = compared {
            // What is written to a string is written.
            writeln!(differing, "{}: {why}\n  {}\n", case.name, came.escape_ascii()).unwrap();
            count += 1;
            if count >= most {
                break;
            }
        }
    }
    differing
}

/// The code of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
