//! Panels: where a value of an operand lies.
//!
//! ```text
//! W: [slice][m / 2][k / 2][m % 2]       X: [n / 4][k / 2][n % 4]       (words)
//! ```
//!
//! A word holds two values of a row, even k in the low half. Padding (odd K, rows padded for Helium, M
//! not a multiple of 2, N of 4) has weight zero or is never stored.

use super::tiling::{TILE_M, TILE_N, n_tiles};

/// Words of the panels of `rows` rows of X, where a row has so many pairs.
pub const fn words(rows: usize, pairs: usize) -> usize {
    n_tiles(rows) * pairs * TILE_N
}

/// Where row n of X begins, in words, where a row has so many pairs.
#[inline(always)]
pub const fn row_word(pairs: usize, n: usize) -> usize {
    n / TILE_N * pairs * TILE_N + n % TILE_N
}

/// Where value k of a row of X lies, in i16 from the row's first word.
#[inline(always)]
pub const fn half_in_row(k: usize) -> usize {
    k / 2 * 2 * TILE_N + k % 2
}

/// Where value (k, n) of X lies, in i16 from its first word, where a row has so many pairs.
#[inline(always)]
pub const fn half(pairs: usize, k: usize, n: usize) -> usize {
    2 * row_word(pairs, n) + half_in_row(k)
}

/// The value (k, n) that lies at this i16 of X: the inverse of [`half`], padding included.
pub const fn value(pairs: usize, half: usize) -> (usize, usize) {
    let (word, low) = (half / 2, half % 2);
    let (row, at) = (word % TILE_N, word / TILE_N);
    (at % pairs * 2 + low, at / pairs * TILE_N + row)
}

/// The word of a slice of W in which value (m, k) lies, in the half `k % 2`, where a row has so many
/// pairs.
#[inline(always)]
pub const fn weight_word(pairs: usize, m: usize, k: usize) -> usize {
    (m / TILE_M * pairs + k / 2) * TILE_M + m % TILE_M
}

/// Where value k of a row lies among the row's values when bytes are pushed as they are.
///
/// A word of four bytes is unpacked with two masks, which leaves bytes 0 and 2 in one word and 1 and 3 in the
/// other: of every whole four, the middle two change places (0, 2, 1, 3). What is left at the row's end,
/// fewer than four, stays in order. The exporter puts the weights of the first stage into the same order,
/// so that every product meets its value.
pub const fn pair_order(k: usize, row_values: usize) -> usize {
    if k / 4 * 4 + 4 > row_values {
        return k;
    }
    match k % 4 {
        1 => k + 1,
        2 => k - 1,
        _ => k,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tiling::row_pairs;
    use super::*;

    #[test]
    fn every_value_has_a_half_of_its_own() {
        // Words of a row as they are, and for Helium: whole vectors, or one or two and a pair.
        for (values, own, in_vectors) in [
            (5, 3, 4),
            (8, 4, 4),
            (9, 5, 5),
            (11, 6, 8),
            (16, 8, 8),
            (18, 9, 9),
            (20, 10, 12),
            (26, 13, 16),
        ] {
            assert_eq!(row_pairs(values, false), own);
            assert_eq!(row_pairs(values, true), in_vectors);
            for pairs in [own, in_vectors] {
                let rows = 6;
                let mut taken = [false; 2 * 2 * 4 * 16];
                for n in 0..rows {
                    for k in 0..values {
                        let at = half(pairs, k, n);
                        assert!(at < 2 * words(rows, pairs));
                        assert!(!core::mem::replace(&mut taken[at], true));
                        assert_eq!(value(pairs, at), (k, n));
                    }
                }
            }
        }
    }
}
