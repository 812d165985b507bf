//! Modes that multiply to a width, and suggestions where given ones do not.

use crate::error::{Error, ErrorKind, Result, times};
use crate::shape;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Flag of the modes of a frame: those that zeros may fill up.
pub const INPUT: &str = "input-modes";

/// Flag of the modes of the hidden state.
pub const HIDDEN: &str = "hidden-modes";

/// Sizes of the axes of a tensor, slowest first: `8x20x20x18`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "Written")]
pub struct Modes(pub Vec<usize>);

/// Both forms a configuration file may use.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "modes as \"8x20x20x18\" or [8, 20, 20, 18] are needed"
)]
enum Written {
    Text(String),
    List(Vec<usize>),
}

impl FromStr for Modes {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Modes, String> {
        let sizes: Option<Vec<usize>> = text
            .split('x')
            .map(|size| size.trim().parse().ok().filter(|&size| size > 0))
            .collect();
        sizes
            .map(Modes)
            .ok_or_else(|| format!("`{text}` is not of the form 8x20x20x18"))
    }
}

impl TryFrom<Written> for Modes {
    type Error = String;

    fn try_from(written: Written) -> std::result::Result<Modes, String> {
        match written {
            // Modes that are chosen by the data.
            Written::Text(text) if text.is_empty() => Ok(Modes::default()),
            Written::Text(text) => text.parse(),
            Written::List(sizes) if sizes.iter().all(|&size| size > 0) => Ok(Modes(sizes)),
            Written::List(sizes) => Err(format!("{sizes:?} holds a size of 0")),
        }
    }
}

impl From<Modes> for String {
    fn from(modes: Modes) -> String {
        modes.to_string()
    }
}

impl fmt::Display for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&times(&self.0))
    }
}

/// Checks that the modes of this name hold `width` values; with `pad` they may hold more.
///
/// # Errors
/// Suggests modes that do.
pub fn check(name: &str, modes: &[usize], width: usize, pad: bool) -> Result<()> {
    let product = modes
        .iter()
        .try_fold(1usize, |product, &mode| product.checked_mul(mode))
        .unwrap_or(usize::MAX);
    if product == width || (pad && product > width) {
        return Ok(());
    }
    let order = modes.len();
    let even = factorizations(width, order);
    let padded = (width..=width + width / 8 + 3)
        .filter_map(|width| factorizations(width, order).into_iter().next())
        .min_by_key(|modes| modes.iter().sum::<usize>());
    let mut remedy = String::new();
    // A factor of 64 and more says that the width has a large prime in it.
    let usable: Vec<String> = even
        .iter()
        .filter(|modes| modes[0] < 64 || order < 3)
        .filter(|modes| !modes.contains(&1))
        .take(3)
        .map(|modes| times(modes))
        .collect();
    if let [first, others @ ..] = &usable[..] {
        remedy += &format!("use `{name} {first}`");
        others
            .iter()
            .for_each(|modes| remedy += &format!(" or {modes}"));
    } else if let Some(modes) = padded.filter(|_| name == INPUT) {
        remedy += &format!(
            "{width} does not factor well: use `pad` `input-modes {}`",
            times(&modes)
        );
    }
    Err(Error::new(ErrorKind::Modes {
        modes: modes.to_vec(),
        product,
        width,
    })
    .field(name)
    .remedy(remedy))
}

/// Modes that multiply to `width`, `order` of them, as even as can be: fewest weights at a given rank.
pub fn even(width: usize, order: usize) -> Vec<usize> {
    let ways = factorizations(width, order).into_iter();
    // A mode of 1 is good for nothing where there is another way.
    let mut ways: Vec<Vec<usize>> = ways.take(64).collect();
    ways.sort_by_key(|modes| (modes.contains(&1), modes.iter().sum::<usize>()));
    ways.into_iter()
        .next()
        .unwrap_or_else(|| vec![width; order.min(1)])
}

