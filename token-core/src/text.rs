//! The short texts of the domain, checked once when they are made.

use std::fmt;

/// Why a text is refused. Says what to write instead, and never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {rule}")]
pub struct TextError {
    /// What the text was meant to be, such as "token name".
    pub what: &'static str,
    /// The rule it broke, as advice.
    pub rule: &'static str,
}

/// Characters that no text of ours may hold: controls (NUL, line breaks, escapes), and the bidirectional
/// controls that make a text read differently from what it is (Unicode TR 36, "Trojan Source").
pub(crate) fn has_hidden_characters(text: &str) -> bool {
    text.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
    })
}

pub(crate) fn check_length(
    what: &'static str,
    rule: &'static str,
    text: &str,
    max_bytes: usize,
) -> Result<(), TextError> {
    if text.is_empty() || text.len() > max_bytes {
        return Err(TextError { what, rule });
    }
    Ok(())
}

/// Declares a text type: a `Box<str>` that is checked where it is made and compares byte for byte.
macro_rules! text_type {
    ($(#[$meta:meta])* $name:ident, $check:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks the text and wraps it.
            ///
            /// # Errors
            /// [`TextError`] with the rule that the text breaks.
            pub fn new(text: impl Into<Box<str>>) -> Result<Self, $crate::text::TextError> {
                let text = text.into();
                let check: fn(&str) -> Result<(), $crate::text::TextError> = $check;
                check(&text)?;
                Ok(Self(text))
            }

            /// The text, exactly as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        // Compares and hashes as its text does, so that sets of it can be asked for a text.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text::TextError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a string")
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::new(text).map_err(E::custom)
                    }

                    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<$name, E> {
                        $name::new(text).map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }
    };
}
pub(crate) use text_type;

fn opaque(what: &'static str, text: &str) -> Result<(), TextError> {
    let rule = "use 1 to 255 bytes without control characters";
    check_length(what, rule, text, 255)?;
    if has_hidden_characters(text) {
        return Err(TextError { what, rule });
    }
    Ok(())
}

text_type! {
    /// Whom tokens act for: opaque text of the host (a user id, an organisation), 1 to 255 bytes, compared
    /// byte for byte. The host keeps one spelling for one owner.
    OwnerId, |text| opaque("owner", text)
}

text_type! {
    /// Who performs a management action, as the log shows it: opaque text of the host, 1 to 255 bytes.
    ActorId, |text| opaque("actor", text)
}

text_type! {
    /// One resource of the host that a grant may be limited to: opaque text, 1 to 255 bytes.
    ResourceId, |text| opaque("resource", text)
}

text_type! {
    /// What people call a token: 1 to 100 characters, no control or bidirectional-override characters.
    /// Kept exactly as given; whoever shows it escapes it.
    TokenName, |text| {
        let what = "token name";
        if text.is_empty() || text.chars().count() > 100 {
            return Err(TextError { what, rule: "use 1 to 100 characters" });
        }
        if has_hidden_characters(text) {
            return Err(TextError { what, rule: "leave out control and text-direction characters" });
        }
        Ok(())
    }
}

text_type! {
    /// The name of a master key: 1 to 32 of `A-Z a-z 0-9 . _ -`. Public; kept beside everything the key made.
    KeyId, |text| {
        let rule = "use 1 to 32 of A-Z a-z 0-9 . _ -";
        check_length("key id", rule, text, 32)?;
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
            return Err(TextError { what: "key id", rule });
        }
        Ok(())
    }
}

/// Writes bytes as lower-case hexadecimal.
pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
