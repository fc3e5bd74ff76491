//! A service that is used all the time and says how often it was, until it is killed.

use std::time::Duration;

use token_core::{Call, Caller, Credential, Grant, Grants, NewToken, TokenName};
use token_trials::{House, Line, Trouble, admin, owner, say};

pub(crate) fn run(url: &str) -> Result<(), Trouble> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let (house, background) = House::open_with_background(url).await?;
        let running = tokio::spawn(background);
        let grants = Grants::new([Grant::all("projects:read")?])?;
        let request = NewToken { owner: Some(owner(0)), ..NewToken::new(TokenName::new("counted")?, grants) };
        let minted = house.tokens.manage(&admin("maker")).create(&request).await?;
        let text = minted.text.ok_or("the text was shown before")?;
        let caller = Caller::at("198.51.100.4".parse()?);
        for uses in 1.. {
            let credential = Credential::Borrowed(text.expose_secret().as_bytes());
            let verified =
                house.tokens.authenticate(Ok(credential), caller).await.map_err(|error| error.to_string())?;
            house.tokens.tally_use(&verified, &Call { method: "GET", route: Some("/"), client: None });
            say(&Line::Counted { uses })?;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        running.abort();
        Err("nobody has killed it".into())
    })
}
