//! What the service itself keeps of an owner: whether it is suspended.

use crate::clock::Time;
use crate::encoding::{Canonical, Encoder};
use crate::event::EventHead;
use crate::text::OwnerId;

/// An owner that has, or had, tokens. Made with the first token, or when an owner is suspended before that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The host's name for it.
    pub id: OwnerId,
    /// When all its tokens were suspended; `None` is not suspended.
    pub suspended_at: Option<Time>,
    /// Counts the changes of this row, from 1. Creating tokens is not one.
    pub revision: u64,
    /// The last event of its chain.
    pub head: EventHead,
}

impl Owner {
    /// An owner that nothing has happened to.
    pub(crate) fn new(id: OwnerId) -> Owner {
        Owner { id, suspended_at: None, revision: 1, head: EventHead::START }
    }
}

impl Canonical for Owner {
    const KIND: &'static str = "api-tokens/owner/v1";

    fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self.id.as_str());
        encoder.option(self.suspended_at, Encoder::time);
        encoder.u64(self.revision);
        self.head.encode(encoder);
    }
}
