//! A change as it is asked for, and what came of it.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use token_core::{
    Actor, ActorId, Ceiling, ChangeId, Edit, Expiry, Grant, Grants, ManageError, Minted, Networks, NewToken, Overlap,
    OwnerId, Replace, Rotation, RotationError, TokenId, TokenName, TokenText, Tokens,
};

use crate::service::{admin, policy};

/// One change, under its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The key, and the name of who asks.
    pub key: String,
    /// What is asked for.
    pub ask: Ask,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are the actions of the management")]
pub enum Ask {
    Create { owner: OwnerId },
    Edit { token: TokenId, shape: Shape },
    Rotate { token: TokenId, swap: Swap },
    EndOverlap { token: TokenId },
    Revoke { token: TokenId },
    Suspend { owner: OwnerId },
    Resume { owner: OwnerId },
    SetPolicy { overlap_hours: u64 },
}

/// The actions, without what they are done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are the actions of the management")]
pub enum Kind {
    Create,
    Edit,
    Rotate,
    EndOverlap,
    Revoke,
    Suspend,
    Resume,
    SetPolicy,
}

/// What an edit changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Nothing.
    Same,
    /// The name, which becomes the key of the change.
    Name,
    /// The name and the expiry.
    Expiry,
    /// The name, the grants and the networks.
    Rights,
    /// The name, and that the token may be used from anywhere.
    Anywhere,
}

/// What a rotation does to the secrets that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in `Replace`")]
pub enum Swap {
    Current,
    CurrentNow,
    EndingSuperseded,
    EndingCurrent,
}

/// What a change answered that was made.
#[derive(Debug)]
pub struct Sent {
    /// The token.
    pub token: Option<TokenId>,
    /// The text of a new secret.
    pub text: Option<TokenText>,
}

/// What came of a change, on a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Answer {
    /// It is so. Where there is a new secret it was shown.
    Done,
    /// It is so, and the secret was shown before.
    Repeat,
    /// It may not be, and why not.
    Refused(String),
    /// It went wrong.
    Failed(String),
}

impl Request {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ChangeId {
        ChangeId::from_key(self.actor().id(), &self.key)
    }

    fn actor(&self) -> Actor {
        match &self.ask {
            Ask::Create { owner } => {
                let name = ActorId::new(self.key.as_str()).expect("an id");
                Actor::owner(name, owner.clone(), Ceiling::Everything)
            }
            _ => admin(&self.key),
        }
    }

    /// Asks for it.
    ///
    /// # Errors
    /// What the management answers.
    pub async fn send(&self, tokens: &Tokens) -> Result<Sent, ManageError> {
        let actor = self.actor();
        let manage = tokens.manage(&actor).change_id(self.id());
        let minted = |minted: Minted| Sent { token: Some(minted.token.id), text: minted.text };
        let none = Sent { token: None, text: None };
        match &self.ask {
            Ask::Create { .. } => manage.create(&NewToken::new(self.name(), grants("projects:read"))).await.map(minted),
            Ask::Edit { token, shape } => manage.edit(*token, &self.edit(*shape)).await.map(|_| none),
            Ask::Rotate { token, swap } => manage.rotate(*token, &swap.rotation()).await.map(minted),
            Ask::EndOverlap { token } => manage.end_overlap(*token).await.map(|_| none),
            Ask::Revoke { token } => manage.revoke(*token).await.map(|_| none),
            Ask::Suspend { owner } => manage.suspend(owner).await.map(|_| none),
            Ask::Resume { owner } => manage.resume(owner).await.map(|_| none),
            Ask::SetPolicy { overlap_hours } => manage.set_policy(&policy(*overlap_hours)).await.map(|_| none),
        }
    }

    /// What came of it, in words.
    #[must_use]
    pub fn answer(&self, sent: &Result<Sent, ManageError>) -> Answer {
        match sent {
            Ok(sent) if sent.text.is_none() && self.ask.kind().mints() => Answer::Repeat,
            Ok(_) => Answer::Done,
            Err(error) => {
                refusal(error).map_or_else(|| Answer::Failed(whole(error)), |why| Answer::Refused(why.into()))
            }
        }
    }

    /// A name that no other change gives.
    fn name(&self) -> TokenName {
        TokenName::new(self.key.as_str()).expect("a name")
    }

    fn edit(&self, shape: Shape) -> Edit {
        let named = Edit { name: Some(self.name()), ..Edit::default() };
        match shape {
            Shape::Same => Edit::default(),
            Shape::Name => named,
            Shape::Expiry => Edit { expiry: Some(Expiry::After(Duration::from_secs(200 * 24 * 3600))), ..named },
            Shape::Rights => Edit {
                grants: Some(grants("projects:write")),
                networks: Some(Some(Networks::parse(["10.0.0.0/8", "2001:db8::/32"]).expect("networks"))),
                ..named
            },
            Shape::Anywhere => Edit { networks: Some(None), ..named },
        }
    }
}

impl Ask {
    /// Which action it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Ask::Create { .. } => Kind::Create,
            Ask::Edit { .. } => Kind::Edit,
            Ask::Rotate { .. } => Kind::Rotate,
            Ask::EndOverlap { .. } => Kind::EndOverlap,
            Ask::Revoke { .. } => Kind::Revoke,
            Ask::Suspend { .. } => Kind::Suspend,
            Ask::Resume { .. } => Kind::Resume,
            Ask::SetPolicy { .. } => Kind::SetPolicy,
        }
    }
}

impl Kind {
    /// Whether it makes a secret.
    #[must_use]
    pub fn mints(self) -> bool {
        matches!(self, Kind::Create | Kind::Rotate)
    }
}

impl Swap {
    fn rotation(self) -> Rotation {
        let replace = match self {
            Swap::Current => Replace::Current(Overlap::Default),
            Swap::CurrentNow => Replace::Current(Overlap::Now),
            Swap::EndingSuperseded => Replace::EndingSuperseded(Overlap::For(Duration::from_secs(3600))),
            Swap::EndingCurrent => Replace::EndingCurrent,
        };
        Rotation { replace, expiry: None }
    }
}

fn grants(scope: &str) -> Grants {
    Grants::new([Grant::all(scope).expect("a scope")]).expect("grants")
}

/// The refusals that a trial reckons with. Anything else went wrong.
fn refusal(error: &ManageError) -> Option<&'static str> {
    match error {
        ManageError::OwnerSuspended => Some("owner suspended"),
        ManageError::NotLive(_) => Some("not live"),
        ManageError::CapReached { .. } => Some("cap reached"),
        ManageError::Rotation(RotationError::TwoLive { .. }) => Some("two live"),
        ManageError::ChangeIdReused => Some("key used for another request"),
        ManageError::Contention => Some("contention"),
        _ => None,
    }
}

/// Everything that an error and its causes say.
fn whole(error: &ManageError) -> String {
    let mut said = format!("{error:?}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}
