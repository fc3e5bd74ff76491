//! Where the scopes that handlers ask for by type stand in a catalog.
//!
//! A scope is what its name says, and comparing names takes as long as a good part of a verification. A type stands for one name
//! for as long as the program runs, so that each is compared once.

use std::any::TypeId;
use std::hash::{Hash as _, Hasher};
use std::sync::OnceLock;

use super::catalog::ScopeIndex;

/// Slots that are looked at. Where all are taken by others the name is looked for again, which is slower and as right.
const PROBES: usize = 4;

/// A table of types by their hash. Slots are written once, so that reading one waits for nobody.
#[derive(Debug, Clone)]
pub(super) struct ByType(Box<[OnceLock<(TypeId, ScopeIndex)>]>);

impl ByType {
    /// A table with room to spare for the types of so many scopes.
    pub(super) fn for_scopes(scopes: usize) -> ByType {
        ByType((0..(2 * scopes).next_power_of_two().max(PROBES)).map(|_| OnceLock::new()).collect())
    }

    /// The scope of a type, by what is known of it or else by `find`. A type without a scope is not kept.
    #[inline]
    pub(super) fn get_or_insert_with(
        &self,
        scope: TypeId,
        find: impl FnOnce() -> Option<ScopeIndex>,
    ) -> Option<ScopeIndex> {
        let mut hash = AsItIs(0);
        scope.hash(&mut hash);
        let mut slots = (0..PROBES).map(|at| &self.0[hash.0.wrapping_add(at) & (self.0.len() - 1)]);
        let free = loop {
            let Some(slot) = slots.next() else { break None };
            match slot.get() {
                Some((known, index)) if *known == scope => return Some(*index),
                Some(_) => {}
                None => break Some(slot),
            }
        };
        let index = find()?;
        if let Some(slot) = free {
            // Another thread may have been first, with this type or another. Then it is this one's turn when it is asked for again.
            slot.get_or_init(|| (scope, index));
        }
        Some(index)
    }
}

/// A type's id is a hash already, of which any bits are as good as others.
struct AsItIs(usize);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ usize::from(*byte));
    }

    #[expect(clippy::cast_possible_truncation, reason = "any bits of it will do")]
    fn write_u64(&mut self, hash: u64) {
        self.0 ^= hash as usize;
    }

    fn finish(&self) -> u64 {
        self.0 as u64
    }
}
