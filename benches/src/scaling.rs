//! `scale`: what it costs with more tokens, threads and connections.

use std::hint::black_box;
use std::time::Duration;

use crate::Trouble;
use crate::database::{Databases, Kind, filled};
use crate::http::{Connections, Server};
use crate::mac::{Floor, MESSAGE};
use crate::pairs::{Plan, nanoseconds, pairs};
use crate::ratios::hot::KEY;
use crate::ratios::many::Bare;
use crate::ratios::runtime;
use crate::ratios::size::{Lookups, SESSIONS};
use crate::ratios::threads::done_by;
use crate::ratios::web::servers;
use crate::subject::{Subject, pass};
use crate::table::{figure_of, say};
use crate::walk::Walk;

/// Prints the tables.
///
/// # Errors
/// If something could not be measured.
pub fn run(databases: &Databases) -> Result<(), Trouble> {
    line("cached tokens", ["ours", "bare cache + MAC", "ratio"]);
    for count in [1_000, 10_000, 100_000, 1_000_000] {
        cached(count)?;
    }
    line("stored tokens", ["sqlite", "postgres", ""]);
    for count in [1_000, 10_000, 100_000, 1_000_000, 10_000_000] {
        stored(databases, count)?;
    }
    let subject = runtime()?.block_on(Subject::in_memory(1000))?;
    line("threads, 1000 tokens", ["ours", "bare MAC", "ratio"]);
    for count in [1, 2, 4] {
        threads(&subject, count)?;
    }
    line("connections", ["protected", "bare", "ratio"]);
    for count in [1, 8, 64, 256] {
        connections(count)?;
    }
    Ok(())
}

fn line(first: &str, others: [&str; 3]) {
    let [a, b, c] = others;
    say(&format!("{first:<24} {a:>18} {b:>18} {c:>8}"));
}

fn cached(count: usize) -> Result<(), Trouble> {
    let subject = runtime()?.block_on(Subject::in_memory(count))?;
    let (bare, floor) = (Bare::of(&subject.headers)?, Floor::new(&KEY));
    let (headers, tokens) = (&subject.headers, &subject.tokens);
    let (mut ours, mut theirs) = (Walk::new(1), Walk::new(1));
    let passes = |runs| (0..runs).for_each(|_| assert!(pass(tokens, &headers[ours.below(count)]), "refused"));
    let gets = |runs| (0..runs).for_each(|_| assert!(bare.knows(&headers[theirs.below(count)], &floor), "refused"));
    let seen = nanoseconds(Plan::LONG, passes, gets)?;
    let unit = |figure| format!("{} ns", figure_of(figure));
    line(&count.to_string(), [&unit(seen.ours), &unit(seen.reference), &figure_of(seen.ratio)]);
    Ok(())
}

/// Larger databases take minutes and gigabytes: they are looked into where an earlier run of `scale.store` has made them.
const MADE: u64 = 1_000_000;

fn stored(databases: &Databases, count: u64) -> Result<(), Trouble> {
    let lookup = |kind| -> Result<String, Trouble> {
        if count > MADE && !databases.has(kind, &format!("scale_{count}"))? {
            return Ok("-".to_owned());
        }
        let runtime = runtime()?;
        let mut lookups = Lookups::of(&runtime, filled(databases, kind, count)?, SESSIONS)?;
        lookups.warm()?;
        Ok(format!("{} µs", figure_of(lookups.slice(20_000)?)))
    };
    line(&count.to_string(), [&lookup(Kind::Sqlite)?, &lookup(Kind::Postgres)?, ""]);
    Ok(())
}

fn threads(subject: &Subject, count: usize) -> Result<(), Trouble> {
    let (headers, tokens) = (&subject.headers, &subject.tokens);
    let passes = |walk: &mut Walk| assert!(pass(tokens, &headers[walk.below(headers.len())]), "refused");
    let (floor, message) = (Floor::new(&KEY), [7; MESSAGE]);
    let macs = |_: &mut Walk| {
        black_box(floor.mac(black_box(&message)));
    };
    let slice = Duration::from_millis(50);
    let seen = pairs(21, || done_by(count, slice, &passes), || done_by(count, slice, &macs))?;
    let unit = |figure: f64| format!("{} M/s", figure_of(figure / 1e6));
    line(&count.to_string(), [&unit(seen.ours), &unit(seen.reference), &figure_of(seen.ratio)]);
    Ok(())
}

fn connections(count: usize) -> Result<(), Trouble> {
    let (bare, ours, requests) = servers(1)?;
    let runtime = runtime()?;
    let open = |server: &Server| runtime.block_on(Connections::open(server.address, count, requests.clone()));
    let (mut to_ours, mut to_bare) = (open(&ours)?, open(&bare)?);
    let slice = Duration::from_millis(250);
    let ours = || runtime.block_on(to_ours.saturate(slice));
    let bare = || runtime.block_on(to_bare.saturate(slice));
    let seen = pairs(15, ours, bare)?;
    let unit = |figure| format!("{} /s", figure_of(figure));
    line(&count.to_string(), [&unit(seen.ours), &unit(seen.reference), &figure_of(seen.ratio)]);
    Ok(())
}
