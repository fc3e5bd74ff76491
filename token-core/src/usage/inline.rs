//! Short text that is kept where it is, without allocating.

use std::fmt;

/// At most `N` bytes of some text, up to 255.
#[derive(Clone, Copy)]
pub(crate) struct Inline<const N: usize> {
    length: u8,
    bytes: [u8; N],
}

impl<const N: usize> Inline<N> {
    pub(crate) const EMPTY: Inline<N> = Inline { length: 0, bytes: [0; N] };

    /// As much of it as fits.
    pub(crate) fn of(text: &[u8]) -> Inline<N> {
        let mut inline = Inline::EMPTY;
        inline.set(text);
        inline
    }

    pub(crate) fn set(&mut self, text: &[u8]) {
        let kept = Inline::<N>::kept(text);
        self.bytes[..kept.len()].copy_from_slice(kept);
        self.length = u8::try_from(kept.len()).unwrap_or(u8::MAX);
    }

    /// Whether this is what is kept of the text.
    #[inline]
    pub(crate) fn is_of(&self, text: &[u8]) -> bool {
        let kept = Inline::<N>::kept(text);
        // Nothing is not compared with nothing: where an empty slice points, nothing may be mapped, and a processor that looks for no
        // byte there takes longer than for many elsewhere.
        usize::from(self.length) == kept.len() && (kept.is_empty() || self.as_bytes() == kept)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The text, with a `?` for whatever is not printable ASCII.
    pub(crate) fn shown(&self) -> String {
        let shown = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '?' };
        self.as_bytes().iter().map(shown).collect()
    }

    fn kept(text: &[u8]) -> &[u8] {
        text.get(..N.min(255)).unwrap_or(text)
    }
}

impl<const N: usize> fmt::Debug for Inline<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_compared_as_it_is_kept() {
        let mut text = Inline::<4>::of(b"abcdef");
        assert_eq!(text.as_bytes(), b"abcd");
        assert!(text.is_of(b"abcdzz") && !text.is_of(b"abc"));
        text.set(b"\xff\n");
        assert_eq!(text.shown(), "??");
        text.set(b"");
        assert!(text.as_bytes().is_empty() && text.is_of(b""));
    }
}
