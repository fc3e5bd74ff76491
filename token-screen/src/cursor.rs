//! Where a page of tokens starts, as an opaque word in a URL.

use base64ct::{Base64UrlUnpadded, Encoding};
use token_core::{Position, Time, TokenId, TokenName};

/// The cursor of a place. A place at the start of an order has an empty one, which is never handed out.
pub(crate) fn write(position: &Position) -> String {
    let mut bytes = Vec::new();
    match position {
        Position::Created(Some(id)) => {
            bytes.push(1);
            bytes.extend_from_slice(id.as_bytes());
        }
        Position::Name(Some((name, id))) => {
            bytes.push(2);
            bytes.extend_from_slice(id.as_bytes());
            bytes.extend_from_slice(name.as_str().as_bytes());
        }
        Position::Expiry(Some((at, id))) => {
            bytes.push(3);
            bytes.extend_from_slice(id.as_bytes());
            if let Some(at) = at {
                bytes.extend_from_slice(&at.as_micros().to_be_bytes());
            }
        }
        _ => {}
    }
    Base64UrlUnpadded::encode_string(&bytes)
}

/// The place of a cursor, if it is one, in its only spelling, of the same order as `start`.
pub(crate) fn read(text: &str, start: &Position) -> Option<Position> {
    let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
    let (kind, rest) = bytes.split_first()?;
    let (id, rest) = rest.split_first_chunk::<16>()?;
    let id = TokenId::from_bytes(*id);
    let position = match (start, kind) {
        (Position::Created(_), 1) if rest.is_empty() => Position::Created(Some(id)),
        (Position::Name(_), 2) => {
            let name = TokenName::new(std::str::from_utf8(rest).ok()?).ok()?;
            Position::Name(Some((name, id)))
        }
        (Position::Expiry(_), 3) if rest.is_empty() => Position::Expiry(Some((None, id))),
        (Position::Expiry(_), 3) => {
            let at = Time::from_micros(i64::from_be_bytes(rest.try_into().ok()?))?;
            Position::Expiry(Some((Some(at), id)))
        }
        _ => return None,
    };
    (write(&position) == text).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place_and_to_no_other_order() {
        let id = TokenId::from_bytes([7; 16]);
        let name = TokenName::new("a tökén").unwrap();
        let starts = [Position::Created(None), Position::Name(None), Position::Expiry(None)];
        let places = [
            Position::Created(Some(id)),
            Position::Name(Some((name, id))),
            Position::Expiry(Some((None, id))),
            Position::Expiry(Some((Some(Time::MAX), id))),
        ];
        for place in places {
            let cursor = write(&place);
            let read: Vec<_> = starts.iter().filter_map(|start| read(&cursor, start)).collect();
            assert_eq!(read, [place]);
        }
    }

    #[test]
    fn a_cursor_that_was_changed_is_none() {
        let start = Position::Expiry(None);
        let cursor = write(&Position::Expiry(Some((Some(Time::MAX), TokenId::from_bytes([7; 16])))));
        for cut in 0..cursor.len() {
            // Cut to the width of a token that never expires, it is the cursor of that one.
            assert!(read(&cursor[..cut], &start).is_none() || cut == 23, "{cut}");
        }
        for bad in ["", "====", &format!("{cursor}="), &format!("{cursor}AA"), "////", &"A".repeat(10_000)] {
            assert_eq!(read(bad, &start), None, "{bad}");
        }
    }
}
