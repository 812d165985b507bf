//! log₂ of a u64 in integers.

include!(concat!(env!("OUT_DIR"), "/logarithm_table.rs"));

/// log₂(value) in Q10, rounded to the nearest; at most 0.55·2⁻¹⁰ off. 0 counts
/// as 1.
///
/// The place of the highest bit is the integer part; log₂ of what follows it
/// is read from 64 chords (`LOG2`, Q0.15).
pub(super) fn log2(value: u64) -> i32 {
    let value = value | u64::from(value == 0);
    let (zeros, mantissa) = if cfg!(any(bt_kernel = "armv6m", target_arch = "riscv32")) {
        normalised_in_steps(value)
    } else {
        normalised(value)
    };
    let chord = ((mantissa >> 25) & 63) as usize;
    let along = ((mantissa >> 9) & 0xffff) as i32;
    let (start, end) = (i32::from(LOG2[chord]), i32::from(LOG2[chord + 1]));
    let fraction = start + (((end - start) * along) >> 16);
    let integer = 63 - zeros as i32;
    ((integer << 15) + fraction + (1 << 4)) >> 5
}

/// Zeros above the highest bit, and the 32 bits from it on.
#[inline(always)]
fn normalised(value: u64) -> (u32, u32) {
    let zeros = value.leading_zeros();
    (zeros, ((value << zeros) >> 32) as u32)
}

/// As [`normalised`], for cores that have no instruction to count zeros and would branch on them: as many
/// instructions for every value.
#[inline(always)]
fn normalised_in_steps(value: u64) -> (u32, u32) {
    let (mut high, mut low) = ((value >> 32) as u32, value as u32);
    // All ones where there is nothing in the upper half.
    let empty = u32::from(high == 0).wrapping_neg();
    high |= low & empty;
    low &= !empty;
    let mut zeros = 32 & empty;
    for step in [16, 8, 4, 2, 1] {
        let shift = step & u32::from(high >> (32 - step) == 0).wrapping_neg();
        high = high << shift | low >> 1 >> (31 - shift);
        low <<= shift;
        zeros += shift;
    }
    (zeros, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_to_the_logarithm() {
        let mut largest = 0.0f64;
        let mut check = |value: u64| {
            assert_eq!(normalised_in_steps(value), normalised(value));
            let exact = (value as f64).log2() * 1024.0;
            largest = largest.max((f64::from(log2(value)) - exact).abs());
        };
        (1..200_000).for_each(&mut check);
        for bits in 17..64 {
            let one = 1u64 << bits;
            [one - 1, one, one + 1].into_iter().for_each(&mut check);
            (0..4_000).for_each(|k| check(one + (one >> 12) * k + k));
        }
        check(u64::MAX);
        println!("{largest:.3}");
        assert!(largest <= 0.55);
        assert_eq!(log2(0), 0);
    }
}
