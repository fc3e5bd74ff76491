//! No piece of a secret in logs, Debug or errors: searched for in all of it, by a search that finds a planted one.

use std::fmt::{Debug, Display};
use std::io::Write;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use static_assertions::assert_not_impl_any;
use token_core::testing::LeakSearch;
use token_core::{
    Caller, Credential, CredentialError, Digest, Keyring, MemoryStore, Minted, NewToken, Overlap, Position, Replace,
    Rotation, Sources, Subject, Time, TokenStore, TokenText, Tokens,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::world::{KEYS, ProjectsWrite, World, request, text};

// Holds at compile time: a type that gained one of these would not build here.
assert_not_impl_any!(TokenText: Display, Serialize, Deserialize<'static>, Clone, PartialEq, AsRef<str>, Into<String>);
assert_not_impl_any!(Credential<'static>: Display, Serialize, Clone, PartialEq);
assert_not_impl_any!(Digest: Display, Serialize, PartialEq);
assert_not_impl_any!(Keyring: Display, Serialize, Clone);
assert_not_impl_any!(Minted: Display, Serialize, Clone, PartialEq);

/// Everything that was written, wherever it would have gone.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn debug(&mut self, what: &dyn Debug) {
        writeln!(self, "{what:?} {what:#?}").unwrap();
    }

    fn error(&mut self, error: &dyn std::error::Error) {
        writeln!(self, "{error} {error:?} {error:#?}").unwrap();
        if let Some(source) = error.source() {
            self.error(source);
        }
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Written;

    fn make_writer(&self) -> Written {
        self.clone()
    }
}

#[tokio::test]
async fn no_piece_of_a_secret_is_in_logs_debug_or_errors() {
    let mut written = Written::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(written.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let store = Arc::new(MemoryStore::new());
    let world = World::on(Arc::clone(&store) as _).await;
    let manage = world.tokens.manage(&world.owner);
    let first = world.create(&["projects:read"]).await;
    let second = manage.rotate(first.token.id, &Rotation::default()).await.unwrap();
    let again = Rotation { replace: Replace::EndingSuperseded(Overlap::Now), expiry: None };
    let third = manage.rotate(first.token.id, &again).await.unwrap();
    let minted: [&Minted; 3] = [&first, &second, &third];

    for minted in minted {
        written.debug(minted);
        written.debug(&minted.text);
        let good = text(minted);
        // Every way of getting it wrong, with most of it right.
        let bad =
            [good[1..].to_owned(), good[..good.len() - 1].to_owned(), format!("{good}x"), good.replace("acme", "ACME")];
        for presented in bad.iter().map(String::as_str).chain([good]) {
            let header = format!("Bearer {presented}");
            let credential = Sources::default().read([header.as_bytes()], []);
            written.debug(&credential);
            match world.tokens.authenticate(credential, Caller::default()).await {
                Ok(verified) => {
                    written.debug(&verified);
                    let refusal = world.tokens.require::<ProjectsWrite>(&verified).unwrap_err();
                    written.error(&refusal);
                    written.debug(&refusal.answer(world.tokens.realm(), world.tokens.sources()));
                    world.tokens.tally_use(&verified, &token_core::Call::default());
                }
                Err(refusal) => {
                    written.error(&refusal);
                    written.debug(&refusal.answer(world.tokens.realm(), world.tokens.sources()));
                }
            }
            if let Err(error) = world.tokens.format().check(presented.as_bytes()) {
                written.error(&error);
            }
            // The text in places where it does not belong.
            let errors: [&dyn std::error::Error; 3] = [
                &Keyring::parse(presented).unwrap_err(),
                &presented.parse::<token_core::TokenId>().unwrap_err(),
                &presented.parse::<Time>().unwrap_err(),
            ];
            errors.into_iter().for_each(|error| written.error(error));
            let keyring = Keyring::parse(KEYS).unwrap();
            let built = Tokens::builder(MemoryStore::new()).prefix(presented).realm(presented).keyring(keyring).build();
            written.error(&built.await.map(drop).unwrap_err());
            if let Err(error) = manage.receipt(presented).await {
                written.error(&error);
            }
            let two = Sources::default().read([header.as_bytes(), header.as_bytes()], []);
            assert_eq!(two.as_ref().err(), Some(&CredentialError::Malformed));
            written.debug(&two);
        }
    }
    written.debug(&world.tokens);
    written.debug(&world.background);
    written.debug(&Tokens::builder(MemoryStore::new()).prefix("acme_test").keyring(Keyring::parse(KEYS).unwrap()));
    written.debug(&store);
    let selectors: Vec<_> = minted.iter().map(|minted| minted.token.current.selector).collect();
    written.debug(&store.load(&selectors).await.unwrap());
    written.debug(&manage.events(&Subject::Token(first.token.id), 0, 10).await.unwrap());
    written.debug(&manage.list(None, token_core::ListFilter::Any, None, Position::Created(None), 10).await.unwrap());
    world.background.turn().await.unwrap();
    written.debug(&manage.usage(first.token.id, Time::EPOCH).await.unwrap());
    manage.revoke(first.token.id).await.unwrap();
    written.error(&manage.rotate(first.token.id, &Rotation::default()).await.unwrap_err());
    written.error(&manage.create(&NewToken { ..request(&["unknown:scope"]) }).await.unwrap_err());
    written.debug(&Credential::Borrowed(text(&first).as_bytes()));

    let bytes = written.0.lock().unwrap().clone();
    assert!(bytes.len() > 20_000, "too little was written to search: {}", bytes.len());
    assert!(String::from_utf8_lossy(&bytes).contains("request refused"), "the log was not captured");
    let search = LeakSearch::for_texts(minted.map(text));
    assert_eq!(search.find_in(&bytes), None);
    // The search finds what was planted where it has just found nothing.
    for minted in minted {
        let planted = [&bytes[..], &text(minted).as_bytes()[30..38]].concat();
        assert_eq!(search.find_in(&planted), Some(bytes.len()));
    }
    // Nor any of the master key.
    assert!(!String::from_utf8_lossy(&bytes).contains(&KEYS[3..19]));
}
