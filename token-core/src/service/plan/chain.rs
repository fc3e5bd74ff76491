//! Where the event of a change goes, and what the events that are stored say.

use crate::clock::Time;
use crate::event::{EventDetail, EventHead, Subject};
use crate::seal::BrokenSeal;

use crate::service::{Inner, ManageError};

impl Inner {
    /// Where a change puts its event. `taken` says that the next number was found taken by an event that no
    /// change of ours has written.
    pub(super) fn head_to_extend(
        &self,
        head: EventHead,
        seal: Result<(), BrokenSeal>,
        taken: bool,
        now: Time,
    ) -> Result<EventHead, ManageError> {
        if seal.is_ok() && !taken {
            return Ok(head);
        }
        // At random, since whoever forges events would guess any other.
        let skip = if taken { 1 + u64::from(u32::from_be_bytes(self.random.array()?)) } else { 0 };
        Ok(head.despite_tampering(seal.is_ok(), skip, now))
    }

    /// The end of a chain by the events that are stored, for a row whose own word can't be believed, and whether they leave
    /// their subject revoked or suspended. An event that can't be read may have said so.
    pub(super) async fn stored_history(&self, subject: &Subject) -> Result<(EventHead, bool), ManageError> {
        const PAGE: u32 = 500;
        let (mut head, mut ended) = (EventHead::START, false);
        loop {
            let events = self.store.events(subject, head.seq, PAGE).await?;
            let Some(last) = events.last() else { return Ok((head, ended)) };
            head = last.head();
            for event in &events {
                ended = match event.detail() {
                    Ok(EventDetail::Revoked | EventDetail::Suspended) | Err(_) => true,
                    Ok(EventDetail::Resumed) => false,
                    Ok(EventDetail::Resealed { revoked_at, .. }) => revoked_at.is_some(),
                    Ok(EventDetail::OwnerResealed { suspended_at }) => suspended_at.is_some(),
                    Ok(_) => ended,
                };
            }
        }
    }
}
