//! How often so many cached verifications allocate: `counted RUNS [TOKENS]`. A program of its own, since what counts is the allocator of the
//! whole program.

use token_bench::Trouble;
use token_bench::subject::{Subject, pass};
use token_bench::table::say;

fn main() -> Result<(), Trouble> {
    let mut numbers = std::env::args().skip(1);
    let runs: u64 = numbers.next().ok_or("counted RUNS [TOKENS]")?.parse()?;
    let tokens = numbers.next().map_or(Ok(1000), |tokens| tokens.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let subject = runtime.block_on(Subject::in_memory(tokens))?;
    let count = subject.headers.len();
    let mut passed = 0;
    // The first round finds room in the tally, which the later ones have.
    subject.headers.iter().for_each(|header| passed += u64::from(pass(&subject.tokens, header)));
    let seen = allocation_counter::measure(|| {
        for header in subject.headers.iter().cycle().take(usize::try_from(runs).unwrap_or(usize::MAX)) {
            passed += u64::from(pass(&subject.tokens, header));
        }
    });
    if passed != runs + count as u64 {
        return Err("a good token was refused".into());
    }
    say(&seen.count_total.to_string());
    Ok(())
}
