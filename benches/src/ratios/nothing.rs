//! `verify.hot.allocs`: what a cached verification takes from the allocator and from the kernel, which is to be nothing.

use std::process::Command;

use super::Setting;
use crate::Trouble;
use crate::table::Row;

/// Verifications of the shorter run; the longer one has ten times as many.
const RUNS: u64 = 200_000;

/// Calls by which two runs of the same program differ anyway.
const NOISE: u64 = 8;

pub(super) fn measure(_setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    let allocations = allocations()?;
    let (fewer, more) = (system_calls(RUNS)?, system_calls(RUNS * 10)?);
    let beyond = more.saturating_sub(fewer);
    let calls = if beyond <= NOISE { 0 } else { beyond };
    let row = Row::plain("verify.hot.allocs", "", (allocations + calls) as f64);
    let row = row.note(format!("allocations in {RUNS} verifications: {allocations}"));
    let calls = format!("system calls of a process that verifies {RUNS} times: {fewer}; ten times that: {more}");
    Ok(vec![row.note(calls)])
}

/// By a program of its own: an allocator that counts is no allocator to measure anything else with.
fn allocations() -> Result<u64, Trouble> {
    let counted = Command::new(env!("CARGO"))
        .args(["run", "--release", "--quiet", "-p", "token-bench", "--bin", "counted", "--", &RUNS.to_string()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    if !counted.status.success() {
        return Err(format!("counted: {}", String::from_utf8_lossy(&counted.stderr)).into());
    }
    Ok(String::from_utf8(counted.stdout)?.trim().parse()?)
}

/// System calls of a process that makes so many verifications.
fn system_calls(runs: u64) -> Result<u64, Trouble> {
    let this = std::env::current_exe()?;
    let summary = std::env::temp_dir().join(format!("token-bench-strace-{}", std::process::id()));
    let mut traced = Command::new("strace");
    traced.args(["-f", "-c", "-o"]).arg(&summary).arg(this).args(["child", "verify", &runs.to_string()]);
    let status = match traced.status() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err("system calls can't be counted: install strace".into());
        }
        status => status?,
    };
    let text = std::fs::read_to_string(&summary)?;
    std::fs::remove_file(&summary)?;
    if !status.success() {
        return Err("strace failed".into());
    }
    // `100.00    0.001234           5       321         2 total`: the fourth column is the number of calls.
    let total = text.lines().find(|line| line.ends_with(" total")).ok_or("strace says no total")?;
    Ok(total.split_whitespace().nth(3).ok_or("strace says no number of calls")?.parse()?)
}
