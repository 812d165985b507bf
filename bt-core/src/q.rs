//! The Q formats in use, and the one way values change from one to another.
//!
//! Qm.n here means m integer bits *beside* the sign and n fraction bits, so
//! a Q0.15 fills an i16. `fixed` counts the sign as an integer bit: Q0.15 is
//! its I1F15. Slices hold the raw integers (`i16`, `i32`); the aliases below
//! say what those integers mean and convert single values where that helps.
//!
//! | quantity                    | format | alias             | range       | step  |
//! |-----------------------------|--------|-------------------|-------------|-------|
//! | pre-activation z            | Q4.11  | [`PreActivation`] | −16 ..< 16  | 2⁻¹¹  |
//! | σ and tanh of it, gates     | Q0.15  | [`Gate`]          | −1 ..< 1    | 2⁻¹⁵  |
//! | hidden state h              | Q0.15  | [`Hidden`]        | −1 ..< 1    | 2⁻¹⁵  |
//! | cell state c                | Q7.24  | [`Cell`]          | −128 ..< 128| 2⁻²⁴  |
//! | log₂ of a mel band's energy | Q5.10  | [`LogEnergy`]     | −32 ..< 32  | 2⁻¹⁰  |

use fixed::types::{I1F15, I5F11, I6F10, I8F24};

/// Pre-activation z \[4·J\], Q4.11: −16 ..= 16−2⁻¹¹ in steps of 2⁻¹¹.
pub type PreActivation = I5F11;

/// A nonlinearity's value, Q0.15: −1 ..= 1−2⁻¹⁵ in steps of 2⁻¹⁵.
pub type Gate = I1F15;

/// Hidden state h \[J\], Q0.15: −1 ..= 1−2⁻¹⁵ in steps of 2⁻¹⁵.
pub type Hidden = I1F15;

/// Cell state c \[J\], Q7.24: −128 ..= 128−2⁻²⁴ in steps of 2⁻²⁴.
pub type Cell = I8F24;

/// log₂ of a mel band's energy, Q5.10: −32 ..= 32−2⁻¹⁰ in steps of 2⁻¹⁰
/// (0.003 dB).
pub type LogEnergy = I6F10;

/// `value / 2^bits`, rounded to the nearest integer, half upwards.
///
/// ```
/// use bt_core::internals::q::round_shift;
/// assert_eq!(round_shift(-3, 1), -1); // half goes up, not away from zero
/// ```
///
/// `bits` is 0 ..= 31 (only its low five bits are read). The sum
/// `value + 2^(bits−1)` wraps: callers whose values may come that near to 2³¹
/// owe a proof that they do not (the model's overflow bound includes the
/// term). The wrapping is what a plain add and shift do on every core.
#[inline(always)]
#[must_use]
pub const fn round_shift(value: i32, bits: u32) -> i32 {
    value.wrapping_add(half(bits)).wrapping_shr(bits)
}

/// What [`round_shift`] adds before it shifts: 2^(bits−1), 0 for no shift.
#[inline(always)]
#[must_use]
pub const fn half(bits: u32) -> i32 {
    (1u32.wrapping_shl(bits) >> 1) as i32
}

/// The nearest i16.
#[inline(always)]
#[must_use]
pub const fn saturate(value: i32) -> i16 {
    if value > i16::MAX as i32 {
        i16::MAX
    } else if value < i16::MIN as i32 {
        i16::MIN
    } else {
        value as i16
    }
}

/// [`round_shift`] to the nearest i16: how every level of a map, and the cell
/// before its tanh, leaves i32.
#[inline(always)]
#[must_use]
pub const fn round_shift_saturate(value: i32, bits: u32) -> i16 {
    saturate(round_shift(value, bits))
}

/// value · 2^−right, rounded half up: what an i32 of one format is in another, whatever exponents a file states.
///
/// Beyond 20 to the left it is that of 20, for all that a narrow format keeps of it; beyond 40 to the right it is 0.
#[inline(always)]
#[must_use]
pub(crate) fn rescale(value: i32, right: i32) -> i64 {
    let (wide, right) = (i64::from(value), right.clamp(-20, 40));
    match u32::try_from(right) {
        Ok(0) => wide,
        Ok(right) => (wide + (1 << (right - 1))) >> right,
        Err(_) => wide << right.unsigned_abs(),
    }
}

/// (a·b) >> 16, rounded down, without the 64-bit product: SMULWB.
///
/// Armv7E-M has that instruction and LLVM finds it in the 64-bit form; Armv8-M
/// multiplies long at no cost. Cores without either take two short products (M0
/// has no long multiplication, an M3 is slow at it); the value is the same.
#[inline(always)]
#[must_use]
pub const fn multiply_shift_16(a: i32, b: i16) -> i32 {
    if cfg!(bt_kernel = "armv7em") {
        ((a as i64 * b as i64) >> 16) as i32
    } else {
        // a = high·2^16 + low, 0 ≤ low < 2^16: both products fit an i32.
        let (high, low) = (a >> 16, a & 0xffff);
        high * b as i32 + ((low * b as i32) >> 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// floor(v/2^b + 1/2), in i64 and by division.
    fn reference(value: i32, bits: u32) -> i64 {
        let step = 1i64 << bits;
        (2 * i64::from(value) + step).div_euclid(2 * step)
    }

    #[test]
    fn rounds_half_up() {
        for bits in 0..=31 {
            let half = i64::from(half(bits));
            let near_a_step = (-2..=2).flat_map(|k: i64| {
                (-2..=2).flat_map(move |e| [(k << bits) + e, (k << bits) + e + half])
            });
            let extremes = [i64::from(i32::MIN), i64::from(i32::MAX) - half];
            for value in near_a_step.chain(extremes) {
                let Ok(value) = i32::try_from(value) else {
                    continue;
                };
                if i64::from(value) + half > i64::from(i32::MAX) {
                    continue;
                }
                let expected = reference(value, bits);
                assert_eq!(
                    i64::from(round_shift(value, bits)),
                    expected,
                    "{value} >> {bits}"
                );
                let nearest = expected.clamp(-32_768, 32_767);
                assert_eq!(i64::from(round_shift_saturate(value, bits)), nearest);
            }
        }
    }

    #[test]
    fn saturates() {
        for (value, expected) in [
            (i32::MIN, i16::MIN),
            (-32_769, i16::MIN),
            (-32_768, i16::MIN),
            (-1, -1),
            (32_767, i16::MAX),
            (32_768, i16::MAX),
            (i32::MAX, i16::MAX),
        ] {
            assert_eq!(saturate(value), expected);
        }
    }

    #[test]
    fn short_products_give_the_long_one() {
        let ends = [
            i32::MIN,
            -65_537,
            -65_536,
            -1,
            0,
            1,
            65_535,
            65_536,
            i32::MAX,
        ];
        let many = (0..40_000u32).map(|k| k.wrapping_mul(2_654_435_761) as i32);
        for a in ends.into_iter().chain(many) {
            for b in [i16::MIN, -32_767, -1, 0, 1, 12_345, i16::MAX] {
                let long = (i64::from(a) * i64::from(b)) >> 16;
                assert_eq!(i64::from(multiply_shift_16(a, b)), long);
            }
        }
    }
}
