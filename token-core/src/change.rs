//! One management change: what is written, together or not at all.

use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::clock::Time;
use crate::event::Event;
use crate::owner::Owner;
use crate::random::{Random, RandomError};
use crate::seal::Sealed;
use crate::secret::Secret;
use crate::text::{ActorId, OwnerId};
use crate::token::{Token, TokenId};

/// The id of one change, by which a repeat is known and a lost answer is asked for. 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId([u8; 16]);

impl ChangeId {
    /// The id that a client's own key stands for (an `Idempotency-Key`, a form's nonce).
    ///
    /// The key counts within its actor only: two actors who choose the same key make two changes.
    #[must_use]
    pub fn from_key(actor: &ActorId, key: &str) -> ChangeId {
        let hash = Sha256::new()
            .chain_update(b"api-tokens/change-id/v1")
            .chain_update((actor.as_str().len() as u64).to_be_bytes())
            .chain_update(actor.as_str())
            .chain_update(key)
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        ChangeId(id)
    }

    /// The id of these 16 bytes, as a store keeps them.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> ChangeId {
        ChangeId(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(crate) fn random(random: &Random) -> Result<ChangeId, RandomError> {
        random.array().map(ChangeId)
    }
}

impl fmt::Debug for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangeId(")?;
        crate::text::write_hex(f, &self.0)?;
        f.write_str(")")
    }
}

/// What was asked for, as a hash: tells a repeat of a request from another request under the same id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Wraps 32 bytes read from a store.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Fingerprint {
        Fingerprint(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `whole` is all that was asked for, and by whom.
    pub(crate) fn of(whole: &impl Serialize) -> Result<Fingerprint, serde_json::Error> {
        let whole = serde_json::to_vec(whole)?;
        Ok(Fingerprint(Sha256::digest(whole).into()))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(")?;
        crate::text::write_hex(f, &self.0[..4])?;
        f.write_str("..)")
    }
}

/// One change with its event and its id. A store commits all of it or nothing.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its id, unique for good.
    pub id: ChangeId,
    /// What was asked for.
    pub fingerprint: Fingerprint,
    /// The event that records it.
    pub event: Event,
    /// The rows it writes, and what must still hold for that.
    pub write: Write,
}

/// The rows that a change writes, with the guards under which it may.
#[derive(Debug, Clone)]
pub enum Write {
    /// A new token with its first secret.
    CreateToken {
        /// The token, of the owner that the guard names.
        token: Sealed<Token>,
        /// Its secret.
        secret: Secret,
        /// The owner as it was read; it must still stand so.
        owner: OwnerGuard,
        /// The owner may have fewer live tokens than this at `now`, and no more after.
        cap: u32,
        /// The moment at which a token counts as live or not.
        now: Time,
    },
    /// A token as it stands after an edit, rotation, end of overlap, revocation or reseal.
    UpdateToken {
        /// The token; its stored revision must be one less.
        token: Sealed<Token>,
        /// The secret that a rotation adds.
        secret: Option<Secret>,
        /// For a token that is to live longer than it did.
        longer: Option<LongerLife>,
    },
    /// An owner as it stands after a suspension, resumption or reseal.
    PutOwner {
        /// The owner.
        owner: Sealed<Owner>,
        /// The revision that must be stored; `None`: there must be no such owner yet.
        expected: Option<u64>,
    },
    /// A value in the table of facts, such as the policy.
    PutMeta {
        /// Its key.
        key: String,
        /// The value that must be stored; `None`: there must be none.
        expected: Option<Vec<u8>>,
        /// The value from now on.
        value: Vec<u8>,
    },
    /// Nothing, for what was asked for is so already: only the change id is kept, so that a late repeat does nothing either. The
    /// event of the change is the last one of its subject, which is stored and delivered already.
    Nothing(Standing),
}

/// What must hold for a token to live longer than it did. It may have expired since that was decided, and another may have been
/// created in its place: so it is counted anew, and the store must have it collide with creations of the same owner.
#[derive(Debug, Clone, Copy)]
pub struct LongerLife {
    /// The owner may have fewer other tokens than this that are live at `now`.
    pub cap: u32,
    /// The moment at which the change was decided.
    pub now: Time,
}

/// A row that must still be as it was read.
#[derive(Debug, Clone)]
pub enum Standing {
    /// A token at this revision.
    Token {
        /// The token.
        id: TokenId,
        /// Its revision.
        revision: u64,
    },
    /// An owner at this revision.
    Owner {
        /// The owner.
        id: OwnerId,
        /// Its revision.
        revision: u64,
    },
    /// A fact of this value.
    Meta {
        /// Its key.
        key: String,
        /// Its value.
        value: Vec<u8>,
    },
}

/// What must hold of an owner for a token to be created.
#[derive(Debug, Clone)]
pub enum OwnerGuard {
    /// There is no such owner yet; this row is written with the token.
    New(Sealed<Owner>),
    /// The owner is at this revision. The store must touch the row in a way that other nodes see, so that creating
    /// and suspending collide, and creations count each other.
    At {
        /// The owner.
        owner: OwnerId,
        /// Its revision.
        revision: u64,
    },
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// All of it is stored.
    Done,
    /// A guard no longer holds; nothing was stored. Read again and decide again.
    Conflict,
    /// The owner has as many live tokens as it may; nothing was stored.
    CapReached,
    /// A change of this id was stored before, now or earlier; nothing was stored this time. Told before any guard
    /// is looked at.
    Repeat(Outcome),
}

/// What is known of a change that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What had been asked for.
    pub fingerprint: Fingerprint,
    /// The event that records it.
    pub event: Event,
}
