//! Nonces of forms: what a page hands out, so that what comes back was shown to this actor, for this, and counts once.

use std::fmt;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::clock::Time;
use crate::encoding::{Canonical, Encoder};
use crate::keyring::Keyring;
use crate::random::{Random, RandomError};
use crate::text::ActorId;

const RANDOM_LEN: usize = 16;
const LEN: usize = 8 + RANDOM_LEN + 32;

/// Clocks of one service may differ by so much; a nonce from further in the future is not ours.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The nonce of one form: 75 characters that say when it was made, under a MAC that binds them to an actor and an action.
/// Nothing is stored when it is made; it is used up by the change that is made under it.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

/// Why a nonce is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NonceError {
    /// It is none that this service made for this actor and this action.
    #[error("this form was not made for you or not for this; open it again")]
    Unknown,
    /// It was made too long ago.
    #[error("this form was opened too long ago; open it again")]
    TooOld,
}

/// What a nonce is for, as its MAC covers it.
struct Bound<'a> {
    actor: &'a ActorId,
    action: &'a str,
    at: Time,
    random: &'a [u8; RANDOM_LEN],
}

impl Canonical for Bound<'_> {
    const KIND: &'static str = "api-tokens/nonce/v1";

    fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self.actor.as_str());
        encoder.text(self.action);
        encoder.time(self.at);
        encoder.bytes(self.random);
    }
}

impl Nonce {
    /// The text, to be put into a form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn issue(
        keyring: &Keyring,
        random: &Random,
        actor: &ActorId,
        action: &str,
        at: Time,
    ) -> Result<Nonce, RandomError> {
        let random = random.array()?;
        let mac = keyring.nonce_mac(&Bound { actor, action, at, random: &random }.canonical_bytes());
        let bytes = [at.as_micros().to_be_bytes().as_slice(), &random, &mac].concat();
        Ok(Nonce(Base64UrlUnpadded::encode_string(&bytes)))
    }
}

/// Whether a text is a nonce that was made for this actor and this action, not longer ago than `max_age`.
pub(crate) fn check(
    keyring: &Keyring,
    text: &str,
    (actor, action): (&ActorId, &str),
    now: Time,
    max_age: Duration,
) -> Result<(), NonceError> {
    let mut bytes = [0; LEN];
    match Base64UrlUnpadded::decode(text, &mut bytes) {
        Ok(decoded) if decoded.len() == LEN => {}
        _ => return Err(NonceError::Unknown),
    }
    let parts = bytes.split_first_chunk::<8>().and_then(|(at, rest)| {
        let (random, mac) = rest.split_first_chunk::<RANDOM_LEN>()?;
        Some((Time::from_micros(i64::from_be_bytes(*at))?, random, <&[u8; 32]>::try_from(mac).ok()?))
    });
    let (at, random, mac) = parts.ok_or(NonceError::Unknown)?;
    if !keyring.nonce_fits(&Bound { actor, action, at, random }.canonical_bytes(), mac) || at.since(now) > CLOCK_SKEW {
        return Err(NonceError::Unknown);
    }
    if now.since(at) > max_age { Err(NonceError::TooOld) } else { Ok(()) }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn actor(id: &str) -> ActorId {
        ActorId::new(id).unwrap()
    }

    #[test]
    fn a_nonce_is_good_for_its_actor_and_its_action_while_it_is_young() {
        let keyring = Keyring::parse(&Keyring::generate("k1").unwrap()).unwrap();
        let stranger = Keyring::parse(&Keyring::generate("k1").unwrap()).unwrap();
        let now = Time::from_micros(1_800_000_000_000_000).unwrap();
        let (ann, bob) = (actor("ann"), actor("bob"));
        let nonce = Nonce::issue(&keyring, &Random::Os, &ann, "create", now).unwrap();
        assert_eq!(nonce.as_str().len(), 75);
        let check_at = |keyring, bound, at| check(keyring, nonce.as_str(), bound, at, HOUR);
        assert_eq!(check_at(&keyring, (&ann, "create"), now), Ok(()));
        assert_eq!(check_at(&keyring, (&ann, "create"), now.checked_add(HOUR).unwrap()), Ok(()));
        let later = now.checked_add(HOUR + Duration::from_micros(1)).unwrap();
        assert_eq!(check_at(&keyring, (&ann, "create"), later), Err(NonceError::TooOld));
        assert_eq!(check_at(&keyring, (&bob, "create"), now), Err(NonceError::Unknown));
        assert_eq!(check_at(&keyring, (&ann, "revoke"), now), Err(NonceError::Unknown));
        assert_eq!(check_at(&stranger, (&ann, "create"), now), Err(NonceError::Unknown));
        let before = now.saturating_sub(CLOCK_SKEW + Duration::from_micros(1));
        assert_eq!(check_at(&keyring, (&ann, "create"), before), Err(NonceError::Unknown));
    }

    #[test]
    fn a_nonce_that_was_changed_is_none() {
        let keyring = Keyring::parse(&Keyring::generate("k1").unwrap()).unwrap();
        let ann = actor("ann");
        let good = Nonce::issue(&keyring, &Random::Os, &ann, "create", Time::EPOCH).unwrap().0;
        for at in 0..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).unwrap();
            assert_eq!(check(&keyring, &bad, (&ann, "create"), Time::EPOCH, HOUR), Err(NonceError::Unknown), "{at}");
        }
        for bad in ["", "x", &good[1..], &format!("{good}A"), &"A".repeat(10_000)] {
            assert_eq!(check(&keyring, bad, (&ann, "create"), Time::EPOCH, HOUR), Err(NonceError::Unknown));
        }
    }

    #[test]
    fn a_nonce_outlives_a_change_of_keys() {
        let old = Keyring::generate("k1").unwrap();
        let ann = actor("ann");
        let nonce = Nonce::issue(&Keyring::parse(&old).unwrap(), &Random::Os, &ann, "create", Time::EPOCH).unwrap();
        let both = Keyring::parse(&format!("{},{}", &*Keyring::generate("k2").unwrap(), &*old)).unwrap();
        assert_eq!(check(&both, nonce.as_str(), (&ann, "create"), Time::EPOCH, HOUR), Ok(()));
    }
}
