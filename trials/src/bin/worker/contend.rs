//! Many changes at a time, beside another process that does the same to the same tokens.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use token_core::TokenId;
use token_trials::{Ask, ELDERS, House, Kind, Line, OWNERS, Request, Step, Trouble, elder, owner, say};

pub(crate) fn run(url: String, plan: Vec<Step>, tasks: usize) -> Result<(), Trouble> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async move {
        let house = House::open(&url).await?;
        let elders = elders(&house).await?;
        let worker = Arc::new(Worker { house, elders, plan, next: AtomicUsize::new(0), asked: Mutex::default() });
        let tasks: Vec<_> = (0..tasks).map(|_| tokio::spawn(Arc::clone(&worker).work())).collect();
        for task in tasks {
            task.await??;
        }
        Ok(())
    })
}

struct Worker {
    house: House,
    elders: Vec<Vec<TokenId>>,
    plan: Vec<Step>,
    next: AtomicUsize,
    /// What was asked for under each key: a repeat is the same word by word.
    asked: Mutex<HashMap<String, Request>>,
}

async fn elders(house: &House) -> Result<Vec<Vec<TokenId>>, Trouble> {
    let mut elders = Vec::new();
    for number in 0..OWNERS {
        let living = house.living(&owner(number)).await?;
        let keys: Vec<String> = (0..ELDERS).map(|which| elder(number, which)).collect();
        let made: Vec<TokenId> = living
            .iter()
            .filter(|token| keys.iter().any(|key| token.created_by.as_str() == key))
            .map(|token| token.id)
            .collect();
        elders.push(made);
    }
    Ok(elders)
}

impl Worker {
    async fn work(self: Arc<Self>) -> Result<(), Trouble> {
        while let Some(step) = self.plan.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let request = self.request(step).await?;
            let sent = request.send(&self.house.tokens).await;
            let answer = request.answer(&sent);
            say(&Line::Answer(request, answer))?;
        }
        Ok(())
    }

    async fn request(&self, step: &Step) -> Result<Request, Trouble> {
        let ask = self.ask(step).await?;
        let request = Request { key: step.key.clone(), ask };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(asked.entry(step.key.clone()).or_insert(request).clone())
    }

    async fn ask(&self, step: &Step) -> Result<Ask, Trouble> {
        let owner = owner(step.owner);
        let elders = &self.elders[step.owner];
        let mut among = match (step.kind, step.elder) {
            (Kind::Edit | Kind::Rotate | Kind::EndOverlap, true) => elders.clone(),
            (Kind::Edit | Kind::Rotate | Kind::EndOverlap | Kind::Revoke, _) => {
                self.house.living(&owner).await?.iter().map(|token| token.id).collect()
            }
            _ => Vec::new(),
        };
        among.sort_unstable();
        if step.kind == Kind::Revoke {
            among.retain(|token| !elders.contains(token));
        }
        let token = among.get(step.pick % among.len().max(1)).copied();
        Ok(match (step.kind, token) {
            (Kind::Edit, Some(token)) => Ask::Edit { token, shape: step.shape },
            (Kind::Rotate, Some(token)) => Ask::Rotate { token, swap: step.swap },
            (Kind::EndOverlap, Some(token)) => Ask::EndOverlap { token },
            (Kind::Revoke, Some(token)) => Ask::Revoke { token },
            (Kind::Suspend, _) => Ask::Suspend { owner },
            (Kind::Resume, _) => Ask::Resume { owner },
            (Kind::SetPolicy, _) => Ask::SetPolicy { overlap_hours: step.overlap_hours },
            // With nothing to work on, something is made.
            _ => Ask::Create { owner },
        })
    }
}
