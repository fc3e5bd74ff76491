//! Base62: the digits `0-9A-Za-z`, which survive a double click, a URL and a shell.

use zeroize::Zeroizing;

use crate::random::{Random, RandomError};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether all of a text are digits.
#[inline]
pub(crate) fn is_base62(text: &[u8]) -> bool {
    // All of it, whatever is found, and 16 at a time: that is a few steps of many bytes, and stopping early is one for each.
    let all = |digits: &[u8]| digits.iter().fold(true, |all, byte| all & byte.is_ascii_alphanumeric());
    let (chunks, rest) = text.as_chunks::<16>();
    chunks.iter().fold(true, |so_far, chunk| so_far & all(chunk)) && all(rest)
}

/// A number, most significant digit first, padded with `0` to the six digits that any `u32` fits in.
pub(crate) fn encode_u32(number: u32) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// The number of six digits, or `None` if one of them is none. Each number that fits has one spelling in six digits, so equal numbers are
/// equal digits.
#[inline]
pub(crate) fn decode_six(digits: &[u8; 6]) -> Option<u64> {
    const WEIGHTS: [u64; 6] = [916_132_832, 14_776_336, 238_328, 3_844, 62, 1];
    let values = digits.map(value);
    // Each by itself: a sum of products, where dividing digit by digit waits for the digit before.
    let number = values.iter().zip(WEIGHTS).map(|(value, weight)| u64::from(*value) * weight).sum();
    (values.iter().fold(0, |all, value| all | value) & NO_DIGIT == 0).then_some(number)
}

/// A bit that is set in the value of what is no digit, and of no other.
const NO_DIGIT: u8 = 0x80;

#[inline]
fn value(digit: u8) -> u8 {
    const VALUES: [u8; 256] = {
        let mut values = [NO_DIGIT; 256];
        let mut value: u8 = 0;
        while (value as usize) < DIGITS.len() {
            values[DIGITS[value as usize] as usize] = value;
            value += 1;
        }
        values
    };
    VALUES[usize::from(digit)]
}

/// `N` digits, each uniform: bytes from 248 up are thrown away, since 256 is not a multiple of 62.
pub(crate) fn random_digits<const N: usize>(random: &Random) -> Result<Zeroizing<[u8; N]>, RandomError> {
    let mut digits = Zeroizing::new([0; N]);
    let mut filled = 0;
    let mut pool = Zeroizing::new([0; N]);
    while filled < N {
        random.fill(pool.as_mut_slice())?;
        for byte in pool.iter().filter(|byte| **byte < 248) {
            if filled == N {
                break;
            }
            digits[filled] = DIGITS[(byte % 62) as usize];
            filled += 1;
        }
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded_to_six_digits_most_significant_first() {
        assert_eq!(&encode_u32(0), b"000000");
        assert_eq!(&encode_u32(61), b"00000z");
        assert_eq!(&encode_u32(62), b"000010");
        assert_eq!(&encode_u32(u32::MAX), b"4gfFC3");
    }

    #[test]
    fn six_digits_are_read_as_they_are_written() {
        for number in [0, 1, 61, 62, 3843, 3844, 0x7FFF_FFFF, u32::MAX] {
            assert_eq!(decode_six(&encode_u32(number)), Some(u64::from(number)));
        }
        assert_eq!(decode_six(b"zzzzzz"), Some(62_u64.pow(6) - 1));
        assert!(DIGITS.iter().zip(0..).all(|(digit, index)| value(*digit) == index));
    }

    #[test]
    fn what_is_no_digit_is_found_wherever_it_is() {
        let no_digits = (0..=255).filter(|byte| !DIGITS.contains(byte));
        for (byte, length) in no_digits.flat_map(|byte| [6, 16, 40, 48, 54].map(|length| (byte, length))) {
            let mut text = vec![b'0'; length];
            assert!(is_base62(&text));
            for at in 0..length {
                text[at] = byte;
                assert!(!is_base62(&text), "{byte} at {at} of {length}");
                let six: &[u8; 6] = text.first_chunk().unwrap();
                assert_eq!(decode_six(six).is_some(), at >= 6, "{byte} at {at}");
                text[at] = b'z';
            }
        }
    }

    /// Chi-squared over 62 digits of 620,000 draws from a fixed seed; 61 degrees of freedom, p < 0.001 above 100.9.
    #[test]
    fn random_digits_are_uniform() {
        use chacha20::rand_core::SeedableRng;
        let random = Random::injected(chacha20::ChaCha20Rng::from_seed([7; 32]));
        let mut counts = [0_u32; 128];
        for _ in 0..20_000 {
            for digit in random_digits::<31>(&random).unwrap().iter() {
                counts[usize::from(*digit)] += 1;
            }
        }
        let expected = 10_000.0;
        let chi: f64 =
            DIGITS.iter().map(|digit| (f64::from(counts[usize::from(*digit)]) - expected).powi(2) / expected).sum();
        assert!(chi < 100.9, "chi-squared {chi}");
    }
}
