//! A sketch of a sink that mails: owners hear of what was done to their tokens. Bring the mailer of your own, which waits for the answer of
//! its server, so that `Ok` means that the mail is on its way.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use token_core::{
    Actor, ActorId, AuditSink, Ceiling, Event, EventDetail, Grants, Keyring, MemoryStore, NewToken, OwnerId, TokenName,
    Tokens,
};

/// Sends one mail, and waits until it was taken.
#[async_trait]
trait Mailer: Send + Sync + 'static {
    async fn send(&self, to: &str, subject: &str, text: &str) -> Result<(), Box<dyn Error + Send + Sync>>;
}

struct MailSink<M> {
    mailer: M,
}

#[async_trait]
impl<M: Mailer> AuditSink for MailSink<M> {
    async fn deliver(&self, event: &Event) -> Result<(), Box<dyn Error + Send + Sync>> {
        let Some(owner) = &event.owner else { return Ok(()) };
        let what = match event.detail()? {
            EventDetail::Created { name, .. } => format!("The token \"{name}\" was created."),
            EventDetail::Rotated { .. } => "A token got a new value.".to_owned(),
            EventDetail::Revoked => "A token was revoked.".to_owned(),
            // The rest is for the log.
            _ => return Ok(()),
        };
        // At least once: the number lets a mailer, or a reader, tell a repeated mail.
        let text = format!("{what}\n\nBy {} at {}.\n{} #{}\n", event.actor, event.at, event.subject, event.seq);
        // Whom an owner is, and where mail reaches them, the host knows.
        self.mailer.send(&format!("{owner}@example.org"), "Your API tokens", &text).await
    }
}

/// Prints instead.
#[derive(Clone, Default)]
struct Outbox(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Mailer for Outbox {
    async fn send(&self, to: &str, subject: &str, text: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.0.lock().map_err(|error| error.to_string())?.push(format!("To: {to}\nSubject: {subject}\n\n{text}"));
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let outbox = Outbox::default();
    let (tokens, background) = Tokens::builder(MemoryStore::new())
        .prefix("acme_test")
        .keyring(Keyring::parse(&Keyring::generate("k1")?)?)
        .audit_sink(MailSink { mailer: outbox.clone() })
        .build()
        .await?;
    let ann = Actor::owner(ActorId::new("ann")?, OwnerId::new("ann")?, Ceiling::Everything);
    let minted = tokens.manage(&ann).create(&NewToken::new(TokenName::new("deploy")?, Grants::default())).await?;
    tokens.manage(&ann).revoke(minted.token.id).await?;
    background.turn().await?;
    let sent = outbox.0.lock().map_err(|error| error.to_string())?;
    assert_eq!(sent.len(), 2, "one for each change");
    for mail in sent.iter() {
        println!("{mail}");
    }
    Ok(())
}