/// The same for frames that zeros may fill up by an eighth, where the width itself has too large a factor.
pub fn even_padded(width: usize, order: usize) -> Vec<usize> {
    let best = even(width, order);
    let root = (width as f64).powf(1.0 / order.max(1) as f64);
    let is_uneven = |modes: &[usize]| modes.iter().any(|&mode| mode as f64 > 3.0 * root + 1.0);
    if width < 8 || !is_uneven(&best) {
        return best;
    }
    (width..=width + width / 8)
        .filter(|&padded| is_smooth(padded))
        .map(|padded| even(padded, order))
        .min_by_key(|modes| (modes.iter().sum::<usize>(), modes.iter().product::<usize>()))
        .unwrap_or(best)
}

/// Whether a number has small prime factors only.
fn is_smooth(mut number: usize) -> bool {
    for factor in [2, 3, 5, 7, 11, 13] {
        while number.is_multiple_of(factor) {
            number /= factor;
        }
    }
    number == 1
}

/// How many modes a frame of `width` values is given where nobody says: two up to 63, four from 4,096 on.
pub fn order(width: usize) -> usize {
    match width {
        0..64 => 2,
        64..4096 => 3,
        _ => 4,
    }
}

/// All ways to write `width` as a product of `order` factors, largest first,
/// the most even ways (smallest sum) first.
pub fn factorizations(width: usize, order: usize) -> Vec<Vec<usize>> {
    let mut found = shape::factorizations(width, order, 1, width);
    for modes in &mut found {
        modes.reverse();
    }
    found.sort_by_key(|modes| (modes.iter().sum::<usize>(), modes.clone()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_modes() {
        let modes: Modes = "8x20x20x18".parse().unwrap();
        assert_eq!(modes.0, [8, 20, 20, 18]);
        assert_eq!(modes.to_string(), "8x20x20x18");
        for wrong in ["", "8x", "8x0", "8*20", "-1x2"] {
            assert!(wrong.parse::<Modes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn suggests_modes_that_multiply_to_the_width() {
        check(INPUT, &[4, 8, 8], 256, false).unwrap();
        let line = check(INPUT, &[4, 8, 9], 256, false)
            .unwrap_err()
            .to_string();
        assert_eq!(
            line,
            "input-modes: 4x8x9 multiply to 288, but the width is 256; use `input-modes 8x8x4` or 16x4x4 or 16x8x2"
        );
    }

    #[test]
    fn even_modes_are_found_for_every_width() {
        assert_eq!(even(57_600, 4), [16, 16, 15, 15]);
        assert_eq!(even(64, 3), [4, 4, 4]);
        assert_eq!(even(12, 2), [4, 3]);
        assert_eq!(even(10, 3), [5, 2, 1]);
        assert_eq!(even(1, 2), [1, 1]);
        assert_eq!(even(67, 3), [67, 1, 1]);
        assert_eq!(even_padded(256, 3), [8, 8, 4]);
        assert_eq!(even_padded(13, 2), [7, 2]);
        assert_eq!(even_padded(7, 2), [7, 1]);
        for width in (1..200).chain([4099, 57_601, 65_537]) {
            let modes = even_padded(width, order(width));
            let product: usize = modes.iter().product();
            assert!((width..=width + width / 8).contains(&product), "{modes:?}");
            assert!(width < 100 || modes[0] * modes[0] <= 3 * width, "{modes:?}");
        }
    }

    #[test]
    fn suggests_padding_where_the_width_does_not_factor() {
        let line = check(INPUT, &[2, 6], 13, false).unwrap_err().to_string();
        assert!(line.ends_with("use `pad` `input-modes 5x3`"), "{line}");
        let line = check(INPUT, &[4, 8, 8], 257, false)
            .unwrap_err()
            .to_string();
        assert!(line.contains("`pad`"), "{line}");
        check(INPUT, &[4, 8, 9], 257, true).unwrap();
        assert!(check(INPUT, &[4, 8, 8], 257, true).is_err());
    }
}
