//! Forms that change something: their nonces, and what the core says to them.

use std::time::Duration;

use token_core::{ChangeId, Manage, ManageError, NonceError, RotationError, Subject, Time, TokenId};

use crate::form::{Form, Unreadable};
use crate::words as w;

use super::frame::Faults;
use super::{Refused, Visit};

/// How long a form may lie open before it is sent.
const NONCE_MAX_AGE: Duration = Duration::from_secs(12 * 60 * 60);

/// A nonce that came back, good for one change.
#[derive(Debug)]
pub(crate) struct Redeemed(String);

impl Visit<'_> {
    /// A new nonce for a form.
    pub(crate) fn nonce(&self, action: &str) -> Result<String, Refused> {
        Ok(self.manage().nonce(action)?.as_str().to_owned())
    }

    /// The nonce of a form that was sent, if it is good for this.
    pub(crate) fn redeem(&self, nonce: String, action: &str) -> Result<Redeemed, NonceError> {
        self.manage().check_nonce(&nonce, action, NONCE_MAX_AGE).map(|()| Redeemed(nonce))
    }

    /// The form that was sent, with its nonce.
    pub(crate) fn sent(&self) -> Result<(Form, String), Unreadable> {
        Form::of_sent(self.request).and_then(|mut form| {
            let nonce = form.text("nonce")?;
            Ok((form, nonce))
        })
    }

    /// Where the host has people sign in again beside this page, to come back to it.
    pub(crate) fn sign_in_again(&self) -> Option<String> {
        let page = self.url(if self.request.path == "/" { "" } else { &self.request.path });
        super::refused::sign_in_url(self.screen, &page)
    }
}

impl Redeemed {
    fn id(&self, visit: &Visit<'_>) -> ChangeId {
        ChangeId::from_key(visit.actor.id(), &self.0)
    }

    /// For making the one change.
    pub(crate) fn manage<'a>(&self, visit: &Visit<'a>) -> Manage<'a> {
        visit.manage().change_id(self.id(visit))
    }

    /// For one change of several. No nonce holds a space.
    pub(crate) fn manage_part<'a>(&self, visit: &Visit<'a>, token: TokenId) -> Manage<'a> {
        let id = ChangeId::from_key(visit.actor.id(), &format!("{} {token}", self.0));
        visit.manage().change_id(id)
    }

    /// The token that was changed under this nonce before.
    pub(crate) async fn used_for(&self, visit: &Visit<'_>) -> Result<TokenId, Refused> {
        match visit.manage().outcome(&self.id(visit)).await?.subject {
            Subject::Token(id) => Ok(id),
            _ => Err(Refused::NotFound),
        }
    }

    /// When the change under this nonce was made.
    pub(crate) async fn used_at(&self, visit: &Visit<'_>) -> Result<Time, Refused> {
        Ok(visit.manage().outcome(&self.id(visit)).await?.at)
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// What is wrong with a form, of which of its fields, or of the form itself if it has none for that; or why there is no form to go on with.
pub(crate) fn fault(error: ManageError, fields: &[&str]) -> Result<Faults, Refused> {
    use ManageError as E;
    let field = match &error {
        E::UnknownScopes(_) | E::ExceedsRights(_) => "permissions",
        E::Expiry(_) | E::Rotation(RotationError::Expiry(_)) => "expires",
        E::OwnerNotNamed | E::OwnerUnknown | E::OwnerSuspended => "owner",
        E::Rotation(RotationError::TwoLive { .. }) => "replace",
        E::Rotation(_) => "overlap",
        E::CapReached { .. } | E::Policy(_) | E::Contention => "form",
        _ => return Err(error.into()),
    };
    let says = match &error {
        E::Rotation(RotationError::TwoLive { .. }) => w::TWO_LIVE.to_owned(),
        E::Contention => w::CONTENTION.to_owned(),
        error => w::sentence(&error.to_string()),
    };
    Ok(Faults::one(if fields.contains(&field) { field } else { "form" }, says))
}

pub(crate) fn nonce_fault(error: NonceError) -> Faults {
    Faults::one("form", w::sentence(&error.to_string()))
}
