//! Sigmoid, hard sigmoid and tanh: i16 Q4.11 in, i16 Q0.15 out.
//!
//! Sigmoid and tanh are lines, 512 each: every 1/16 of the input for sigmoid,
//! over the whole range −16 ..< 16, every 1/32 for tanh, over −8 ..< 8; what
//! lies beyond is clamped, for tanh is flat there (32767 and −32768 from ±8
//! on). Nothing branches. `build.rs` computes the tables, 4 KiB together,
//! from the formulas. One line is one i32,
//! `base·2^16 + slope`, and one multiply-accumulate evaluates it:
//!
//! ```text
//! value = (line + slope · d) >> 16        d = (32·input) mod 2^16, as an i16
//! ```
//!
//! d is the input's position in a stretch of 2048 inputs; base takes care of
//! which part of the stretch the line lies in. On Cortex-M4: shift for the
//! index, load, shift for d, SMLABB, four instructions (tanh one more to clamp
//! two), and the products of
//! the cell read the value where it stands, in the register's top half.
//!
//! | function       | largest error over all inputs, LSB of Q0.15 |
//! |----------------|------|
//! | [`sigmoid`]    | 1.43 |
//! | [`hard_sigmoid`] | 1.21 |
//! | [`tanh`]       | 1.99 |
//!
//! `every_input` asserts the table. A function of one i32, `lines`, serves
//! both tables: [`cell`](crate::cell) asks tanh at a finer step than Q4.11.

include!(concat!(env!("OUT_DIR"), "/nonlinearity_tables.rs"));

/// σ(z) = 1/(1 + e^−z), Q4.11 → Q0.15, 0 ..= 32767; at most 1.43 LSB off for
/// every i16.
#[inline(always)]
#[must_use]
pub fn sigmoid(z: i16) -> i16 {
    (sigmoid_high(z) >> 16) as i16
}

/// clip(0.2·z + 0.5, 0, 1), the gate of Keras and of the paper's authors,
/// Q4.11 → Q0.15, 0 ..= 32767; at most 1.21 LSB off for every i16 (1 at the top,
/// where 1 itself is not a Q0.15).
#[inline(always)]
#[must_use]
pub fn hard_sigmoid(z: i16) -> i16 {
    (hard_sigmoid_high(z) >> 16) as i16
}

/// tanh(z), Q4.11 → Q0.15; at most 1.99 LSB off for every i16, and exactly 0
/// at 0.
#[inline(always)]
#[must_use]
pub fn tanh(z: i16) -> i16 {
    (tanh_high(z) >> 16) as i16
}

/// [`sigmoid`] in the top half of an i32; the low half means nothing.
#[inline(always)]
pub(crate) fn sigmoid_high(z: i16) -> i32 {
    let d = i32::from(z.wrapping_shl(5));
    evaluate(SIGMOID[usize::from(z as u16 >> 7)], d)
}

/// [`hard_sigmoid`] in the top half of an i32; the low half means nothing.
#[inline(always)]
pub(crate) fn hard_sigmoid_high(z: i16) -> i32 {
    // 13 bits more than Q0.15: 0.2·2^13·2^15/2^11 = 26214.4 a step.
    const SLOPE: i32 = 26_214;
    const HALF: i32 = 1 << 27;
    const LIMIT: i32 = 1 << 27;
    // Clamped around 0, which is one SSAT.
    let distance = (i32::from(z) * SLOPE).clamp(-LIMIT, LIMIT - 1);
    (HALF + distance) << 3
}

/// Beyond ±8 tanh is flat.
const TANH_LIMIT: i16 = 8 << 11;

/// [`tanh`] in the top half of an i32; the low half means nothing.
#[inline(always)]
pub(crate) fn tanh_high(z: i16) -> i32 {
    let z = z.clamp(-TANH_LIMIT, TANH_LIMIT - 1);
    let d = i32::from(z.wrapping_shl(5));
    evaluate(TANH[usize::from(z as u16 >> 6 & 511)], d)
}

