//! `memory.token`: what a cached token takes, by what the process grows while its cache is filled.

use std::process::Command;

use std::sync::Arc;

use super::{Setting, runtime};
use crate::Trouble;
use crate::clock::resident;
use crate::shelf::Shelf;
use crate::subject::{Keeping, Subject, verify_cached};
use crate::table::{Row, say};

const TOKENS: usize = 1_000_000;

pub(super) fn measure(_setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    // A process of its own, in which nothing else has left holes to be filled.
    let child = Command::new(std::env::current_exe()?).args(["child", "memory", &TOKENS.to_string()]).output()?;
    if !child.status.success() {
        return Err(String::from_utf8_lossy(&child.stderr).into());
    }
    let bytes: f64 = String::from_utf8(child.stdout)?.trim().parse()?;
    Ok(vec![
        Row::plain("memory.token", "B", bytes)
            .note("8 scopes; 10 tokens an owner, as much as its share of the owner's id"),
    ])
}

/// Prints how many bytes each of so many tokens takes in the cache.
///
/// # Errors
/// If one was not kept.
pub fn child(count: usize) -> Result<(), Trouble> {
    let runtime = runtime()?;
    let (subject, background) =
        runtime.block_on(Subject::on(Arc::new(Shelf::default()), Keeping::all(count), count))?;
    runtime.block_on(background.turn())?;
    let before = resident()?;
    runtime.block_on(subject.warm())?;
    let grown = resident()?.saturating_sub(before);
    let kept = subject.headers.iter().filter(|header| matches!(verify_cached(&subject.tokens, header), Some(Ok(_))));
    let kept = kept.count();
    if kept < count {
        return Err(format!("only {kept} of {count} were kept").into());
    }
    say(&(grown as f64 / count as f64).to_string());
    Ok(())
}
