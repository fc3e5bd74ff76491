//! RFC 3339 times in requests.

use token_core::Time;

/// The form, as schemas give it: RFC 3339 with capitals, at most microseconds, and no leap second.
pub(crate) const PATTERN: &str = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// Reads a time. One before 1970 or after 9999 is a time too, and stands for the first or the last that can be kept: whether it is
/// allowed is for the policy to say. `None` if the text is no time.
pub(crate) fn read(text: &str) -> Option<Time> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let is = |at: usize, byte: u8| (bytes.get(at) == Some(&byte)).then_some(());
    let within = |value: i64, max: i64| (value <= max).then_some(value);

    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    is(4, b'-').and(is(7, b'-')).and(is(10, b'T')).and(is(13, b':')).and(is(16, b':'))?;
    if !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) {
        return None;
    }
    let (hour, minute, second) =
        (within(number(11, 13)?, 23)?, within(number(14, 16)?, 59)?, within(number(17, 19)?, 59)?);
    let (micros, zone) = match bytes.get(19)? {
        b'.' => {
            let digits = bytes[20..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let missing = 6_usize.checked_sub(digits).filter(|_| digits > 0)?;
            (number(20, 20 + digits)? * 10_i64.pow(u32::try_from(missing).ok()?), 20 + digits)
        }
        _ => (0, 19),
    };
    let offset = match (bytes.get(zone)?, bytes.len() - zone) {
        (b'Z', 1) => 0,
        (sign @ (b'+' | b'-'), 6) => {
            is(zone + 3, b':')?;
            let minutes = within(number(zone + 1, zone + 3)?, 23)? * 60 + within(number(zone + 4, zone + 6)?, 59)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let seconds = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset * 60;
    let micros = seconds * 1_000_000 + micros;
    Time::from_micros(micros.clamp(Time::EPOCH.as_micros(), Time::MAX.as_micros()))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let leap_years = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let years = (year - 1970) * 365 + leap_years(year - 1) - leap_years(1969);
    years + (1..month).map(|month| days_of(year, month)).sum::<i64>() + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_core_reads_them() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59Z",
            "2027-01-31T12:00:00.5Z",
            "2027-12-31T23:59:59.999999Z",
            "2028-03-01T00:00:00+23:59",
            "2100-02-28T00:00:00-14:30",
            "9999-12-30T00:00:00Z",
        ] {
            assert_eq!(read(text), Some(text.parse().unwrap()), "{text}");
        }
        assert_eq!(read("0001-01-01T00:00:00+23:59"), Some(Time::EPOCH));
        assert_eq!(read("9999-12-31T23:59:59-23:59"), Some(Time::MAX));
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for bad in [
            "",
            "2027-01-31",
            "2027-01-31T12:00:00",
            "2027-02-29T12:00:00Z",
            "2027-13-01T12:00:00Z",
            "2027-00-01T12:00:00Z",
            "2027-01-00T12:00:00Z",
            "2027-01-31T24:00:00Z",
            "2027-01-31T12:60:00Z",
            "2027-01-31T12:00:60Z",
            "2027-01-31 12:00:00Z",
            "2027-01-31T12:00:00.Z",
            "2027-01-31T12:00:00.1234567Z",
            "2027-01-31T12:00:00z",
            "2027-01-31T12:00:00+24:00",
            "2027-01-31T12:00:00+0100",
            "2027-01-31T12:00:00Zx",
            "2027-01-31T12:00:00Z[UTC]",
            "+027-01-31T12:00:00Z",
            "２027-01-31T12:00:00Z",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
