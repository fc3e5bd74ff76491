//! Histories: whether the events that are stored are those that were written, all of them and in their order.

use crate::event::{Event, EventHead, Subject};

/// What checking a history showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum History {
    /// Every link fits, and the last one is the one that the sealed row names.
    Intact {
        /// How many events there are.
        events: u64,
    },
    /// The history was changed behind the application's back.
    Broken {
        /// The first event that does not fit, or the first that is missing.
        seq: u64,
    },
}

/// Walks a chain from its start, event by event.
#[derive(Debug)]
pub(crate) struct ChainCheck {
    head: EventHead,
}

impl ChainCheck {
    pub(crate) fn new() -> ChainCheck {
        ChainCheck { head: EventHead::START }
    }

    pub(crate) fn seq(&self) -> u64 {
        self.head.seq
    }

    /// Takes the next event, or says that it does not fit.
    pub(crate) fn step(&mut self, subject: &Subject, event: &Event) -> Result<(), History> {
        let seq = self.head.seq + 1;
        let fits = event.subject == *subject
            && event.seq == seq
            && event.at >= self.head.at
            && event.hash == event.link(self.head.hash);
        if !fits {
            return Err(History::Broken { seq });
        }
        self.head = event.head();
        Ok(())
    }

    /// Compares the end of the chain with what the sealed row says.
    pub(crate) fn finish(self, sealed: EventHead) -> History {
        if self.head == sealed {
            History::Intact { events: self.head.seq }
        } else {
            History::Broken { seq: self.head.seq.min(sealed.seq) + 1 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::event::{EventDetail, EventHash};
    use crate::text::{ActorId, OwnerId};

    fn chain() -> Vec<Event> {
        let mut head = EventHead::START;
        (1..=4)
            .map(|second| {
                let now = Time::from_micros(second * 1_000_000).unwrap();
                let detail = if second % 2 == 0 { EventDetail::Resumed } else { EventDetail::Suspended };
                let owner = OwnerId::new("u1").unwrap();
                let subject = Subject::Owner(owner.clone());
                let event =
                    Event::after(head, subject, Some(owner), now, ActorId::new("admin").unwrap(), &detail).unwrap();
                head = event.head();
                event
            })
            .collect()
    }

    fn check(events: &[Event], head: EventHead) -> History {
        let mut check = ChainCheck::new();
        let subject = Subject::Owner(OwnerId::new("u1").unwrap());
        for event in events {
            if let Err(broken) = check.step(&subject, event) {
                return broken;
            }
        }
        check.finish(head)
    }

    #[test]
    fn an_untouched_chain_is_intact() {
        let events = chain();
        assert_eq!(check(&events, events[3].head()), History::Intact { events: 4 });
    }

    #[test]
    fn whatever_is_changed_in_an_event_is_named() {
        let events = chain();
        let head = events[3].head();
        let edits: [fn(&mut Event); 7] = [
            |event| event.subject = Subject::Policy,
            |event| event.seq += 1,
            |event| event.owner = None,
            |event| event.at = Time::from_micros(event.at.as_micros() + 1).unwrap(),
            |event| event.actor = ActorId::new("other").unwrap(),
            |event| event.body.push(' '),
            |event| {
                let mut hash = *event.hash.as_bytes();
                hash[31] ^= 1;
                event.hash = EventHash::from_bytes(hash);
            },
        ];
        for at in 0..events.len() {
            for (index, edit) in edits.iter().enumerate() {
                let mut changed = events.clone();
                edit(&mut changed[at]);
                assert_eq!(check(&changed, head), History::Broken { seq: at as u64 + 1 }, "event {at}, edit {index}");
            }
        }
    }

    #[test]
    fn a_missing_added_or_swapped_event_is_named() {
        let events = chain();
        let head = events[3].head();
        assert_eq!(check(&events[..3], head), History::Broken { seq: 4 });
        assert_eq!(check(&events[1..], head), History::Broken { seq: 1 });
        assert_eq!(check(&[&events[..1], &events[2..]].concat(), head), History::Broken { seq: 2 });
        assert_eq!(check(&events, events[2].head()), History::Broken { seq: 4 });
        let mut swapped = events.clone();
        swapped.swap(1, 2);
        assert_eq!(check(&swapped, head), History::Broken { seq: 2 });
    }
}
