//! Real FFT in integers, in place: `2·M` samples as M complex numbers, then
//! the power of bins 0 .. M.
//!
//! Scale: every stage but the first two halves, so nothing grows. The turns
//! W = cos − j·sin are Q0.15, and one [`multiply_shift_16`] gives product and
//! halving together.
//!
//! No overflow, for any samples: z[n] = x[2n]·w + j·x[2n+1]·w has components
//! ≤ 2²⁸ (window stage). The first pass sums four: components ≤ 2³⁰, modulus
//! ≤ √2·2³⁰ = 1.52·10⁹. A later stage gives a/2 ± W·b/2, whose modulus is at
//! most the larger of |a| and |b| (|W| ≤ 1 + 2⁻¹⁵, checked by parse), plus
//! three for rounding; eight stages at most. 2³¹ is 1.41 times as far.

use crate::q::multiply_shift_16;

/// cos in the low half, sin in the high half, Q0.15: one load, and the
/// multiplications choose the half.
pub(super) type Turn = u32;

/// The cosine of a turn, Q0.15.
#[inline(always)]
pub(super) fn cos(turn: Turn) -> i16 {
    turn as i16
}

/// The sine of a turn, Q0.15.
#[inline(always)]
pub(super) fn sin(turn: Turn) -> i16 {
    (turn >> 16) as i16
}

/// FFT of `z` (in bit-reversed order, components ≤ 2²⁸) in natural order,
/// times 4/M. `turns`: of 2πk/(2M), k < M. M = 2^m, m ≥ 2.
pub(super) fn transform(z: &mut [[i32; 2]], turns: &[Turn]) {
    let points = z.len();
    let (quads, _) = z.as_chunks_mut::<4>();
    for quad in quads {
        *quad = four_points(*quad);
    }
    // Blocks of this length are transformed.
    let mut length = 4;
    while 4 * length <= points {
        let mut rest = &mut *z;
        while let Some((block, later)) = rest.split_at_mut_checked(4 * length) {
            two_stages(block, turns);
            rest = later;
        }
        length *= 4;
    }
    if 2 * length <= points {
        one_stage(z, turns);
    }
}

/// The first two stages at once: turns of 1 and −j only.
#[inline(always)]
fn four_points([a, b, c, d]: [[i32; 2]; 4]) -> [[i32; 2]; 4] {
    let sum = [a[0] + b[0], a[1] + b[1]];
    let difference = [a[0] - b[0], a[1] - b[1]];
    let sum_2 = [c[0] + d[0], c[1] + d[1]];
    let difference_2 = [c[0] - d[0], c[1] - d[1]];
    [
        [sum[0] + sum_2[0], sum[1] + sum_2[1]],
        [
            difference[0] + difference_2[1],
            difference[1] - difference_2[0],
        ],
        [sum[0] - sum_2[0], sum[1] - sum_2[1]],
        [
            difference[0] - difference_2[1],
            difference[1] + difference_2[0],
        ],
    ]
}

/// Two stages on a block of four transformed quarters: (a, b) and (c, d) with
/// W_half^k, then (a, c) with W_block^k and (b, d) with −j times that.
#[inline(always)]
fn two_stages(block: &mut [[i32; 2]], turns: &[Turn]) {
    // turns[k·stride] is W_block^k, turns[2k·stride] is W_half^k.
    let Some(stride) = (2 * turns.len()).checked_div(block.len()) else {
        return;
    };
    let quarter = block.len() / 4;
    let Some((low, high)) = block.split_at_mut_checked(2 * quarter) else {
        return;
    };
    let (Some((a, b)), Some((c, d))) = (
        low.split_at_mut_checked(quarter),
        high.split_at_mut_checked(quarter),
    ) else {
        return;
    };
    let quads = a.iter_mut().zip(b).zip(c.iter_mut().zip(d));
    let mut place = 0;
    for ((a, b), (c, d)) in quads {
        let (Some(&outer), Some(&inner)) = (turns.get(place), turns.get(2 * place)) else {
            return;
        };
        place += stride;
        let (a_1, b_1) = butterfly(*a, turned(*b, inner));
        let (c_1, d_1) = butterfly(*c, turned(*d, inner));
        let [re, im] = turned(d_1, outer);
        (*a, *c) = butterfly(a_1, turned(c_1, outer));
        (*b, *d) = butterfly(b_1, [im, -re]);
    }
}

/// The last stage, if their number is odd.
#[inline(always)]
fn one_stage(z: &mut [[i32; 2]], turns: &[Turn]) {
    let half = z.len() / 2;
    if let Some((low, high)) = z.split_at_mut_checked(half) {
        let (even_turns, _) = turns.as_chunks::<2>();
        for ((a, b), &[turn, _]) in low.iter_mut().zip(high).zip(even_turns) {
            (*a, *b) = butterfly(*a, turned(*b, turn));
        }
    }
}

/// a/2 + t and a/2 − t.
#[inline(always)]
fn butterfly(a: [i32; 2], t: [i32; 2]) -> ([i32; 2], [i32; 2]) {
    let [re, im] = [a[0] >> 1, a[1] >> 1];
    ([re + t[0], im + t[1]], [re - t[0], im - t[1]])
}

/// b·(cos − j·sin)/2.
#[inline(always)]
fn turned([re, im]: [i32; 2], turn: Turn) -> [i32; 2] {
    let (cos, sin) = (cos(turn), sin(turn));
    [
        multiply_shift_16(re, cos) + multiply_shift_16(im, sin),
        multiply_shift_16(im, cos) - multiply_shift_16(re, sin),
    ]
}

/// Replaces the complex transform Z by the power of the real signal's bins:
/// entry k becomes |X\[k\]/2|²·2^−[`POWER_SHIFT`], a u64 as low and high word,
/// where X = E + t, E = (Z\[k\] + Z*\[M−k\])/2, t = −j·W^k·(Z\[k\] − Z*\[M−k\])/2;
/// and X\[M−k\] = (E − t)*.
pub(super) fn powers(z: &mut [[i32; 2]], turns: &[Turn]) {
    let Some((first, rest)) = z.split_first_mut() else {
        return;
    };
    *first = power((first[0] >> 1) + (first[1] >> 1), 0);
    let middle = rest.len() / 2;
    let Some((low, high)) = rest.split_at_mut_checked(middle) else {
        return;
    };
    let pairs = low.iter_mut().zip(high.iter_mut().rev());
    for ((a, b), &turn) in pairs.zip(turns.get(1..).unwrap_or(&[])) {
        let [a_re, a_im] = [a[0] >> 1, a[1] >> 1];
        let [b_re, b_im] = [b[0] >> 1, b[1] >> 1];
        let (even_re, even_im) = ((a_re + b_re) >> 1, (a_im - b_im) >> 1);
        let [im, re] = turned([a_re - b_re, a_im + b_im], turn);
        *a = power(even_re + re, even_im - im);
        *b = power(even_re - re, even_im + im);
    }
    // X[M/2] = Z*[M/2], which the pairs leave out.
    if let Some(middle) = high.first_mut() {
        *middle = power(middle[0] >> 1, middle[1] >> 1);
    }
}

/// Low bits of a power that are dropped: 2⁵⁸ at most before, 2⁴⁸ after.
pub(super) const POWER_SHIFT: u32 = 10;

#[inline(always)]
fn power(re: i32, im: i32) -> [i32; 2] {
    let (re, im) = (i64::from(re), i64::from(im));
    let power = (re * re + im * im) >> POWER_SHIFT;
    [power as i32, (power >> 32) as i32]
}
