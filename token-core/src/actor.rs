//! Who manages tokens, and whose.

use serde::Serialize;

use crate::scope::Ceiling;
use crate::text::{ActorId, OwnerId};

/// Who performs a management action. The host makes it from its own sign-in; there is no default, and a verified token
/// is not one: a token does not manage tokens.
#[derive(Debug, Clone)]
pub struct Actor {
    id: ActorId,
    reach: Reach,
    rights: Ceiling,
    may_manage: bool,
}

/// Whose tokens an actor sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum Reach {
    Own(OwnerId),
    Everyone,
}

impl Actor {
    /// Someone who manages the tokens of one owner, within `rights`.
    #[must_use]
    pub fn owner(id: ActorId, owner: OwnerId, rights: Ceiling) -> Actor {
        Actor { id, reach: Reach::Own(owner), rights, may_manage: true }
    }

    /// An operator, who manages everyone's tokens, within `rights`.
    #[must_use]
    pub fn admin(id: ActorId, rights: Ceiling) -> Actor {
        Actor { id, reach: Reach::Everyone, rights, may_manage: true }
    }

    /// The same actor, allowed to look and not to change.
    #[must_use]
    pub fn read_only(mut self) -> Actor {
        self.may_manage = false;
        self
    }

    /// Who it is, as the log shows it.
    #[must_use]
    pub fn id(&self) -> &ActorId {
        &self.id
    }

    /// The most that it may grant.
    #[must_use]
    pub fn rights(&self) -> &Ceiling {
        &self.rights
    }

    /// The owner whose tokens it manages; `None` for an admin, who manages everyone's.
    #[must_use]
    pub fn own(&self) -> Option<&OwnerId> {
        match &self.reach {
            Reach::Own(owner) => Some(owner),
            Reach::Everyone => None,
        }
    }

    /// Whether it manages everyone's tokens.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.reach == Reach::Everyone
    }

    /// Whether it may change anything.
    #[must_use]
    pub fn may_manage(&self) -> bool {
        self.may_manage
    }

    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    pub(crate) fn sees(&self, owner: &OwnerId) -> bool {
        match &self.reach {
            Reach::Own(own) => own == owner,
            Reach::Everyone => true,
        }
    }
}
