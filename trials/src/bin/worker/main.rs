//! One process of a trial: `worker contend URL SEED WORKER CHANGES TASKS`, `worker count URL`, or `worker stepwise URL ROUND KIND…`.

mod contend;
mod count;
mod stepwise;

use std::str::FromStr;

use token_trials::Trouble;

fn main() -> Result<(), Trouble> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("contend") => {
            let url = next::<String>(&mut arguments)?;
            let plan = token_trials::plan(next(&mut arguments)?, next(&mut arguments)?, next(&mut arguments)?);
            contend::run(url, plan, next(&mut arguments)?)
        }
        Some("count") => count::run(&next::<String>(&mut arguments)?),
        Some("stepwise") => {
            let (url, round) = (next::<String>(&mut arguments)?, next(&mut arguments)?);
            let kinds = arguments.map(|kind| serde_json::from_str(&format!("\"{kind}\""))).collect::<Result<_, _>>()?;
            stepwise::run(&url, round, kinds)
        }
        _ => Err("worker contend|count|stepwise …".into()),
    }
}

fn next<T: FromStr<Err: Into<Trouble>>>(arguments: &mut impl Iterator<Item = String>) -> Result<T, Trouble> {
    arguments.next().ok_or("an argument is missing")?.parse().map_err(Into::into)
}