/// tanh of a Q7.24 value, clamped to ±8 (where tanh is 1 to six digits) and
/// read in steps of 2⁻¹⁶: the same lines as [`tanh`], with 5 bits more of the
/// input, at most 2.22 LSB of Q0.15 off for every i32. (Rounding the input to
/// Q4.11 first would cost up to 8 LSB, and two instructions.) In the top half
/// of an i32; the low half means nothing.
#[inline(always)]
pub(crate) fn tanh_of_cell_high(c: i32) -> i32 {
    const LIMIT: i32 = 8 << 24;
    let c = c.clamp(-LIMIT, LIMIT - 1);
    let d = i32::from((c >> 8) as i16);
    let line = TANH[((c >> 19) & 511) as usize];
    evaluate(line, d)
}

/// [`tanh`] of a Q7.24 value, Q7.24 → Q0.15; at most 2.22 LSB off for every i32.
#[inline(always)]
#[must_use]
pub fn tanh_of_cell(c: i32) -> i16 {
    (tanh_of_cell_high(c) >> 16) as i16
}

/// [`tanh_of_cell_high`] of a value with `missing` fraction bits less than Q7.24, at most 8.
#[inline(always)]
pub(crate) fn tanh_of_wide_cell_high(c: i32, missing: u32) -> i32 {
    let limit = (8 << 24) >> missing;
    tanh_of_cell_high(c.clamp(-limit, limit - 1) << missing)
}

/// The line's value at `d`, an i16, in the top half. Bits that leave the top
/// are those the line's base was reduced by.
#[inline(always)]
fn evaluate(line: i32, d: i32) -> i32 {
    line.wrapping_add(i32::from(line as i16).wrapping_mul(d))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest_error(f: impl Fn(i16) -> i16, exact: impl Fn(f64) -> f64) -> f64 {
        (i16::MIN..=i16::MAX)
            .map(|z| (f64::from(f(z)) - 32_768.0 * exact(f64::from(z) / 2048.0)).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn every_input() {
        let sigmoid_error = largest_error(sigmoid, |x| 1.0 / (1.0 + (-x).exp()));
        let hard_error = largest_error(hard_sigmoid, |x| (0.2 * x + 0.5).clamp(0.0, 1.0));
        let tanh_error = largest_error(tanh, f64::tanh);
        println!("sigmoid {sigmoid_error:.3}, hard {hard_error:.3}, tanh {tanh_error:.3}");
        assert!(sigmoid_error <= 1.43);
        assert!(hard_error <= 1.21);
        assert!(tanh_error <= 1.99);
    }

    #[test]
    fn landmarks() {
        assert_eq!(sigmoid(0), 16_384);
        assert_eq!(hard_sigmoid(0), 16_384);
        assert_eq!(tanh(0), 0);
        for z in [i16::MIN, i16::MAX] {
            let ends = (
                i32::from(sigmoid(z)),
                i32::from(hard_sigmoid(z)),
                i32::from(tanh(z)),
            );
            let high = (i32::from(z) + 32_768) / 65_535 * 32_767;
            assert!((ends.0 - high).abs() <= 1 && ends.1 == high);
            assert!((ends.2 - i32::from(z.signum()) * 32_767).abs() <= 1);
        }
    }

    /// Every step of 2⁻¹⁶ from −17 to 17, and the ends of the i32 range.
    #[test]
    fn every_cell_state() {
        let mut largest = 0.0f64;
        let steps = (-17 << 16..17 << 16).map(|step: i32| step << 8);
        for c in steps.chain([i32::MIN, i32::MAX]) {
            let value = tanh_of_cell_high(c) >> 16;
            let exact = 32_768.0 * (f64::from(c) / f64::from(1 << 24)).tanh();
            largest = largest.max((f64::from(value) - exact).abs());
        }
        println!("tanh of the cell {largest:.3}");
        assert!(largest <= 2.22);
    }

    /// The values are part of a model's meaning: a change of one bit is a new version of the model file.
    #[test]
    fn values_are_the_released_ones() {
        let of_inputs = (i16::MIN..=i16::MAX).flat_map(|z| [sigmoid(z), tanh(z)]);
        let steps = (-17 << 16..17 << 16).map(|step: i32| step << 8);
        let of_cells = steps.map(|c| (tanh_of_cell_high(c) >> 16) as i16);
        let sum = of_inputs
            .chain(of_cells)
            .flat_map(i16::to_le_bytes)
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        assert_eq!(sum, 0x99ac_aeca_48f6_44e7, "{sum:#x}");
        assert_eq!(size_of_val(&SIGMOID) + size_of_val(&TANH), 4 * 1024);
    }
}
