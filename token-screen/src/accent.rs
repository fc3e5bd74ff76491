//! The host's colour, made fit to be read in both schemes.

/// A colour as red, green and blue.
pub(crate) type Rgb = [u8; 3];

/// The least contrast of an accent with what it stands on, a little over what WCAG asks of text (4.5), since pages are not pure white.
const CONTRAST: f64 = 5.0;
const LIGHT_PAGE: Rgb = [0xff, 0xff, 0xff];
const DARK_PAGE: Rgb = [0x1b, 0x1c, 0x1f];

/// An accent for light pages and one for dark pages, each the host's colour as nearly as can be read. On the first stands white text,
/// on the second the dark of the page.
pub(crate) fn readable(colour: Rgb) -> [Rgb; 2] {
    [toward([0; 3], colour, LIGHT_PAGE), toward([0xff; 3], colour, DARK_PAGE)]
}

/// Moves a colour toward another in twentieths, until it stands out from the page.
fn toward(end: Rgb, colour: Rgb, page: Rgb) -> Rgb {
    let mixed = |step: u16| {
        let mix = |from: u8, to: u8| (u16::from(from) * (20 - step) + u16::from(to) * step) / 20;
        [0, 1, 2].map(|i| u8::try_from(mix(colour[i], end[i])).unwrap_or(end[i]))
    };
    (0..=20).map(mixed).find(|colour| contrast(*colour, page) >= CONTRAST).unwrap_or(end)
}

/// The contrast of two colours (WCAG 2.2), from 1 to 21.
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(colour: Rgb) -> f64 {
    let linear = |channel: u8| {
        let value = f64::from(channel) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
}

/// As CSS writes it.
pub(crate) fn css(colour: Rgb) -> String {
    let [red, green, blue] = colour;
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_colour_of_a_host_becomes_one_that_can_be_read() {
        for colour in [[0, 0, 0], [0xff, 0xff, 0xff], [0xff, 0xe6, 0], [0x80, 0x80, 0x80], [0x12, 0x5b, 0x50]] {
            let [light, dark] = readable(colour);
            assert!(contrast(light, LIGHT_PAGE) >= 4.5 && contrast(dark, DARK_PAGE) >= 4.5, "{colour:?}");
        }
        assert_eq!(readable([0x12, 0x5b, 0x50])[0], [0x12, 0x5b, 0x50], "one that can be read stays as it is");
    }

    #[test]
    fn contrast_is_what_the_guidelines_say() {
        assert!((contrast([0; 3], [0xff; 3]) - 21.0).abs() < 1e-9);
        assert!((contrast([0x76; 3], [0xff; 3]) - 4.54).abs() < 0.01);
    }
}
