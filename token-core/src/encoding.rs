//! The canonical bytes of what is sealed or chained.
//!
//! Every field is written in a fixed order with its length in front (`u32`, big-endian), so that no two
//! different values share an encoding, and the result depends on no serializer and no database.

use crate::clock::Time;

/// Something that has exactly one canonical encoding.
pub(crate) trait Canonical {
    /// What kind of thing it is, and the version of its encoding. Written first.
    const KIND: &'static str;

    /// Writes every field, in an order that never changes within a version.
    fn encode(&self, encoder: &mut Encoder);

    fn canonical_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder(Vec::with_capacity(512));
        encoder.text(Self::KIND);
        self.encode(&mut encoder);
        encoder.0
    }
}

#[derive(Debug)]
pub(crate) struct Encoder(Vec<u8>);

impl Encoder {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        // No field is near 4 GiB: texts are at most 255 bytes, lists are bounded where they are made.
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn u64(&mut self, number: u64) {
        self.bytes(&number.to_be_bytes());
    }

    pub(crate) fn time(&mut self, time: Time) {
        self.bytes(&time.as_micros().to_be_bytes());
    }

    /// Presence first, then the value: nothing that is there can look like nothing.
    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.bytes(&[0]),
            Some(value) => {
                self.bytes(&[1]);
                write(self, value);
            }
        }
    }

    pub(crate) fn list<T>(&mut self, items: impl ExactSizeIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.count(items.len());
        items.for_each(|item| write(self, item));
    }

    fn count(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&count.to_be_bytes());
    }
}
