//! Real FFT in integers, in place: `2·M` samples as M complex numbers, then
//! the power of bins 0 .. M.
//!
//! Scale: every stage halves, so nothing grows. The turns W = cos − j·sin are
//! Q0.15, and one [`multiply_shift_16`] gives product and halving together.
//!
//! No overflow, for any samples: z[n] = x[2n]·w + j·x[2n+1]·w has components
//! ≤ 2²⁸ (window stage). The first pass sums four: components ≤ 2³⁰, modulus
//! ≤ √2·2³⁰ = 1.52·10⁹. A later stage gives a/2 ± W·b/2, whose modulus is at
//! most the larger of |a| and |b| (|W| ≤ 1 + 2⁻¹⁵, checked by parse), plus
//! three for rounding; eleven stages at most. 2³¹ is 1.41 times as far.

use crate::q::multiply_shift_16;

/// FFT of `z` (in bit-reversed order, components ≤ 2²⁸) in natural order,
/// times 4/M. `turns`: cos, sin of 2πk/(2M), k < M. M = 2^m, m ≥ 2.
pub(super) fn transform(z: &mut [[i32; 2]], turns: &[[i16; 2]]) {
    let (quads, _) = z.as_chunks_mut::<4>();
    for quad in quads {
        *quad = four_points(*quad);
    }
    let points = z.len();
    let mut half = 4;
    while half < points {
        // W_(2·half)^k = W_(2M)^(k·M/half)
        let stride = points / half;
        for block in z.chunks_exact_mut(2 * half) {
            if let Some((low, high)) = block.split_at_mut_checked(half) {
                for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                    let Some(&[cos, sin]) = turns.get(k * stride) else {
                        break;
                    };
                    let re = multiply_shift_16(b[0], cos) + multiply_shift_16(b[1], sin);
                    let im = multiply_shift_16(b[1], cos) - multiply_shift_16(b[0], sin);
                    let [a_re, a_im] = [a[0] >> 1, a[1] >> 1];
                    *a = [a_re + re, a_im + im];
                    *b = [a_re - re, a_im - im];
                }
            }
        }
        half *= 2;
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

/// Replaces the complex transform Z by the power of the real signal's bins:
/// entry k becomes |X\[k\]/2|²·2^−[`POWER_SHIFT`], a u64 as low and high word,
/// where X = E + t, E = (Z\[k\] + Z*\[M−k\])/2, t = −j·W^k·(Z\[k\] − Z*\[M−k\])/2;
/// and X\[M−k\] = (E − t)*.
pub(super) fn powers(z: &mut [[i32; 2]], turns: &[[i16; 2]]) {
    let Some((first, rest)) = z.split_first_mut() else {
        return;
    };
    *first = power((first[0] >> 1) + (first[1] >> 1), 0);
    let middle = rest.len() / 2;
    let Some((low, high)) = rest.split_at_mut_checked(middle) else {
        return;
    };
    let pairs = low.iter_mut().zip(high.iter_mut().rev());
    for ((a, b), &[cos, sin]) in pairs.zip(turns.iter().skip(1)) {
        let [a_re, a_im] = [a[0] >> 1, a[1] >> 1];
        let [b_re, b_im] = [b[0] >> 1, b[1] >> 1];
        let (even_re, even_im) = ((a_re + b_re) >> 1, (a_im - b_im) >> 1);
        let (odd_re, odd_im) = (a_re - b_re, a_im + b_im);
        let re = multiply_shift_16(odd_im, cos) - multiply_shift_16(odd_re, sin);
        let im = multiply_shift_16(odd_re, cos) + multiply_shift_16(odd_im, sin);
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
