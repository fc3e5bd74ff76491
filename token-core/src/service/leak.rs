//! Tokens that someone found where none may be: whoever shows a secret in full has its token revoked.

use std::collections::{HashMap, HashSet};

use crate::actor::Actor;
use crate::format::Parsed;
use crate::keyring::Verdict;
use crate::refusal::Reason;
use crate::scope::{Ceiling, Grants};
use crate::seal::BrokenSeal;
use crate::secret::Selector;
use crate::store::{Fault, Loaded, StoreError};
use crate::text::{ActorId, OwnerId};
use crate::token::{SecretRef, SecretState, TokenId};

use super::{Inner, ManageError, Tokens};

/// What became of a text that was reported as leaked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leaked {
    /// It is a secret of this token, which is revoked, now or since before.
    Revoked(TokenId),
    /// It is a secret of this token that rotation had ended: it gives no access, and the token is as it was.
    Ended(TokenId),
    /// It is no secret of this service, however much it may look like one. Nothing was changed.
    Unknown,
}

impl Leaked {
    /// Whether the text is, or was, a secret of this service.
    #[must_use]
    pub fn is_real(self) -> bool {
        self != Leaked::Unknown
    }
}

impl Tokens {
    /// Revokes the tokens of these texts, which `reporter` has found where anyone can read them. The answer has one
    /// [`Leaked`] for each text, in order.
    ///
    /// Only a text that verifies in full revokes anything: whoever knows a token's id and not its secret can't have it
    /// revoked. Reports may be repeated. The log names `reporter` as who revoked; nothing is tallied as a use.
    ///
    /// # Errors
    /// [`ManageError`], if some token could not be looked up, verified for want of a key, or revoked. What was revoked by then
    /// stays revoked, and the same texts reported again finish the rest.
    pub async fn revoke_leaked(&self, texts: &[&str], reporter: &ActorId) -> Result<Vec<Leaked>, ManageError> {
        let inner = &*self.0;
        let parsed: Vec<_> = texts.iter().map(|text| inner.format.parse(text.as_bytes()).ok()).collect();
        let selectors: HashSet<Selector> = parsed.iter().flatten().map(|parsed| parsed.selector()).collect();
        let (found, mut failed) = inner.load_reported(&Vec::from_iter(selectors)).await?;
        // It may do nothing but what any admin may: revoke.
        let actor = Actor::admin(reporter.clone(), Ceiling::Only(Grants::default()));

        let mut leaked = Vec::with_capacity(texts.len());
        let mut done = HashSet::new();
        for parsed in parsed {
            let judged = match &parsed {
                Some(parsed) => inner.judge(*parsed, found.get(&parsed.selector())),
                None => Ok(Judgement::Done(Leaked::Unknown)),
            };
            let outcome = match judged {
                Ok(Judgement::Done(leaked)) => Ok(leaked),
                Ok(Judgement::Revoke(token)) if !done.insert(token) => Ok(Leaked::Revoked(token)),
                Ok(Judgement::Revoke(token)) => match self.manage(&actor).revoke(token).await {
                    // One that was purged meanwhile gives no access either.
                    Ok(_) | Err(ManageError::NotFound) => Ok(Leaked::Revoked(token)),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            match outcome {
                Ok(outcome) => leaked.push(outcome),
                Err(error) if is_outage(&error) => return Err(error),
                // One token that can't be revoked keeps no other alive.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(leaked), Err)
    }
}

impl Tokens {
    /// The token and the owner that a text belongs to, if it verifies in full, whatever may have become of the token since, so that who
    /// shows it can have it revoked. `None` of every other text, of a value that rotation has ended, and of a token whose row was tampered
    /// with. Nothing is tallied.
    ///
    /// # Errors
    /// [`ManageError`] if the store fails, or a key is missing.
    pub async fn identify(&self, text: &[u8]) -> Result<Option<(TokenId, OwnerId)>, ManageError> {
        self.0.identify(text).await
    }
}

impl Inner {
    /// The rows of what was reported, and why some can't be read, if so: one bad row hides no other.
    async fn load_reported(
        &self,
        selectors: &[Selector],
    ) -> Result<(HashMap<Selector, Loaded>, Option<ManageError>), ManageError> {
        if selectors.is_empty() {
            return Ok((HashMap::new(), None));
        }
        let (loaded, unreadable) = self.load_readable(selectors, "leak").await?;
        let failed = (!unreadable.is_empty()).then(|| StoreError::from(Fault::Corrupt).into());
        Ok((loaded, failed))
    }

    /// Whose token a text is, if it verifies in full.
    async fn identify(&self, text: &[u8]) -> Result<Option<(TokenId, OwnerId)>, ManageError> {
        let Ok(parsed) = self.format.parse(text) else { return Ok(None) };
        let loaded = self.store.load(&[parsed.selector()]).await?;
        let loaded = loaded.iter().find(|loaded| loaded.secret.selector == parsed.selector());
        match self.judge(parsed, loaded)? {
            Judgement::Revoke(_) | Judgement::Done(Leaked::Revoked(_)) => {}
            Judgement::Done(Leaked::Ended(_) | Leaked::Unknown) => return Ok(None),
        }
        // Of a row that can't be believed nobody knows whose it is.
        let token = loaded.and_then(|loaded| loaded.token.check(&self.keyring).ok());
        Ok(token.map(|token| (token.id, token.owner.clone())))
    }

    fn judge(&self, parsed: Parsed<'_>, loaded: Option<&Loaded>) -> Result<Judgement, ManageError> {
        let verdict = self.keyring.verify(parsed.verifier(), loaded.map(|loaded| &loaded.secret));
        let Some(loaded) = loaded else { return Ok(Judgement::Done(Leaked::Unknown)) };
        let now = self.clock.now();
        match verdict {
            Verdict::Wrong | Verdict::Unknown => return Ok(Judgement::Done(Leaked::Unknown)),
            // What has ended needs no key to be left alone. All else may be real, and must not be called false.
            Verdict::UnknownKey if loaded.without_key(now) != Reason::UnknownKey => {
                return Ok(Judgement::Done(Leaked::Unknown));
            }
            Verdict::UnknownKey => return Err(BrokenSeal::UnknownKey.into()),
            Verdict::Right(_) => {}
        }
        let id = loaded.secret.token;
        let secret = SecretRef { generation: loaded.secret.generation, selector: loaded.secret.selector };
        Ok(match loaded.token.check(&self.keyring) {
            Ok(token) if token.revoked_at.is_some() => Judgement::Done(Leaked::Revoked(id)),
            Ok(token) if token.secret_state(secret, now) == SecretState::Ended => Judgement::Done(Leaked::Ended(id)),
            // Nor is a row that can't be believed a reason to leave its token alive.
            Ok(_) | Err(_) => Judgement::Revoke(id),
        })
    }
}

/// What a report asks for.
enum Judgement {
    /// Nothing: it is so already.
    Done(Leaked),
    /// That this token is revoked.
    Revoke(TokenId),
}

/// Whether the store itself fails, and would for every other token too.
fn is_outage(error: &ManageError) -> bool {
    match error {
        ManageError::Store(error) => !matches!(error.fault(), Fault::Corrupt | Fault::Other),
        ManageError::OutcomeUnknown { .. } => true,
        _ => false,
    }
}
