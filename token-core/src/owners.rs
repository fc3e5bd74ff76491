//! Owners, each kept once however many of its tokens are.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::text::OwnerId;

/// The owners that some snapshot names.
#[derive(Debug, Default)]
pub(crate) struct Owners(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    owners: HashSet<Arc<OwnerId>>,
    /// How many to hold before those that nothing names any more are let go.
    room: usize,
}

const ROOM_MIN: usize = 1024;

impl Owners {
    pub(crate) fn one(&self, owner: &OwnerId) -> Arc<OwnerId> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = known.owners.get(owner) {
            return Arc::clone(one);
        }
        if known.owners.len() >= known.room {
            known.owners.retain(|owner| Arc::strong_count(owner) > 1);
            // Doubled, so that the looking through costs each owner a step or two.
            known.room = ROOM_MIN.max(2 * known.owners.len());
        }
        let one = Arc::new(owner.clone());
        known.owners.insert(Arc::clone(&one));
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_kept_once_and_no_longer_than_something_names_it() {
        let owners = Owners::default();
        let owner = |number: usize| OwnerId::new(number.to_string()).unwrap();
        let named = owners.one(&owner(0));
        assert!(Arc::ptr_eq(&named, &owners.one(&owner(0))));
        for number in 1..10 * ROOM_MIN {
            owners.one(&owner(number));
        }
        assert!(owners.0.lock().unwrap().owners.len() <= ROOM_MIN);
        assert!(Arc::ptr_eq(&named, &owners.one(&owner(0))));
    }
}
